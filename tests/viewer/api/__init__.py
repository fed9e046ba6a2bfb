"""Tests of X-Ray's API as the viewer answers it, by the clients that people have."""
