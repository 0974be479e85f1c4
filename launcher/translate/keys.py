"""The keys of a vantage6 node configuration: which have a home in the chart, and why the others don't.

docs/configuration.md shows the same; a test compares the page, the chart's schema and this file.
"""

import difflib
from collections.abc import Iterable

TAKEN = (
    "api_key",
    "server_url",
    "port",
    "api_path",
    "encryption",
    "databases",
    "whitelist",
    "ssh-tunnels",
    "policies",
    "docker_registries",
    "algorithm_env",
    "algorithm_device_requests",
    "share_config",
    "run_context_file",
    "prometheus",
    "share_algorithm_logs",
    "logging",
)
"""Keys that `node` of the chart's values has too, in the order of values.yaml."""

REFUSED = {
    "task_dir": "the runs' files are on a volume; set `taskVolume`",
    "vpn_subnet": (
        "a VPN client needs rights over the machine's network that Pod Security `restricted` does not give; algorithms "
        "that talk to each other can't run here"
    ),
    "docker_services": (
        "there are no Docker containers to join; describe the service as a database with `reach`, or as "
        "`node.whitelist`"
    ),
    "node_extra_env": "it is for the node's container; set `launcher.extraEnv` and `proxy.extraEnv`",
    "node_extra_mounts": (
        "nothing of the machine is mounted into the node; mount what algorithms need as a database of type folder"
    ),
    "node_extra_hosts": "names come from the cluster's DNS; add the name there, or give an address",
    "images": "the node has other parts; set `image`, `egress.image`, `tunnels.image` and `isolation.image`",
    "alpine": "no helper container is made; leave it out",
    "debug": "libraries print headers, with tokens, at that level; set `node.logging.level: DEBUG`",
    "directories": "they are for a node outside of Docker; the log is the pod's, the data is `taskVolume`",
}
"""Keys that the chart refuses: why, and what to do instead. `node_extra_env` has a home beside `node`."""

KNOWN = (*TAKEN, *REFUSED)

LOGGING_REFUSED = ("file", "use_console", "backup_count", "max_size", "format", "datefmt", "loggers")
LOGGING_REASON = (
    "the node prints one JSON object for each line on standard output, which Kubernetes keeps and rotates; whoever "
    "collects the logs chooses the format"
)

NOT_A_FILE = (
    "of type sql, omop, sparql and other is what algorithms connect to, so an SQLite file is none (give its folder as "
    "type folder)"
)

DATABASE = ("label", "type", "uri", "env", "mount_mode")
WHITELIST = ("domains", "ips", "ports")
REGISTRY = ("registry", "username", "password")


EMPTY = "it is empty, so nothing is lost"

_EARLIER = {"allowed_images": "policies.allowed_algorithms", "ssh_tunnels": "ssh-tunnels"}
"""Names that earlier releases, or their documentation, had."""


def unknown(key: object, known: Iterable[str]) -> str:
    """The sentence about a key that vantage6 does not have, with the one that may have been meant."""
    earlier = _EARLIER.get(str(key))
    near = [earlier] if earlier else difflib.get_close_matches(str(key), list(known), n=1)
    meant = f"; if {near[0]} was meant, correct the name" if near else "; leave it out"
    return f"vantage6 knows no such key and ignores it{meant}"
