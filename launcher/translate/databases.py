"""Databases: files become paths on the cluster's machines, services get the hosts and ports to reach them at."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from launcher.algorithmenv import encode
from launcher.config.node import LABEL, SERVICES, SUFFIXES
from launcher.translate.findings import Place, Work, text_of
from launcher.translate.keys import DATABASE, NOT_A_FILE, unknown
from launcher.translate.reach import destinations, is_file, is_host, is_this_machine

PLACE: Place = ("node", "databases")
LONGEST_LABEL = 40
_GUESSES = {".csv": "csv", ".parquet": "parquet", ".xls": "excel", ".xlsx": "excel"}
_PARAMETER = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_RESERVED = frozenset({"proxyserver", "squid"})


def databases(source: object, tunnels: Mapping[str, int], containers: frozenset[str], work: Work) -> list[Any]:
    """The chart's databases.

    Args:
        source: `databases` of the file.
        tunnels: the port of each SSH tunnel, by its hostname.
        containers: names of Docker containers that algorithms could reach so far.
        work: where findings and secrets are noted.
    """
    made: list[dict[str, Any]] = []
    for index, entry in enumerate(work.entries(source, "databases", PLACE)):
        key, place = f"databases[{index}]", (*PLACE, len(made))
        if not isinstance(entry, Mapping):
            work.fill_in(key, "it has no keys; give it label, type and uri", PLACE)
            continue
        database = _Entry(key, place, entry, work)
        made.append(database.translated({other["label"].lower() for other in made}, tunnels, containers))
    return made


class _Entry:
    """One database of the file."""

    def __init__(self, key: str, place: Place, source: Mapping[Any, Any], work: Work) -> None:
        self._key = key
        self._place = place
        self._source = source
        self._work = work

    def translated(self, taken: set[str], tunnels: Mapping[str, int], containers: frozenset[str]) -> dict[str, Any]:
        kind = self._type()
        made: dict[str, Any] = {"label": self._label(taken, kind), "type": kind}
        uri = self._source.get("uri")
        if uri is None or uri == "":
            self._fill_in("uri", "it is missing; give the path of a file, or what algorithms connect to")
            uri = None
        else:
            uri = made["uri"] = text_of(uri)
        if self._source.get("mount_mode") is not None:
            self._mount_mode(made)
        env = self._env()
        if kind in SERVICES:
            made["reach"] = self._reach(uri, tunnels, containers) if uri else []
        elif uri:
            self._path(made, uri)
        self._credentials(made, env, kind)
        for name in self._source:
            if name not in DATABASE:
                self._work.left_out(f"{self._key}.{name}", unknown(name, DATABASE))
        return made

    def _fill_in(self, name: str, sentence: str, value: object = "", at: str = "") -> None:
        self._work.fill_in(f"{self._key}.{name}", sentence, (*self._place, at or name), value)

    def _type(self) -> str:
        given = text_of(self._source.get("type"))
        kind = given.strip().lower()
        if kind in SERVICES or kind in SUFFIXES:
            if kind != given:
                self._work.taken(f"{self._key}.type", f"it is {kind} here", given)
            return kind
        guess = _GUESSES.get(PurePosixPath(text_of(self._source.get("uri"))).suffix.lower(), "other")
        known = ", ".join((*SUFFIXES, *sorted(SERVICES)))
        self._fill_in("type", f"it is none of {known}; {guess} is assumed until you decide", given)
        return guess

    def _label(self, taken: set[str], kind: str) -> str:
        given = text_of(self._source.get("label"))
        label = _usable(given, taken, kind)
        if label != given:
            why = "a label begins with a letter, has letters, digits and underscores, does not end with an underscore"
            self._fill_in(
                "label",
                f"{why}, has at most {LONGEST_LABEL} characters and is no other's, and a folder is neither data nor "
                f"tmp; {label} is taken until you decide, and researchers have to ask for it by the new label",
                given,
            )
        return label

    def _mount_mode(self, made: dict[str, Any]) -> None:
        mode = self._source["mount_mode"]
        if mode in ("copy", "ro"):
            made["mount_mode"] = mode
        else:
            sentence = "it is neither copy nor ro, and every file is mounted read-only whatever it says; leave it out"
            self._work.left_out(f"{self._key}.mount_mode", sentence, mode)

    def _env(self) -> dict[str, str]:
        given = self._source.get("env")
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._fill_in("env", "it is no section; give each parameter as a name and a text")
            return {}
        env = {}
        for name, value in given.items():
            if isinstance(name, str) and _PARAMETER.fullmatch(name):
                env[name] = text_of(value)
            else:
                sentence = "it can't be part of a variable's name; use letters, digits and underscores"
                self._work.fill_in(f"{self._key}.env.{name}", sentence, (*self._place, "env"))
        return env

    def _path(self, made: dict[str, Any], uri: str) -> None:
        path = made["uri"] = uri.removeprefix("file://")
        if path != uri:
            self._work.taken(f"{self._key}.uri", "it is a path, without file:// in front", uri)
        absolute = path.startswith("/") and ".." not in path.split("/") and PurePosixPath(path) != PurePosixPath("/")
        if not absolute or path.startswith("//"):
            self._fill_in(
                "uri",
                'it is no absolute path without "..", as a file of the cluster\'s machines has; bring the '
                f"{made['type']} to a machine of the cluster and give its path there, or name a claim that holds it",
                path,
            )
        if self._work.site.node_name:
            made["nodeName"] = self._work.site.node_name
        else:
            self._fill_in(
                "uri",
                "it is a path on the node's machine; bring the file to a machine of the cluster, add that machine's "
                "name as nodeName (or translate with --node-name), or name a claim that holds it",
                path,
                at="nodeName",
            )

    def _reach(self, uri: str, tunnels: Mapping[str, int], containers: frozenset[str]) -> list[dict[str, Any]]:
        if is_file(uri):
            # The uri itself is not shown: connection strings have passwords in many places.
            self._fill_in("uri", NOT_A_FILE, at="reach")
            return []
        reach = []
        for host, port in destinations(uri):
            fault = _fault(host, port, tunnels, containers)
            if fault:
                self._fill_in("uri", fault, host, at="reach")
            else:
                reach.append({"host": host, "port": tunnels.get(host, port)})
        if not destinations(uri):
            self._fill_in(
                "uri", "it does not tell host and port; list every one that algorithms connect to", at="reach"
            )
        return reach

    def _credentials(self, made: dict[str, Any], env: dict[str, str], kind: str) -> None:
        """Put what algorithms have to know into a Secret where the chart takes one: for services."""
        # A path is no secret, and stays where it has to be corrected.
        secret_uri = kind in SERVICES and "uri" in made and not is_file(made["uri"])
        if self._work.site.secrets and kind in SERVICES and (secret_uri or (env and "uri" not in made)):
            name = f"database-{made['label'].lower().replace('_', '-')}"
            # `uri` alone means the uri itself; a parameter of that name is written in capitals, as its variable is.
            texts = {name.upper() if name == "uri" else name: text for name, text in env.items()}
            if secret_uri:
                texts["uri"] = made.pop("uri")
                self._work.taken(f"{self._key}.uri", f"it is in Secret {name}")
            made |= {"existingSecret": name, "secretKeys": {key: key for key in texts}}
            self._work.secret(name, {key: encode(text) for key, text in texts.items()})
            if env:
                self._work.taken(f"{self._key}.env", f"it is in Secret {name}")
            return
        if env:
            made["env"] = env
            self._work.inline.append(f"{self._key}.env")
        if secret_uri and re.search("[@?;]", made["uri"]):
            self._work.inline.append(f"{self._key}.uri")


def _fault(host: str, port: int | None, tunnels: Mapping[str, int], containers: frozenset[str]) -> str:
    """Why no algorithm could connect to a host and port, and what to do; empty if it could."""
    if is_this_machine(host):
        return "it means the machine that Docker ran on, and in a pod the pod itself; give the database's own host"
    if host in containers:
        return "it is a Docker container, which algorithms can't join; run it in the cluster, or give its host and port"
    if host in _RESERVED or not is_host(host):
        return "it is no host that algorithms can be let to; give the database's own name, in lower case, or address"
    if host in tunnels and port not in (None, tunnels[host]):
        return f"the SSH tunnel of that name listens on port {tunnels[host]}, not on {port}; correct the uri"
    if port is None and host not in tunnels:
        return "it has no port, and none is usual; list host and port"
    return ""


def _usable(given: str, taken: set[str], kind: str) -> str:
    """The label itself if it can be one, or one that resembles it."""
    label = re.sub(r"[^A-Za-z0-9_]", "_", given)[:LONGEST_LABEL].rstrip("_")
    if not re.match(LABEL, label):
        label = f"database_{label}"[:LONGEST_LABEL].rstrip("_")
    if kind == "folder" and label in {"data", "tmp"}:
        label = f"{label}_folder"
    base, number = label, 2
    while label.lower() in taken:
        label = f"{base[: LONGEST_LABEL - len(str(number)) - 1]}_{number}"
        number += 1
    return label
