"""The proxy's metrics. docs/monitoring.md has a table of them.

An algorithm chooses what it asks for, so no label has any of it: `route` is a kind of request that is on the list, or
`none`; `status` is a status of HTTP.
"""

from prometheus_client import Counter, Gauge, Histogram

from launcher.metricsport import registry
from proxy.narrowing import ROUTES

REGISTRY = registry()
NO_ROUTE = "none"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Counter(
    "v6_node_proxy_requests",
    "Requests of algorithms by kind and HTTP status; kind none: it is not on the list; status none: it broke off.",
    ["route", "status"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "v6_node_proxy_request_seconds",
    "From the head of a request to the end of its answer.",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
IN_PROGRESS = Gauge("v6_node_proxy_requests_in_progress", "Requests under way.", registry=REGISTRY)
RECEIVED = Counter("v6_node_proxy_received_bytes", "Bytes of bodies that algorithms sent.", registry=REGISTRY)
SENT = Counter("v6_node_proxy_sent_bytes", "Bytes of bodies that algorithms got.", registry=REGISTRY)
SERVER_ERRORS = Counter(
    "v6_node_proxy_server_errors",
    "Trouble with the vantage6 server: unreachable, away (502 to 504), broken off (an answer), or unreadable (it can't "
    "be decrypted).",
    ["error"],
    registry=REGISTRY,
)


def count(route: str, status: int | None, seconds: float) -> None:
    """Count a request.

    Args:
        route: what `proxy.narrowing` found it to be.
        status: of the answer; None if there was none.
        seconds: that it took.
    """
    known = route if route in ROUTES else NO_ROUTE
    REQUESTS.labels(known, "none" if status is None else status).inc()
    SECONDS.labels(known).observe(seconds)
