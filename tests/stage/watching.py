"""An independent witness: a watch of the test's own on a namespace's Jobs and algorithm pods."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

RUN_ID = "v6-node.vantage6.ai/run-id"


@dataclass(frozen=True)
class Sighting:
    """An object seen: for the first time, or deleted."""

    at: float  # seconds, time.time()
    kind: str  # Job or Pod
    event: str  # ADDED or DELETED
    name: str
    uid: str
    run_id: int


class Witness:
    """Watches, in threads, until it is closed.

    Args:
        kubeconfig: the cluster.
        namespace: where to look.
    """

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._api = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self._namespace = namespace
        self._sightings: list[Sighting] = []
        self._changed = threading.Condition()
        self._watches: list[Any] = []
        self._closed = False
        core, batch = client.CoreV1Api(self._api), client.BatchV1Api(self._api)
        for kind, lister in (("Job", batch.list_namespaced_job), ("Pod", core.list_namespaced_pod)):
            threading.Thread(target=self._watch, args=(kind, lister), daemon=True).start()

    def __enter__(self) -> "Witness":
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        for each in self._watches:
            each.stop()

    def _watch(self, kind: str, lister: Callable[..., object]) -> None:
        seen: set[tuple[str, str]] = set()
        while not self._closed:
            watching: Any = watch.Watch()  # type: ignore[no-untyped-call]
            self._watches.append(watching)
            try:
                for event in watching.stream(lister, self._namespace, label_selector=RUN_ID, timeout_seconds=300):
                    meta = event["object"].metadata
                    # A watch that starts again shows everything again.
                    if event["type"] in {"ADDED", "DELETED"} and (event["type"], meta.uid) not in seen:
                        seen.add((event["type"], meta.uid))
                        self._note(kind, event["type"], meta)
            except (client.ApiException, HTTPError, OSError):
                time.sleep(0.5)

    def _note(self, kind: str, event: str, meta: Any) -> None:
        sighting = Sighting(time.time(), kind, event, meta.name, meta.uid, int(meta.labels[RUN_ID]))
        with self._changed:
            self._sightings.append(sighting)
            self._changed.notify_all()

    def sightings(self, kind: str, event: str = "ADDED") -> list[Sighting]:
        with self._changed:
            return [each for each in self._sightings if each.kind == kind and each.event == event]

    def of_run(self, run_id: int, kind: str, event: str = "ADDED") -> list[Sighting]:
        return [each for each in self.sightings(kind, event) if each.run_id == run_id]

    def wait_for(self, kind: str, run_id: int, seconds: float = 60) -> Sighting:
        """Return the first sighting of a run's object.

        Raises:
            TimeoutError: there was none within `seconds`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.of_run(run_id, kind), seconds):
                raise TimeoutError(f"No {kind} of run {run_id} was seen in {seconds:.0f} s.")
            return self.of_run(run_id, kind)[0]
