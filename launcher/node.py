"""The node put together, in the order in which things happen."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
from prometheus_client import Gauge

from launcher.cluster import Cluster
from launcher.config import NodeConfig
from launcher.destinations import Destinations
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.launch import NOBODY, Launch
from launcher.reconciler import Reconciler
from launcher.session import ServerRefusal, ServerUnavailable
from launcher.session.rest import backoff
from launcher.session.v4 import V4Session
from launcher.status import serve_status
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates

log = logging.getLogger(__name__)

SHIPPED_TEMPLATES = Path(__file__).parent.parent / "templates" / "jobs"
_PATIENCE = 20.0  # seconds for the steps that are under way at the end; the pod has 30
_SWEEP_EVERY = 3600.0

ONLINE = Gauge("v6_node_online", "Whether the vantage6 server sees this node online.")

T = TypeVar("T")


async def run_node(config: NodeConfig, api_key: str, tasks: Path, overrides: Path | None) -> None:
    """Be the node, until SIGTERM.

    Args:
        config: the validated configuration.
        api_key: the node's key.
        tasks: where the task volume is mounted.
        overrides: folder of the administrator's job templates, if there are any.

    Raises:
        LoginRefused: the server does not accept the node.
        TemplateError, InvariantError: a job template is broken.
    """
    main = asyncio.current_task()
    assert main is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    waits_for: list[str] = ["the API server"]
    status = await serve_status(lambda: waits_for[0] if waits_for else None)
    api = KubeApi()
    try:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as background:
            cluster = Cluster(api, config.kubernetes.namespace)
            background.create_task(cluster.watch())
            await cluster.first_look()
            account = config.kubernetes.algorithmServiceAccount
            owner_uid = await _patiently(lambda: cluster.service_account_uid(account))

            templates = JobTemplates(SHIPPED_TEMPLATES, overrides)
            destinations = Destinations(config, cluster)
            Launch(
                config, templates, TaskFiles(tasks, NOBODY), NOBODY, owner_uid=owner_uid, destinations=destinations
            ).rehearse()
            waits_for.clear()

            session = V4Session(http, config.node, api_key)
            ONLINE.set_function(lambda: session.online)
            await _patiently(session.open)
            files = TaskFiles(tasks, session.identity)
            launch = Launch(config, templates, files, session.identity, owner_uid=owner_uid, destinations=destinations)
            reconciler = Reconciler(
                session, cluster, files, launch, config.kubernetes.jobs, share_logs=config.node.share_algorithm_logs
            )
            cluster.on_change = reconciler.changed
            reconciler.recover()
            background.create_task(_sweep(files, reconciler, config.kubernetes.jobs.tmpRetentionHours))
            try:
                await session.stay_connected(reconciler)
            finally:
                log.info("stopping: no more runs are taken, running ones go on")
                await session.close()
                await reconciler.close(_PATIENCE)
    except asyncio.CancelledError:
        log.info("stopped")
    finally:
        await status.cleanup()
        await api.close()


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns, tried until server and cluster let it."""
    failures = 0
    while True:
        try:
            return await call()
        except (ClusterUnavailable, ApiRefusal, ServerUnavailable, ServerRefusal) as error:
            failures += 1
            log.warning("can't start yet; trying again", extra={"fields": {"reason": str(error)}})
            await asyncio.sleep(backoff(failures))


async def _sweep(files: TaskFiles, reconciler: Reconciler, hours: float) -> None:
    """Now and then remove what no job needs any more."""
    while True:
        try:
            await asyncio.to_thread(files.remove_old_tmp, hours * 3600, reconciler.tmp_in_use)
        except OSError as error:
            log.warning("old files can't be removed", extra={"fields": {"reason": str(error)}})
        await asyncio.sleep(_SWEEP_EVERY)
