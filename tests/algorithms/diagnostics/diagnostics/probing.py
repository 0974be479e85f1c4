"""Try ways out, all at once, and say how each ended.

A way is {"name", "kind", "host", "port", "expected"}; `kind` names one of the functions in `KINDS`. It comes back with
"target", "observed", "as_expected" and "milliseconds". What can be observed:

    connected, answered, resolved, present, written     the way is open
    timed out, refused, unreachable, unresolved         nothing came through
    forbidden                                           the egress proxy said no
    HTTP 503 and the like                               it did not say no: neither open nor shut
    absent, read-only                                   there is nothing to see, or to change
    no socket                                           this pod may not even try (ICMP)
    n/a                                                 this pod has no address of that family
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from diagnostics import inside, network
from diagnostics.surroundings import ways_found_here

OPEN = frozenset({"connected", "answered", "resolved", "present", "written"})
SHUT = frozenset(
    {
        *("timed out", "refused", "unreachable", "unresolved"),
        *("forbidden", "absent", "read-only", "no socket"),
    }
)

KINDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "tcp": network.tcp,
    "http": network.http,
    "via": network.via,
    "dns-udp": network.dns_udp,
    "dns-tcp": network.dns_tcp,
    "icmp": network.icmp,
    "lookup": network.lookup,
    "file": inside.file,
    "write": inside.write,
    "variables": inside.variables,
    "other-runs": inside.other_runs,
}


def probe(ways: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Try the ways given, or those that this pod's own surroundings suggest."""
    ways = ways_found_here() if ways is None else ways
    if not ways:
        return []
    with ThreadPoolExecutor(max_workers=len(ways)) as pool:
        rows = list(pool.map(_try, ways))
    for row in rows:
        print(f"{row['name']:24} {row['target']:32} {row['expected']:6} {row['observed']:12} {row['milliseconds']:6}")
    return rows


def _try(way: dict[str, Any]) -> dict[str, Any]:
    start = time.monotonic()
    observed = KINDS[way["kind"]](way)
    milliseconds = round((time.monotonic() - start) * 1000)
    host, port = str(way.get("host", "")), way.get("port")
    return {
        "name": way["name"],
        "kind": way["kind"],
        "target": f"{host} {port}" if port else host,
        "expected": way["expected"],
        "observed": observed,
        "as_expected": observed == "n/a" or observed in (OPEN if way["expected"] == "open" else SHUT),
        "milliseconds": milliseconds,
    }
