"""What a user can mend."""


class SsganError(ValueError):
    """A mistake in what was asked for: the message names the key, the value and the remedy.

    Commands print it and exit with 1, without a traceback.
    """


def first_line(error: BaseException) -> str:
    """The first line of what ``error`` says, or its type if it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
