"""Tests of what came in events and polls."""
