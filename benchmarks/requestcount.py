"""How many requests an account makes to the API server, by the API server's own count.

A FlowSchema of the account's own makes the API server count its requests apart from all others'
(https://kubernetes.io/docs/concepts/cluster-administration/flow-control/). It gives them the priority that service
accounts have anyway. Watches are counted by themselves; reading logs is not subject to it, and is counted for all.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from benchmarks.kube import RawApi
from tests.stage.kube import STAGE_LABEL
from tests.stage.node import owner_of_this_process

_SCHEMAS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
_DONE = "apiserver_flowcontrol_request_execution_seconds_count"
_TOTAL = "apiserver_request_total"


@dataclass(frozen=True, slots=True)
class Count:
    """Requests so far."""

    regular: float
    watches: float
    logs: float

    def since(self, before: "Count") -> "Count":
        """What came after another count."""
        return Count(self.regular - before.regular, self.watches - before.watches, self.logs - before.logs)


class Counter:
    """Counts.

    Args:
        api: the API server.
        schema: name of the FlowSchema.
    """

    def __init__(self, api: RawApi, schema: str) -> None:
        self._api = api
        self._schema = schema

    async def read(self) -> Count:
        """The count now."""
        return parse(await self._api.text("GET", "/metrics"), self._schema)


@contextlib.asynccontextmanager
async def counting(api: RawApi, namespace: str, account: str) -> AsyncIterator[Counter]:
    """Count a service account's requests from now on."""
    name = f"{namespace}-{account}"
    wanted = schema(name, namespace, account)
    wanted["metadata"]["labels"] = {STAGE_LABEL: owner_of_this_process()}
    await api.call("POST", _SCHEMAS, wanted)
    try:
        yield Counter(api, name)
    finally:
        await api.call("DELETE", f"{_SCHEMAS}/{name}")


def schema(name: str, namespace: str, account: str) -> dict[str, Any]:
    """The FlowSchema that an account's requests fall under, and nobody else's."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    subject = {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": account}}
    rule = {
        "subjects": [subject],
        "resourceRules": [everything],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 500,
            "priorityLevelConfiguration": {"name": "workload-low"},
            "rules": [rule],
        },
    }


def parse(metrics: str, schema: str) -> Count:
    """The count in what the API server answers to `GET /metrics`."""
    return Count(
        regular=_sum(metrics, _DONE, flow_schema=schema, type="regular"),
        watches=_sum(metrics, _DONE, flow_schema=schema, type="watch"),
        logs=_sum(metrics, _TOTAL, resource="pods", subresource="log"),
    )


def _sum(metrics: str, name: str, **labels: str) -> float:
    lines = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", metrics, re.MULTILINE)
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(float(value) for told, value in lines if wanted <= set(re.findall(r'\w+="[^"]*"', told)))
