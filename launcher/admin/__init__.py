"""What an administrator runs on their own machine, with the rights of their kubeconfig: `up`, `down`, `status` …."""


class Failure(Exception):  # noqa: N818  it ends a command
    """A command can't do what it was asked to; the message is one sentence, with the remedy."""
