"""The stage on which tests and the demo play: a real vantage6 server, its federation, and nodes in a cluster."""


class StageError(Exception):
    """Something the stage needs is missing or broke; the message says what, and what to do about it."""
