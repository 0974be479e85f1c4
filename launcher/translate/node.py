"""The translation itself: a vantage6 node configuration in; values, Secrets, findings out, and no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launcher.config.node import API_PATH, SERVER
from launcher.translate.credentials import api_key, encryption, registries
from launcher.translate.databases import databases
from launcher.translate.devices import KEY as DEVICES
from launcher.translate.devices import device_requests
from launcher.translate.findings import Finding, Place, Site, Work, shown, text_of
from launcher.translate.keys import EMPTY, KNOWN, LOGGING_REASON, LOGGING_REFUSED, REFUSED, unknown
from launcher.translate.policies import policies
from launcher.translate.reach import is_this_machine
from launcher.translate.variables import EXTRA, algorithm_env, node_extra_env
from launcher.translate.ways import port_of, tunnels, whitelist

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Translation:
    """What a configuration file became."""

    values: dict[str, Any]
    secrets: dict[str, dict[str, Any]]
    """Secret manifests by name; empty unless they were asked for."""
    findings: tuple[Finding, ...]
    inline: tuple[str, ...]
    """Keys of the file whose values may be secret, and are in `values`."""


def translate(source: Mapping[Any, Any], site: Site) -> Translation:
    """Turn a configuration into values of the chart.

    Every key of `source` is carried over under its own name, or there is a finding that tells what became of it. The
    values are always such that the chart's schema takes them; what is missing or wrong is refused by the chart or the
    launcher, unless it is filled in.
    """
    work = Work(site)
    node, values = _node(source, work)
    for key in source:
        if key in REFUSED and key != EXTRA:
            why = REFUSED[key] if source[key] else EMPTY
            work.left_out(key, why, source[key] if key in {"task_dir", "vpn_subnet"} else "")
        elif key not in KNOWN:
            work.left_out(str(key), unknown(key, KNOWN))
    order = {str(key): number for number, key in enumerate(source)}
    findings = sorted(work.findings, key=lambda finding: order.get(_root(finding.keys[0]), -1))
    return Translation({"node": node} | values, work.secrets, tuple(findings), tuple(work.inline))


def _root(key: str) -> str:
    return re.split(r"[.\[]", key)[0]


def _node(source: Mapping[Any, Any], work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """The section `node`, and what is beside it."""
    containers = source.get("docker_services")
    names = frozenset(str(name) for name in containers) if isinstance(containers, Mapping) else frozenset()
    key, beside = api_key(source.get("api_key"), work)
    url = _server_url(source.get("server_url"), work)
    made_tunnels = tunnels(source.get("ssh-tunnels"), work)
    ports = {tunnel["hostname"]: tunnel["tunnel"]["bind"]["port"] for tunnel in made_tunnels}
    made_databases = databases(source.get("databases"), ports, names, work)
    _unused(made_tunnels, made_databases, work)
    devices, jobs = device_requests(source.get(DEVICES), work)
    sections = {
        "databases": made_databases,
        "whitelist": whitelist(source.get("whitelist"), work),
        "ssh-tunnels": made_tunnels,
        "policies": policies(source.get("policies"), work),
        "docker_registries": registries(source.get("docker_registries"), work),
        "algorithm_env": algorithm_env(source.get("algorithm_env"), work),
        DEVICES: devices,
    }
    node = (
        key
        | {"server_url": url, "port": _port(source, work), "api_path": _api_path(source, work)}
        | {"encryption": encryption(source.get("encryption"), work)}
        # What is empty in the file is empty in the values: nobody has to wonder where it went.
        | {name: found for name, found in sections.items() if found or name in source}
        | _switches(source, work)
    )
    if EXTRA in source and not source[EXTRA]:
        work.left_out(EXTRA, EMPTY)
    return node, beside | node_extra_env(source.get(EXTRA), url, work) | jobs


def _server_url(given: object, work: Work) -> str:
    place: Place = ("node", "server_url")
    text = text_of(given).strip()
    url = text.rstrip("/")
    if not SERVER.match(url):
        sentence = (
            "it is not just http:// or https:// and a host; leave out the port (port has it) and the path "
            "(api_path has it)"
        )
        work.fill_in("server_url", sentence, place, text)
        # Without name and password, which have no place in it.
        return re.sub(r"//[^/\s]*@", "//", url)
    if is_this_machine(re.sub(r"^https?://\[?|\]$", "", url).lower()):
        sentence = "it means the machine that Docker ran on, and in a pod the pod itself; give the server's own name"
        work.fill_in("server_url", sentence, place, url)
    elif url != given:
        work.taken("server_url", f"it is {shown(url)}", given)
    return url


def _port(source: Mapping[Any, Any], work: Work) -> int | None:
    if "port" not in source:
        return 80 if text_of(source.get("server_url")).startswith("http:") else 443
    given = source["port"]
    port = port_of(given)
    if port is None and given is not None:
        sentence = "it is no port; give a number from 1 to 65535, or null for that of the scheme"
        work.fill_in("port", sentence, ("node", "port"), given)
    elif port != given:
        work.taken("port", f"it is the number {port}", given)
    return port


def _api_path(source: Mapping[Any, Any], work: Work) -> str:
    given = text_of(source.get("api_path", "/api")).strip()
    path = given.rstrip("/")
    path = f"/{path}" if path and not path.startswith("/") else path
    if not API_PATH.match(path):
        work.fill_in("api_path", "it is no path like /api; correct it", ("node", "api_path"), given)
    elif path != source.get("api_path", "/api"):
        work.taken("api_path", f"it is {shown(path)}", given)
    return path


def _switches(source: Mapping[Any, Any], work: Work) -> dict[str, Any]:
    """What is on or off, and how much is told."""
    made: dict[str, Any] = {}
    for name in ("share_config", "run_context_file"):
        if name in source:
            made[name] = work.flag(source[name], name, ("node", name), careful=False)
    if "prometheus" in source:
        made["prometheus"] = _prometheus(source["prometheus"], work)
    if "share_algorithm_logs" in source:
        name = "share_algorithm_logs"
        made[name] = work.flag(source[name], name, ("node", name), careful=False)
    if logging := _logging(source.get("logging"), work):
        made["logging"] = logging
    elif "logging" in source and not source["logging"]:
        work.left_out("logging", EMPTY)
    return made


def _prometheus(source: object, work: Work) -> dict[str, Any]:
    place: Place = ("node", "prometheus")
    given = work.section(source, "prometheus", ("enabled", "report_interval_seconds"), place)
    made: dict[str, Any] = {}
    if "enabled" in given:
        made["enabled"] = work.flag(given["enabled"], "prometheus.enabled", (*place, "enabled"), careful=False)
    if "report_interval_seconds" in given:
        seconds = given["report_interval_seconds"]
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 5 <= seconds < 2**31:
            made["report_interval_seconds"] = int(seconds)
        else:
            sentence = "it is no number of seconds from 5 on; the default, 45, holds"
            work.left_out("prometheus.report_interval_seconds", sentence, seconds)
    return made


def _logging(source: object, work: Work) -> dict[str, str]:
    place: Place = ("node", "logging")
    given = work.section(source, "logging", ("level", *LOGGING_REFUSED), place)
    if refused := tuple(f"logging.{name}" for name in given if name in LOGGING_REFUSED):
        work.left_out(refused, LOGGING_REASON)
    if "level" not in given:
        return {}
    level = text_of(given["level"]).strip().upper()
    if level not in LEVELS:
        work.left_out("logging.level", f"it is none of {', '.join(LEVELS)}; the default, INFO, holds", given["level"])
        return {}
    if level != given["level"]:
        work.taken("logging.level", f"it is {level}", given["level"])
    return {"level": level}


def _unused(made: list[dict[str, Any]], found: list[dict[str, Any]], work: Work) -> None:
    """Note tunnels that no database is behind."""
    used = {place["host"] for database in found for place in database.get("reach", [])}
    for index, tunnel in enumerate(made):
        if tunnel["hostname"] not in used:
            sentence = "no database's uri has it as its host, so no algorithm could use it; add it to one's reach"
            work.fill_in("ssh-tunnels", sentence, ("node", "ssh-tunnels", index, "hostname"), tunnel["hostname"])
