"""The viewer: one more X-Ray daemon, with a store and a screen; a house apart, which imports nothing of the tracer."""
