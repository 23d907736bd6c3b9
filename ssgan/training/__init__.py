"""The road from a configuration to a trained classifier."""
