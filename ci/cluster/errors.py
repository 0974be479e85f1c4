"""What goes wrong with a cluster, said in one sentence."""


class ClusterError(Exception):
    """The message is one sentence that says what to do."""
