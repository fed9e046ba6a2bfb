"""Tests of host data: real HTTP servers and files that say what AWS's documented ones do."""
