"""Tests of the doors of servers."""
