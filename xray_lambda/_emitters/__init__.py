"""Emitters: where finished documents go; each is an object with `send(document)` that never raises and never waits."""
