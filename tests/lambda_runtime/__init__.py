"""Tests of Lambda's door."""
