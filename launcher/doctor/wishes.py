"""What a node with certain values will want of the cluster: no I/O here."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.admin.plan import at, merged
from launcher.config import UUID
from launcher.kubeapi import Tree

Values = Mapping[str, Any]
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the node's own pods run."""

    what: str
    """Its key in the values."""
    ref: str
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the values ask for."""

    values: Values
    """The chart's defaults, with the given values on top."""
    given: bool
    """Whether any were given."""
    version: str
    """The chart's appVersion, which is the images' tag where none is given."""

    @property
    def images(self) -> tuple[Image, ...]:
        """The node's own image first, the diagnostics algorithm's second; others only if their parts are installed."""
        parts = ["image", "isolation.image"]
        whitelist = self._at("node.whitelist") or {}
        if any(whitelist.get(key) for key in ("domains", "ips", "destinations")):
            parts.append("egress.image")
        if self._at("node.ssh-tunnels"):
            parts.append("tunnels.image")
        return tuple(self._image(part) for part in parts)

    def _image(self, part: str) -> Image:
        given = self._at(part) or {}
        name = given.get("repository") or ""
        ref = f"{name}@{given['digest']}" if given.get("digest") else f"{name}:{given.get('tag') or self.version}"
        return Image(part, ref, given.get("pullPolicy") or "IfNotPresent")

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Names of Secrets to pull with."""
        return tuple(self._at("imagePullSecrets") or ())

    @property
    def server(self) -> str:
        """Base URL of the server's API; empty if none is given."""
        url, port = str(self._at("node.server_url") or ""), self._at("node.port")
        return f"{url}{f':{port}' if port else ''}{self._at('node.api_path') or ''}" if url else ""

    @property
    def server_port(self) -> int:
        """The port that the server listens on."""
        return int(self._at("node.port") or _PORTS.get(str(self._at("node.server_url") or "").split(":")[0], 443))

    @property
    def api_key(self) -> str:
        """The key, if it is in the values."""
        return str(self._at("node.api_key") or "")

    @property
    def key_secret(self) -> str:
        """The name of the Secret with the key, if that is not in the values."""
        return str(self._at("existingSecret") or "")

    @property
    def authority(self) -> str:
        """The site's own authority for the server, as PEM."""
        return str(self._at("network.server.ca.pem") or "")

    @property
    def authority_elsewhere(self) -> tuple[str, str, str] | None:
        """Kind, name and key of the ConfigMap or Secret that holds it instead."""
        ca = self._at("network.server.ca") or {}
        for key, kind in (("existingConfigMap", "configmaps"), ("existingSecret", "secrets")):
            if ca.get(key):
                return kind, str(ca[key]), str(ca.get("key") or "ca.crt")
        return None

    @property
    def http_proxy(self) -> str:
        """The HTTP proxy before the server."""
        return str(self._at("network.httpProxy.url") or "")

    @property
    def server_networks(self) -> tuple[str, ...]:
        """Addresses that launcher and proxy may connect to for the server; empty: any."""
        return tuple(self._at("network.server.cidrs") or ()) if not self.http_proxy else ()

    @property
    def storage(self) -> Mapping[str, Any]:
        """The task volume."""
        return dict(self._at("taskVolume") or {})

    @property
    def claims(self) -> tuple[str, ...]:
        """Claims that have to exist: of databases, and the task volume's where it is somebody else's."""
        named = [str(each["claim"]) for each in self._at("node.databases") or () if each.get("claim")]
        own = self.storage.get("existingClaim")
        return tuple(dict.fromkeys(named + ([str(own)] if own else [])))

    @property
    def host_paths(self) -> bool:
        """Whether databases are on the machines' own disks, so that PersistentVolumes are made."""
        services = {"sql", "omop", "sparql", "other"}
        return any(
            each.get("type") not in services and not each.get("claim") for each in self._at("node.databases") or ()
        )

    @property
    def admission(self) -> bool:
        """Whether the chart's admission policy is installed."""
        return bool(self._at("admissionPolicy.enabled"))

    @property
    def quota(self) -> bool:
        """Whether the chart limits what all algorithms together may ask for."""
        return bool(self._at("jobs.quota"))

    @property
    def monitors(self) -> tuple[str, ...]:
        """What the chart makes for a Prometheus operator, as the API calls it."""
        kinds = {"podMonitor": "podmonitors", "prometheusRule": "prometheusrules"}
        return tuple(kind for key, kind in kinds.items() if self._at(f"monitoring.{key}.enabled"))

    @property
    def disruption_budget(self) -> bool:
        """Whether the proxy has a PodDisruptionBudget."""
        return bool(self._at("proxy.podDisruptionBudget.enabled"))

    @property
    def runtime_classes(self) -> tuple[str, ...]:
        """RuntimeClasses that profiles name."""
        named = [each.get("runtimeClassName") for each in self._profiles.values()]
        return tuple(dict.fromkeys(str(each) for each in named if each))

    @property
    def claiming_profiles(self) -> tuple[str, ...]:
        """Names of the profiles that claim devices."""
        claims = {
            name: (each.get("gpu") or {}).get("resourceClaimTemplateName") for name, each in self._profiles.items()
        }
        return tuple(name for name, template in claims.items() if template)

    @property
    def _profiles(self) -> Mapping[str, Mapping[str, Any]]:
        """Those that say something, by name."""
        return {name: each for name, each in (self._at("jobs.profiles") or {}).items() if each}

    @property
    def priority_classes(self) -> tuple[str, ...]:
        """PriorityClasses that pods name."""
        named = [self._at(f"{part}.priorityClassName") for part in ("launcher", "proxy", "jobs", "egress", "tunnels")]
        named += [each.get("priorityClassName") for each in self._profiles.values()]
        return tuple(dict.fromkeys(str(each) for each in named if each))

    @property
    def dns(self) -> Mapping[str, Any]:
        """Where the cluster's DNS is thought to be."""
        return dict(self._at("network.dns") or {})

    @property
    def user(self) -> int | None:
        """Whom the node's pods run as; None: whom the namespace says."""
        found: int | None = self._at("securityContext.runAsUser")
        return found

    @property
    def group(self) -> int | None:
        """Their group."""
        found: int | None = self._at("securityContext.runAsGroup")
        return found

    def pods(self) -> tuple[tuple[str, int, Tree], ...]:
        """What asks for room, how often, and how much: the node's pods, and one algorithm."""
        return (
            ("the launcher", 1, dict(self._at("launcher.resources") or {})),
            ("the proxy", int(self._at("proxy.replicas") or 1), dict(self._at("proxy.resources") or {})),
            ("an algorithm", 1, dict(self._at("jobs.resources") or {})),
        )

    def with_profiles(self) -> tuple[tuple[str, Tree], ...]:
        """What an algorithm asks for with each profile that says something of it."""
        usual = self._at("jobs.resources") or {}
        return tuple(
            (f"an algorithm with profile {name}", merged(usual, each["resources"]))
            for name, each in self._profiles.items()
            if each.get("resources")
        )

    def _at(self, path: str) -> Any:
        return at(self.values, tuple(path.split(".")))


def wishes(defaults: Values, given: Sequence[Values], version: str) -> Wishes:
    """What values ask for.

    Args:
        defaults: the chart's.
        given: further ones, the last of which win, as helm has it.
        version: the chart's appVersion.
    """
    values: Values = defaults
    for each in given:
        values = merged(values, each)
    return Wishes(values, bool(given), version)


def key_in(secret: Tree | None) -> str:
    """The API key of a Secret; empty if it has none that could be one."""
    try:
        key = base64.b64decode(((secret or {}).get("data") or {}).get("api_key", "")).decode().strip()
    except ValueError:
        return ""
    return key if UUID.fullmatch(key) else ""
