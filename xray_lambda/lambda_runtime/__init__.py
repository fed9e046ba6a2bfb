"""Lambda: the door through which an invocation's trace comes in."""
