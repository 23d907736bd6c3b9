"""How good a classifier or a generator is."""
