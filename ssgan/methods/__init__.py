"""One file per method; what they share is in `classification`."""
