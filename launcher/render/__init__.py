"""The command `render`: the Job that a task would get, shown before anything is installed."""


class Unusable(Exception):  # noqa: N818
    """What the command was given can't be used; the message is a sentence."""
