"""Kubernetes as the reconciler needs it: the runs' Jobs and pods, kept current by watches; create, logs, delete."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

from launcher import abridged
from launcher.diagnosis import job_state
from launcher.kubeapi import APPLY, ApiRefusal, KubeApi, Tree
from launcher.mirror import RUN_ID, Mirror, name, run_id
from launcher.networkpolicies import ROLE, selecting
from launcher.runs import PREFIX, JobState
from launcher.troubles import Troubles, last_warning
from launcher.waiting import CONTAINER, Trouble

FIELD_MANAGER = "v6-node-launcher"
CHECK_LABEL = f"{PREFIX}/check"
_LONGEST_MESSAGE = 1024  # of an Event: the API server refuses more


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
        self.on_policy_change: Callable[[str], None] = lambda policy: None
        """Told the name of a NetworkPolicy whenever it changed."""
        self._namespace = namespace
        self._core = f"/api/v1/namespaces/{namespace}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._policies_path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        self._jobs = Mirror(api, self._jobs_path, self._changed, key=run_id, selector=RUN_ID, shorten=abridged.job)
        self._pods = Mirror(api, f"{self._core}/pods", self._changed, key=run_id, selector=RUN_ID, shorten=abridged.pod)
        self._policies = Mirror(api, self._policies_path, self._policies_changed, key=name)
        self._troubles = Troubles(api, f"{self._core}/events", self._told)

    def _changed(self, run_id: int) -> None:
        if run_id not in self._jobs.seen and run_id not in self._pods.seen:
            self._troubles.forget(run_id)
        self._told(run_id)

    def _told(self, run_id: int) -> None:
        self.on_change(run_id)

    def _policies_changed(self, policy: str) -> None:
        self.on_policy_change(policy)

    @property
    def policies(self) -> list[Tree]:
        """The NetworkPolicies of the namespace."""
        return list(self._policies.seen.values())

    def selecting(self, labels: Mapping[str, str]) -> set[str]:
        """The names of the NetworkPolicies that select a pod with these labels."""
        return selecting(self.policies, labels)

    def job(self, run_id: int) -> Tree | None:
        """The Job of a run, as last seen."""
        return self._jobs.seen.get(run_id)

    def pod(self, run_id: int) -> Tree | None:
        """The pod of a run, as last seen."""
        return self._pods.seen.get(run_id)

    def trouble(self, run_id: int) -> Trouble | None:
        """The last warning on a run's Job or pod."""
        return self._troubles.of_run(run_id)

    @property
    def jobs(self) -> list[Tree]:
        """The Jobs of all runs."""
        return list(self._jobs.seen.values())

    def count_running(self) -> int:
        """How many algorithms run now."""
        states = (job_state(job, self.pod(run_id)) for run_id, job in self._jobs.seen.items())
        return sum(state is JobState.RUNNING for state in states)

    @property
    def run_ids(self) -> list[int]:
        """The runs that have a Job."""
        return sorted(self._jobs.seen)

    async def first_look(self) -> None:
        """Return once it is known what Jobs, pods and NetworkPolicies exist."""
        await asyncio.gather(*(mirror.current.wait() for mirror in (self._jobs, self._pods, self._policies)))

    async def watch(self) -> None:
        """Keep what is known current, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._jobs.follow())
            tasks.create_task(self._pods.follow())
            tasks.create_task(self._policies.follow())
            tasks.create_task(self._troubles.follow())

    async def read_job(self, name: str) -> Tree | None:
        """The Job of that name, asked of the API server now."""
        try:
            return self._jobs.keep(await self._api.call("GET", f"{self._jobs_path}/{name}"))
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def read_pod(self, run_id: int) -> None:
        """Have the pod of a run known as it is now, asked of the API server."""
        query = {"labelSelector": f"{RUN_ID}={run_id}"}
        for pod in (await self._api.call("GET", f"{self._core}/pods", query))["items"]:
            self._pods.keep(pod)

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
        """Delete a run's Job and its pods."""
        # Known to be going at once, not only when the watch says so: nobody need delete it again.
        if going := await self._delete(job):
            self._jobs.renew(going)

    async def _delete(self, job: Tree) -> Tree | None:
        """Delete this very Job and its pods; the Job as it is now, if it stays until they are gone.

        Over the API the default would leave the pods behind.
        """
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": job["metadata"]["uid"]}}
        try:
            answer = await self._api.call("DELETE", f"{self._jobs_path}/{job['metadata']['name']}", body=options)
            return answer if answer.get("kind") == "Job" else None
        except ApiRefusal as refusal:
            if refusal.status not in {404, 409}:
                raise
            return None

    async def log_chunks(self, pod: str, *, since: str | None, follow: bool) -> AsyncIterator[bytes]:
        """What the algorithm of a pod prints, as the API server sends it: lines that begin with their time.

        Args:
            pod: its name.
            since: time from which on, to the second (RFC 3339); None: from the beginning.
            follow: whether to wait for what it will still print.

        Raises:
            ClusterUnavailable: the stream broke.
        """
        query: Tree = {"container": CONTAINER, "timestamps": "true"}
        query |= {"sinceTime": since} if since else {}
        query |= {"follow": "true"} if follow else {}
        try:
            async for chunk in self._api.chunks(f"{self._core}/pods/{pod}/log", query):
                yield chunk
        except ApiRefusal as refusal:
            if refusal.status not in {400, 404}:  # the container never started, or its pod is gone
                raise

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
        path = f"{self._policies_path}/{policy}"
        self._policies.keep(await self._api.call("PATCH", path, query, wanted, content_type=APPLY))

    async def create_check(self, manifest: Tree) -> Tree:
        """Create the Job of a check."""
        return await self._api.call("POST", self._jobs_path, body=manifest)

    async def look_at_check(self, name: str) -> tuple[Tree, Tree | None]:
        """The Job of a check and its pod, asked of the API server now."""
        job = await self._api.call("GET", f"{self._jobs_path}/{name}")
        query = {"labelSelector": f"{CHECK_LABEL},batch.kubernetes.io/job-name={name}"}
        pods = (await self._api.call("GET", f"{self._core}/pods", query))["items"]
        return job, pods[0] if pods else None

    async def warning_on(self, thing: Tree) -> Trouble | None:
        """The last warning on a Job or pod, asked of the API server now."""
        uid = thing["metadata"].get("uid", "")
        query = {"fieldSelector": f"type=Warning,involvedObject.uid={uid}"}
        return last_warning((await self._api.call("GET", f"{self._core}/events", query))["items"])

    async def delete_checks(self, kind: str) -> None:
        """Delete the Jobs of all checks of a kind."""
        for job in (await self._api.call("GET", self._jobs_path, {"labelSelector": f"{CHECK_LABEL}={kind}"}))["items"]:
            await self._delete(job)

    async def announce(self, pod: str, *, good: bool, reason: str, message: str) -> None:
        """Record an Event of a pod, for `kubectl describe` and `kubectl get events`."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{pod}-", "namespace": self._namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": self._namespace},
            "type": "Normal" if good else "Warning",
            "reason": reason,
            "message": message[:_LONGEST_MESSAGE],
            "source": {"component": FIELD_MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._api.call("POST", f"{self._core}/events", body=event)

    async def is_uninstalled(self) -> bool:
        """Whether there is the pod that `helm uninstall` runs before it deletes anything."""
        query = {"labelSelector": f"{ROLE}=uninstall"}
        return bool((await self._api.call("GET", f"{self._core}/pods", query))["items"])

    async def version(self) -> str:
        """The version of the cluster."""
        return str((await self._api.call("GET", "/version")).get("gitVersion"))

    async def service_account_uid(self, name: str) -> str:
        """The uid of a service account of this namespace."""
        account = await self._api.call("GET", f"{self._core}/serviceaccounts/{name}")
        return str(account["metadata"]["uid"])
