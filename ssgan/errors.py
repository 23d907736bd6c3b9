"""What a user can mend."""


class SsganError(ValueError):
    """A mistake in what was asked for: the message names the key, the value and the remedy.

    Commands print it and exit with 1, without a traceback.
    """
