"""Tests of the cards, and of what drives them."""
