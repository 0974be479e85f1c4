"""The launcher's metrics. docs/monitoring.md has a table of them.

No label is anything that a researcher, an algorithm or a server could choose: each has the values of a list in the
code, or is a status of HTTP.
"""

from prometheus_client import Counter, Gauge, Histogram

from launcher.metricsport import registry

REGISTRY = registry()

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LONG = (0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)

# The connection

ONLINE = Gauge("v6_node_online", "Whether the vantage6 server sees this node online.", registry=REGISTRY)
SINCE = Gauge("v6_node_online_changed_timestamp_seconds", "When that changed last.", registry=REGISTRY)
CONNECTIONS = Counter(
    "v6_node_connections", "How often the node came online; all but one are reconnections.", registry=REGISTRY
)
FAILURES = Counter(
    "v6_node_connection_failures", "Connections to the vantage6 server that failed or ended.", registry=REGISTRY
)

# The isolation

GATE_OPEN = Gauge("v6_node_isolation_gate_open", "Whether the isolation lets the node start runs.", registry=REGISTRY)
PASSED = Gauge("v6_node_isolation_passed", "Whether the last check of the isolation passed.", registry=REGISTRY)
CHECKED = Gauge("v6_node_isolation_check_timestamp_seconds", "When the isolation was checked last.", registry=REGISTRY)
CHECKS = Counter(
    "v6_node_isolation_checks",
    "Checks of the isolation by result: passed, failed, or unknown where the check could not be carried out.",
    ["result"],
    registry=REGISTRY,
)
CHECK_SECONDS = Histogram(
    "v6_node_isolation_check_seconds", "How long a check of the isolation took.", buckets=_SHORT, registry=REGISTRY
)

# Runs

RUNS = Gauge("v6_node_runs", "Runs that the launcher looks after, by state.", ["state"], registry=REGISTRY)
DELIVERED = Counter(
    "v6_node_runs_delivered",
    "Runs whose result the server has, by status and cause.",
    ["status", "cause"],
    registry=REGISTRY,
)
STAGES = Histogram(
    "v6_node_run_stage_seconds",
    "From the end of the stage before to the end of this one.",
    ["stage"],
    buckets=_LONG,
    registry=REGISTRY,
)
BACKLOG = Gauge(
    "v6_node_undelivered_runs", "Runs that have ended and whose result the server does not have.", registry=REGISTRY
)
OLDEST = Gauge(
    "v6_node_undelivered_oldest_age_seconds",
    "For how long the oldest of these has waited; 0: there is none.",
    registry=REGISTRY,
)

# The task volume

FREE = Gauge("v6_node_task_volume_free_bytes", "Bytes that are free on the task volume.", registry=REGISTRY)
SIZE = Gauge("v6_node_task_volume_size_bytes", "Size of the task volume.", registry=REGISTRY)
SHORT = Gauge(
    "v6_node_task_volume_short", "Whether runs wait because the task volume is nearly full.", registry=REGISTRY
)

# The API server

KUBERNETES = Counter(
    "v6_node_kubernetes_requests",
    "Requests to the Kubernetes API server by verb and HTTP status; status none: there was no answer.",
    ["verb", "status"],
    registry=REGISTRY,
)
KUBERNETES_SECONDS = Histogram(
    "v6_node_kubernetes_request_seconds",
    "Time until the API server began to answer, by verb.",
    ["verb"],
    buckets=_SHORT,
    registry=REGISTRY,
)
