"""One file per callback of the trainer."""
