"""Environment variables: those of algorithms, and those that vantage6 gives the node's container."""

import re
from collections.abc import Mapping
from typing import Any

from launcher.config.profiles import VARIABLE
from launcher.translate.findings import Place, Work, text_of
from launcher.translate.keys import REFUSED
from launcher.translate.reach import destinations, is_host, is_this_machine

EXTRA = "node_extra_env"
_CHARTS_OWN = re.compile(r"V6_NODE_.*|POD_NAME|POD_IPS|HOST_IPS")
_PROXY = re.compile(r"(https?|wss?|all|no)_proxy", re.IGNORECASE)
_PROXY_URL = re.compile(r"http://([^]/\s:@?#\[]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?")
_AUTHORITIES = frozenset({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"})
_REFERENCE = re.compile(
    r"PROXY_SERVER_(HOST|PORT)|PRIVATE_KEY|(DATA|VPN|SSH_TUNNEL|SSH_SQUID)_VOLUME_NAME|.*_DATABASE_URI"
)
EXTRA_SECRET = "v6-node-extra-env"  # noqa: S105
PROXY_SECRET = "v6-node-http-proxy"  # noqa: S105  its name


def algorithm_env(source: object, work: Work) -> dict[str, str]:
    """The chart's `node.algorithm_env`."""
    place: Place = ("node", "algorithm_env")
    if source is not None and not isinstance(source, Mapping):
        work.fill_in("algorithm_env", "it is no section; give each variable as a name and a text", place)
        return {}
    made = {}
    for name, value in (source or {}).items():
        if isinstance(name, str) and VARIABLE.fullmatch(name) and name != "PKG_NAME":
            made[name] = text_of(value)
        else:
            sentence = (
                "it can't be a variable of an algorithm; use letters, digits and underscores, and not PKG_NAME, which "
                "belongs to the image"
            )
            work.left_out(f"algorithm_env.{name}", sentence)
    return made


def node_extra_env(source: object, server_url: str, work: Work) -> dict[str, Any]:
    """What launcher and proxy get of it: `launcher`, `proxy` and `network` of the chart's values, if any."""
    if source is not None and not isinstance(source, Mapping):
        work.left_out(EXTRA, f"it is no section; {REFUSED[EXTRA]}")
        return {}
    variables, proxies = {}, {}
    for name, value in (source or {}).items():
        key = f"{EXTRA}.{name}"
        if isinstance(name, str) and _PROXY.fullmatch(name):
            proxies[name] = text_of(value).strip()
        elif name in _AUTHORITIES:
            sentence = "its file is not in the pods; give the authority's certificate as network.server.ca.pem"
            work.fill_in(key, sentence, ("network", "server", "ca", "pem"), value)
        elif why := _no_home(name):
            work.left_out(key, why)
        else:
            variables[name] = text_of(value)
    made: dict[str, Any] = {}
    if variables:
        made = {part: {"extraEnv": _extra_env(variables, work)} for part in ("launcher", "proxy")}
        for name in variables:
            work.taken(f"{EXTRA}.{name}", f"{REFUSED[EXTRA]}: both are set")
        work.inline += [] if work.site.secrets else [f"{EXTRA}.{name}" for name in variables]
    proxy = _http_proxy(proxies, server_url, work)
    return made | ({"network": {"httpProxy": proxy}} if proxy else {})


def _extra_env(variables: Mapping[str, str], work: Work) -> list[dict[str, Any]]:
    if not work.site.secrets:
        return [{"name": name, "value": text} for name, text in variables.items()]
    work.secret(EXTRA_SECRET, dict(variables))
    keys = {name: {"secretKeyRef": {"name": EXTRA_SECRET, "key": name}} for name in variables}
    return [{"name": name, "valueFrom": source} for name, source in keys.items()]


def _no_home(name: object) -> str:
    """Why launcher and proxy don't get a variable; empty if they do."""
    if not isinstance(name, str) or not VARIABLE.fullmatch(name):
        return "it is no name of a variable; use letters, digits and underscores"
    if _CHARTS_OWN.fullmatch(name):
        return "the chart sets it itself; leave it out"
    if _REFERENCE.fullmatch(name):
        return "it is of the reference node alone; leave it out"
    return ""


def _http_proxy(given: Mapping[str, str], server_url: str, work: Work) -> dict[str, str]:
    """The chart's `network.httpProxy`, from the variable that holds for the server's scheme."""
    wanted = ("https_proxy", "all_proxy") if server_url.startswith("https:") else ("http_proxy", "all_proxy")
    order = [name for want in wanted for name in given if name.lower() == want and given[name]]
    chosen = order[0] if order else ""
    for name in given:
        if name != chosen:
            work.left_out(f"{EXTRA}.{name}", "network.httpProxy alone says how the server is reached; leave it out")
    return _address(f"{EXTRA}.{chosen}", given[chosen], work) if chosen else {}


def _address(key: str, given: str, work: Work) -> dict[str, str]:
    place: Place = ("network", "httpProxy", "url")
    whole = (given if "://" in given else f"http://{given}").rstrip("/")
    scheme, _, rest = whole.partition("://")
    login, _, host = rest.rpartition("@")
    url = f"{scheme}://{host}"
    known = [name for name, port in destinations(url) if port and is_host(name) and not is_this_machine(name)]
    if not known or not _PROXY_URL.fullmatch(url):
        sentence = "it is no address of an HTTP proxy that pods reach; write it like http://proxy.example.org:3128"
        work.fill_in(key, sentence, place)
        return {}
    if not login:
        work.taken(key, "it is network.httpProxy.url", url)
        return {"url": url}
    if work.site.secrets:
        work.secret(PROXY_SECRET, {"url": whole})
        work.taken(key, f"it is network.httpProxy, with name and password in Secret {PROXY_SECRET}", url)
    else:
        command = (
            f"kubectl -n {work.site.namespace} create secret generic {PROXY_SECRET} --from-file=url=<file with it>"
        )
        sentence = f"name and password belong into a Secret; make it with `{command}`, or translate with --secrets"
        work.fill_in(key, sentence, ("network", "httpProxy", "existingSecret"), url)
    return {"url": url, "existingSecret": PROXY_SECRET}
