"""Kubernetes as the reconciler needs it: the runs' Jobs and pods, kept current by watches; create, logs, delete."""

import asyncio
from collections.abc import Callable

from launcher.diagnosis import CONTAINER
from launcher.kubeapi import APPLY, ApiRefusal, KubeApi, Tree
from launcher.logtail import HeadAndTail
from launcher.mirror import Mirror

FIELD_MANAGER = "v6-node-launcher"


class Cluster:
    """The Jobs and pods of this node's namespace.

    Every method that asks the API server raises `ClusterUnavailable` when it should be tried again later.

    Args:
        api: the API server.
        namespace: where the runs' Jobs are.
    """

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self.on_change: Callable[[int], None] = lambda run_id: None
        """Told the id of a run whenever its Job or pod changed."""
        self._core = f"/api/v1/namespaces/{namespace}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._policies_path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        self._jobs = Mirror(api, self._jobs_path, self._changed)
        self._pods = Mirror(api, f"{self._core}/pods", self._changed)

    def _changed(self, run_id: int) -> None:
        self.on_change(run_id)

    def job(self, run_id: int) -> Tree | None:
        """The Job of a run, as last seen."""
        return self._jobs.seen.get(run_id)

    def pod(self, run_id: int) -> Tree | None:
        """The pod of a run, as last seen."""
        return self._pods.seen.get(run_id)

    @property
    def jobs(self) -> list[Tree]:
        """The Jobs of all runs."""
        return list(self._jobs.seen.values())

    @property
    def run_ids(self) -> list[int]:
        """The runs that have a Job."""
        return sorted(self._jobs.seen)

    async def first_look(self) -> None:
        """Return once it is known what Jobs and pods exist."""
        await asyncio.gather(self._jobs.current.wait(), self._pods.current.wait())

    async def watch(self) -> None:
        """Keep what is known current, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._jobs.follow())
            tasks.create_task(self._pods.follow())

    async def read_job(self, name: str) -> Tree | None:
        """The Job of that name, asked of the API server now."""
        try:
            return self._jobs.keep(await self._api.call("GET", f"{self._jobs_path}/{name}"))
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def create_job(self, manifest: Tree) -> Tree | None:
        """Create a Job and return it, or None if there is one of its name.

        Raises:
            ApiRefusal: the API server calls it invalid or forbidden.
        """
        try:
            # Known at once, not only when the watch says so: nobody may think that the run has no Job.
            return self._jobs.keep(await self._api.call("POST", self._jobs_path, body=manifest))
        except ApiRefusal as refusal:
            if refusal.status == 409:
                return None
            raise

    async def delete_job(self, job: Tree) -> None:
        """Delete this very Job and its pods (over the API the default would leave the pods behind)."""
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": job["metadata"]["uid"]}}
        try:
            await self._api.call("DELETE", f"{self._jobs_path}/{job['metadata']['name']}", body=options)
        except ApiRefusal as refusal:
            if refusal.status not in {404, 409}:
                raise

    async def read_log(self, pod: Tree, limit: int) -> str:
        """What the algorithm printed: all of it, or its head and tail if it is longer than `limit` bytes."""
        path = f"{self._core}/pods/{pod['metadata']['name']}/log"
        text = HeadAndTail(limit)
        try:
            async for chunk in self._api.chunks(path, {"container": CONTAINER}):
                text.add(chunk)
        except ApiRefusal as refusal:
            if refusal.status not in {400, 404}:  # the container never started, or its pod is gone
                raise
        return text.text()

    async def apply_egress(self, policy: str, rules: list[Tree]) -> None:
        """Set the egress rules of a NetworkPolicy that the chart made, and nothing else of it.

        By server-side apply the rules are this launcher's own field, which `helm upgrade` leaves alone
        (https://kubernetes.io/docs/reference/using-api/server-side-apply/).

        Raises:
            ApiRefusal: there is no such policy, or the launcher may not change it.
        """
        wanted = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": policy},
            "spec": {"egress": rules},
        }
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        await self._api.call("PATCH", f"{self._policies_path}/{policy}", query, wanted, content_type=APPLY)

    async def service_account_uid(self, name: str) -> str:
        """The uid of a service account of this namespace."""
        account = await self._api.call("GET", f"{self._core}/serviceaccounts/{name}")
        return str(account["metadata"]["uid"])
