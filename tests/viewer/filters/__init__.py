"""Tests of the filter expressions."""
