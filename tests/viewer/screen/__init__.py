"""The screen: its JSON by itself, its page in a real browser against a viewer that runs."""
