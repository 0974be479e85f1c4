"""What the launcher knows of its namespace."""

from kubernetes.aio import client

from launcher.cluster import Cluster
from launcher.kubeapi import KubeApi
from launcher.mirror import RUN_ID
from tests.unit.model_kubernetes import Kubernetes
from tests.unit.model_process import Clock

STATES = [None, {"waiting": {"reason": "ContainerCreating"}}, {"running": {}}, {"terminated": {"exitCode": 0}}]


async def test_those_run_whose_container_does():
    api = KubeApi(client.Configuration())
    cluster, made = Cluster(api, "north"), Kubernetes(Clock())
    for number, state in enumerate([*STATES, {"running": {}}]):
        cluster._jobs.keep(made.create(number, {}) or {})
        if state is not None:
            about = {"name": f"run-{number}-x", "uid": f"pod {number}", "labels": {RUN_ID: str(number)}}
            cluster._pods.keep(
                {"metadata": about, "status": {"containerStatuses": [{"name": "algorithm", "state": state}]}}
            )
    assert cluster.count_running() == 2
    await api.close()
