"""The node put together, in the order in which things happen."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from launcher.apikey import ApiKey
from launcher.approval import Approval
from launcher.backoff import Backoff
from launcher.checkjobs import CheckJobs, NotRunnable
from launcher.cluster import Cluster
from launcher.config import NodeConfig
from launcher.connection import Connection
from launcher.databasecheck import DatabaseCheck, say_what_is_not_copied
from launcher.destinations import Destinations
from launcher.encryption import Encrypted, Plain
from launcher.gate import Gate
from launcher.isolationcheck import IsolationCheck
from launcher.jobmarks import NOBODY
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.launch import Launch
from launcher.leaving import Leaving
from launcher.machineload import report_load
from launcher.manifests import Manifests
from launcher.metrics import REGISTRY
from launcher.metricsport import MetricsPort
from launcher.networkpolicies import rules
from launcher.oldfiles import OldFiles
from launcher.reconciler import Reconciler
from launcher.registry import Registry
from launcher.room import Room
from launcher.rules import RULES
from launcher.serverconnection import http_session
from launcher.session import ServerRefusal, ServerUnavailable, Session
from launcher.session.poc import PocSession
from launcher.session.v4 import V4Session
from launcher.status import Status
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates

log = logging.getLogger(__name__)

SHIPPED_TEMPLATES = Path(__file__).parent.parent / "templates" / "jobs"
_PATIENCE = 20.0  # seconds for the steps that are under way at the end; the pod has 30

T = TypeVar("T")


async def run_node(
    config: NodeConfig,
    api_key: ApiKey,
    cryptor: Plain | Encrypted,
    tasks: Path,
    *,
    overrides: Path | None,
    logins: Path | None,
) -> None:
    """Be the node, until SIGTERM.

    Args:
        config: the validated configuration.
        api_key: the node's key; empty where the protocol has no login.
        cryptor: reads inputs and encrypts results, where the protocol knows encryption.
        tasks: where the task volume is mounted.
        overrides: folder of the administrator's job templates, if there are any.
        logins: folder of the registries' credentials, if there are any.

    Raises:
        LoginRefused: the server does not accept the node.
        TemplateError, InvariantError: a job template is broken.
    """
    _stop_on_sigterm()
    status = Status(connection := Connection())
    status.waived = _say_what_is_waived(config)
    await status.serve()
    api = KubeApi()
    try:
        async with (
            MetricsPort(REGISTRY) as metrics,
            http_session(config.kubernetes.server) as http,
            asyncio.TaskGroup() as background,
        ):
            cluster = Cluster(api, config.kubernetes.namespace)
            background.create_task(cluster.watch())
            await cluster.first_look()
            account = config.kubernetes.algorithmServiceAccount
            owner_uid = await _patiently(lambda: cluster.service_account_uid(account))

            templates = JobTemplates(SHIPPED_TEMPLATES, overrides)
            destinations = Destinations(config, cluster)
            manifests_for = partial(Manifests, config, templates, owner_uid=owner_uid, selecting=cluster.selecting)
            manifests_for(TaskFiles(tasks, NOBODY), NOBODY).rehearse()
            status.waits_for = None

            background.create_task(connection.announce(partial(_announce_connection, cluster)))
            session = _session(http, config, api_key, cryptor, tasks=tasks, connection=connection)
            await _patiently(session.open)
            status.identity = session.identity
            files = TaskFiles(tasks, session.identity)
            launch = Launch(manifests_for(files, session.identity), destinations)

            check = IsolationCheck(config, api, cluster, files, launch, destinations=destinations)
            await _patiently(check.clean_up)
            await _patiently(destinations.restore)
            gate = status.gate = Gate(
                config.kubernetes.isolation,
                check.run,
                partial(what_a_pass_is_valid_for, config, cluster, templates, destinations),
                tasks / "isolation.json",
                partial(_announce, cluster),
            )
            room = Room(tasks, config.kubernetes.taskVolume.minFreeBytes, partial(_announce_room, cluster))
            leaving = Leaving(cluster.is_uninstalled)
            reconciler = Reconciler(
                session,
                cluster,
                files,
                launch,
                config.kubernetes.jobs,
                approval=Approval(
                    config.node.policies, session, Registry(http, config.kubernetes.jobs.registries, logins)
                ),
                share_logs=config.node.share_algorithm_logs,
                may_start=lambda: gate.may_start and not leaving.begun,
                lacks_room=room.lacks,
                keep_failed=lambda: 0.0 if room.short else config.kubernetes.retention.failedHours * 3600,
            )
            databases = status.databases = _database_check(config, CheckJobs(cluster, files, launch, "databases"))
            await _patiently(databases.clean_up)
            metrics.refresh, room.on_change = reconciler.show_progress, reconciler.resume
            _wire(cluster, check, gate, reconciler, kill=config.kubernetes.isolation.onFailure == "kill")
            reconciler.recover()
            status.leave = partial(leaving.leave, reconciler)
            for each in (
                gate.keep(),
                room.keep(),
                _tell_of_itself(config, session, cluster, gate, databases),
                OldFiles(tasks, files).sweep(
                    config.kubernetes.retention, lambda: reconciler.tmp_in_use, lambda: cluster.run_ids
                ),
            ):
                background.create_task(each)
            try:
                await _be_online_while_isolated(session, gate, reconciler, connection)
            finally:
                log.info("stopping: no more runs are taken, running ones go on")
                await reconciler.close(_PATIENCE)
    except asyncio.CancelledError:
        log.info("stopped")
    finally:
        await status.close()
        await api.close()


def _wire(cluster: Cluster, check: IsolationCheck, gate: Gate, reconciler: Reconciler, *, kill: bool) -> None:
    """Have each part told what it has to know of the others."""
    cluster.on_change = reconciler.changed
    cluster.on_policy_change = lambda policy: None if check.own_doing(policy) else gate.policies_changed()
    gate.on_resume = reconciler.resume
    if kill:
        gate.on_breach = lambda: reconciler.killed(None, "The node ended it: its isolation does not hold.")


def _stop_on_sigterm() -> None:
    main = asyncio.current_task()
    assert main is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)


def _say_what_is_waived(config: NodeConfig) -> tuple[str, ...]:
    for name in config.kubernetes.jobs.waive:
        log.warning("jobs.waive gives up a rule for jobs", extra={"fields": {"rule": name, "says": RULES[name]}})
    return config.kubernetes.jobs.waive


def _database_check(config: NodeConfig, jobs: CheckJobs) -> DatabaseCheck:
    say_what_is_not_copied(config.node)
    return DatabaseCheck(config.node, jobs, config.kubernetes.isolation.recheckEvery)


async def _tell_of_itself(
    config: NodeConfig, session: Session, cluster: Cluster, gate: Gate, databases: DatabaseCheck
) -> None:
    """Find out and share the columns of csv files, and how busy the machine is where that is wanted, for ever."""
    if not isinstance(session, V4Session):
        return
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(databases.keep(gate.opened, session.share_columns))
        if config.node.prometheus.enabled:
            every = config.node.prometheus.report_interval_seconds
            tasks.create_task(report_load(every, cluster.count_running, session.share_load))


def _session(
    http: aiohttp.ClientSession,
    config: NodeConfig,
    api_key: ApiKey,
    cryptor: Plain | Encrypted,
    *,
    tasks: Path,
    connection: Connection,
) -> Session:
    if config.kubernetes.protocol == "poc":
        return PocSession(http, config.node, tasks, connection)
    return V4Session(
        http, config.node, api_key, cryptor, transport=config.kubernetes.server.transport, connection=connection
    )


async def _be_online_while_isolated(
    session: Session, gate: Gate, reconciler: Reconciler, connection: Connection
) -> None:
    """Connect when the gate opens, disconnect when it shuts, for ever: to be connected is to be online."""
    while True:
        await gate.opened()
        connected = asyncio.create_task(session.stay_connected(reconciler))
        shut = asyncio.create_task(gate.closed())
        try:
            await asyncio.wait({connected, shut}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            shut.cancel()
            connected.cancel()
            await asyncio.wait({connected})
        if not connected.cancelled():
            connected.result()
        log.warning("offline: the isolation does not hold")
        connection.left(
            "The isolation of algorithms does not hold; the Event IsolationFailed and GET /isolation say why."
        )


async def what_a_pass_is_valid_for(
    config: NodeConfig, cluster: Cluster, templates: JobTemplates, destinations: Destinations
) -> list[Any]:
    """Everything that algorithms' isolation depends on and that this node can know of.

    Raises:
        NotRunnable: the API server does not tell its version.
    """
    try:
        version = await cluster.version()
    except (ClusterUnavailable, ApiRefusal) as error:
        raise NotRunnable(f"The isolation can't be checked: {error}") from error
    return [
        config.kubernetes.model_dump(),
        templates.texts(),
        rules(cluster.policies, destinations.kept),
        destinations.disturbed,
        version,
    ]


async def _announce(cluster: Cluster, good: bool, reason: str) -> None:
    sentence = "The isolation of algorithms was checked and holds." if good else reason
    await _record(cluster, good, "IsolationHolds" if good else "IsolationFailed", sentence)


async def _announce_connection(cluster: Cluster, online: bool, reason: str) -> None:
    sentence = "The vantage6 server sees this node online." if online else reason
    await _record(cluster, online, "Online" if online else "Offline", sentence)


async def _announce_room(cluster: Cluster, good: bool, reason: str) -> None:
    await _record(cluster, good, "TaskVolumeHasRoom" if good else "TaskVolumeFull", reason)


async def _record(cluster: Cluster, good: bool, reason: str, message: str) -> None:
    try:
        await cluster.announce(
            os.environ.get("POD_NAME", "v6-node-launcher-0"), good=good, reason=reason, message=message
        )
    except (ClusterUnavailable, ApiRefusal) as error:
        log.warning("an Event can't be recorded", extra={"fields": {"reason": str(error)}})


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns, tried until server and cluster let it."""
    retry = Backoff()
    while True:
        try:
            return await call()
        except (ClusterUnavailable, ApiRefusal, ServerUnavailable, ServerRefusal) as error:
            log.warning("can't start yet; trying again", extra={"fields": {"reason": str(error)}})
            await asyncio.sleep(retry.failed())
