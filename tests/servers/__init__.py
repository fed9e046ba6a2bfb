"""The real servers that library tests talk to: each started once a run, on a free port, in a folder of its own."""
