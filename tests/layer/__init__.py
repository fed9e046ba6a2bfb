"""The layer: built, and functions run below it as Lambda runs them."""
