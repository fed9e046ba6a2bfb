"""Tests of where documents go: real sockets, and what stands in for them."""
