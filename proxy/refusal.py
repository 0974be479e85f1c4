"""The proxy's own answers: one JSON sentence, in the form of the vantage6 server's (`{"msg": …}`)."""

from aiohttp import web


class Refusal(Exception):  # noqa: N818 # an answer, not a fault
    """A request that the proxy answers itself, with an HTTP status and one sentence for the algorithm's author."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status

    def response(self) -> web.Response:
        """The answer to the algorithm."""
        return web.json_response({"msg": str(self)}, status=self.status)
