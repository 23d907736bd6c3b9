"""The version of the package, which run folders and classifier files name."""

__version__ = "0.2.0"
