"""The ways out of an algorithm's pod beside databases: the whitelist, and SSH tunnels."""

import ipaddress
import re
import shlex
from collections.abc import Mapping
from typing import Any

from launcher.translate.findings import Place, Work, shown, text_of
from launcher.translate.keys import WHITELIST
from launcher.translate.reach import is_host, is_this_machine

TUNNELS: Place = ("node", "ssh-tunnels")
UNKNOWN_KEY = "fill-in"
"""What stands for a public key that is missing; the chart refuses it."""
_PUBLIC_KEY = re.compile(r"(?:\S+ )?((?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]+=*)(?: .*)?")
_HOSTNAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", re.ASCII)
_USER = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*", re.ASCII)
_SERVER = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?", re.ASCII)
_DESTINATION = re.compile(r"[0-9]+(\.[0-9]+){3}|[0-9a-fA-F:]+|[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)


def port_of(value: object) -> int | None:
    """A port, whether it is written as a number or as text; None if it is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value.strip(), re.ASCII):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536 else None


def whitelist(source: object, work: Work) -> dict[str, Any]:
    """The chart's whitelist."""
    place: Place = ("node", "whitelist")
    lists: dict[str, list[Any]] = {name: [] for name in WHITELIST}
    for name, given in work.section(source, "whitelist", WHITELIST, place).items():
        for index, entry in enumerate(work.entries(given, f"whitelist.{name}", (*place, name))):
            home, value, fault = _whitelisted(name, entry)
            key = f"whitelist.{name}[{index}]"
            if fault:
                work.fill_in(key, fault, (*place, name), entry)
                continue
            if home != name or value != entry:
                work.taken(key, f"it is {shown(value)} in node.whitelist.{home}", entry)
            lists[home].append(value)
    if lists["ports"] and not (lists["domains"] or lists["ips"]):
        work.left_out("whitelist.ports", "they belong to no host; list domains or ips too")
        lists["ports"] = []
    return {name: found for name, found in lists.items() if found}


def _whitelisted(name: str, entry: object) -> tuple[str, Any, str]:
    """The list that an entry belongs to, what it is there, and why it can't be there."""
    if name == "ports":
        port = port_of(entry)
        return name, port, "" if port else "it is no port; list every port as a number from 1 to 65535"
    text = text_of(entry).strip()
    if is_this_machine(text):
        return name, text, "it means the machine that Docker ran on; give the host's own name or address"
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network and "%" not in text:
        return "ips", str(network) if "/" in text else text, ""
    host = text.lower()
    if name == "domains" and is_host(host.removeprefix(".")):
        return name, host, ""
    return name, text, "it is neither a host's name nor an address; leave out scheme, port and path"


def tunnels(source: object, work: Work) -> list[dict[str, Any]]:
    """The chart's SSH tunnels; one that lacks what the chart can't be without is noted and left out."""
    made: list[dict[str, Any]] = []
    for index, entry in enumerate(work.entries(source, "ssh-tunnels", TUNNELS)):
        tunnel = _Tunnel(f"ssh-tunnels[{index}]", (*TUNNELS, len(made)), entry, work).translated()
        if tunnel and tunnel["hostname"] in {other["hostname"] for other in made}:
            work.fill_in(f"ssh-tunnels[{index}]", "another one has its hostname; choose another", TUNNELS)
        elif tunnel:
            made.append(tunnel)
    return made


class _Tunnel:
    """One SSH tunnel of the file."""

    def __init__(self, key: str, place: Place, source: object, work: Work) -> None:
        self._key = key
        self._place = place
        self._source = source
        self._work = work

    def translated(self) -> dict[str, Any] | None:
        """The chart's form; None if something is missing or can't be used."""
        known = {"": ("hostname", "ssh", "tunnel"), ".ssh": ("host", "port", "fingerprint", "identity")}
        tunnel = self._below(self._source, "", known[""])
        ssh = self._below(tunnel.get("ssh"), ".ssh", known[".ssh"])
        identity = self._below(ssh.get("identity"), ".ssh.identity", ("username", "key"))
        ends = self._below(tunnel.get("tunnel"), ".tunnel", ("bind", "dest"))
        bind = self._below(ends.get("bind"), ".tunnel.bind", ("ip", "port"))
        dest = self._below(ends.get("dest"), ".tunnel.dest", ("ip", "port"))
        faults = list(_faults(tunnel, ssh, identity, bind, dest))
        for name, remedy in faults:
            self._work.fill_in(f"{self._key}.{name}", f"{remedy}; until then the tunnel is left out", TUNNELS)
        if faults:
            self._work.left_out(self._key, "what the chart can't be without is missing or can't be used")
            return None
        hostname = tunnel["hostname"]
        if bind.get("ip") not in (None, "0.0.0.0"):  # noqa: S104  what the chart calls it; nothing listens here
            sentence = "algorithms reach the tunnel by its hostname"
            self._work.left_out(f"{self._key}.tunnel.bind.ip", sentence, bind["ip"])
        return {
            "hostname": hostname,
            "ssh": {
                "host": text_of(ssh["host"]),
                "port": _ssh_port(ssh),
                "fingerprint": self._fingerprint(ssh),
                "identity": {"username": text_of(identity["username"])} | self._identity(identity, hostname),
            },
            "tunnel": {
                "bind": {"ip": "0.0.0.0", "port": port_of(bind["port"])},  # noqa: S104
                "dest": {"ip": text_of(dest["ip"]), "port": port_of(dest["port"])},
            },
        }

    def _below(self, value: object, way: str, known: tuple[str, ...]) -> dict[str, Any]:
        return self._work.section(value, self._key + way, known, TUNNELS)

    def _fingerprint(self, ssh: dict[str, Any]) -> str:
        given = " ".join(text_of(ssh.get("fingerprint")).split())
        found = _PUBLIC_KEY.fullmatch(given)
        if found and found[1] == ssh.get("fingerprint"):
            return found[1]
        key, place = f"{self._key}.ssh.fingerprint", (*self._place, "ssh", "fingerprint")
        if found:
            self._work.taken(key, "it is the key's type and text alone")
            return found[1]
        sentence = f"it is no public key such as ssh-ed25519 AAAA…; copy one from `ssh-keyscan {text_of(ssh['host'])}`"
        self._work.fill_in(key, sentence, place)
        return given or UNKNOWN_KEY

    def _identity(self, identity: dict[str, Any], hostname: str) -> dict[str, str]:
        name, key = f"tunnel-key-{hostname}", text_of(identity.get("key"))
        text = private_key(key, self._work)
        where, place = f"{self._key}.ssh.identity.key", (*self._place, "ssh", "identity", "existingSecret")
        if text and self._work.site.secrets:
            self._work.secret(name, {"ssh-privatekey": text})
            self._work.taken(where, f"it is in Secret {name}")
        else:
            self._work.fill_in(where, key_remedy(name, "ssh-privatekey", key, self._work), place)
        return {"existingSecret": name}


def _faults(
    tunnel: Mapping[str, Any], ssh: Mapping[str, Any], identity: Mapping[str, Any], bind: Any, dest: Any
) -> list[tuple[str, str]]:
    """Keys without which there is no tunnel, each with its remedy."""
    host = text_of(ssh.get("host"))
    bound = port_of(bind.get("port"))
    name = text_of(tunnel.get("hostname"))
    wanted = {
        "hostname": (
            _HOSTNAME.fullmatch(name) and name not in {"localhost", "proxyserver", "squid"},
            "choose a name of at most 40 small letters, digits and dashes, and in the database's uri too",
        ),
        "ssh.host": (
            _SERVER.fullmatch(host) and not is_this_machine(host),
            "give the SSH server's own name or address",
        ),
        "ssh.port": (_ssh_port(ssh), "give the SSH server's port"),
        "ssh.identity.username": (
            _USER.fullmatch(text_of(identity.get("username"))),
            "give the user's name at the SSH server",
        ),
        "tunnel.bind.port": (bound and bound >= 1024, "give a port from 1024 on, and in the database's uri too"),
        "tunnel.dest.ip": (
            _DESTINATION.fullmatch(text_of(dest.get("ip"))),
            "give the database's address, seen from the SSH server",
        ),
        "tunnel.dest.port": (port_of(dest.get("port")), "give the database's port, seen from the SSH server"),
    }
    return [(key, remedy) for key, (good, remedy) in wanted.items() if not good]


def _ssh_port(ssh: Mapping[str, Any]) -> int | None:
    return 22 if ssh.get("port") is None else port_of(ssh["port"])


def private_key(given: str, work: Work) -> str:
    """The text of a private key that is given as text or path; empty if it is not known."""
    text = given if given.lstrip().startswith("-----BEGIN") else work.site.files.get(given, "")
    return text if text.lstrip().startswith("-----BEGIN") else ""


def key_remedy(secret: str, name: str, given: str, work: Work) -> str:
    """What to do for a private key that is to be in a Secret."""
    # What has blanks or is long may be a key itself.
    path = shlex.quote(given) if re.fullmatch(r"\S{1,200}", given) else "<the key's file>"
    command = f"kubectl -n {work.site.namespace} create secret generic {secret} --from-file={name}={path}"
    why = "its file can't be read here" if work.site.secrets else "a private key is not written into values"
    return f"{why}; make the Secret with `{command}`" + ("" if work.site.secrets else ", or translate with --secrets")
