"""Sampling: which traces that begin here are recorded, by X-Ray's rules or by local ones; see docs/sampling.md."""
