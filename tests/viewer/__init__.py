"""The viewer: its parts with the others real, its commands as a user runs them."""
