"""What the doctor's pods found of names, the server, clocks and the volume, judged: no I/O here."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from launcher.admin.progress import words
from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.probes import FREE, VOLUME, server_host
from launcher.doctor.tried import Tried
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import Tree

SKEW_WARNS, SKEW_FAILS = 30.0, 300.0
"""Seconds: tokens of service accounts and certificates become doubtful, and useless."""


def names(tried: Tried, wishes: Wishes) -> list[Finding]:
    """Whether the cluster's DNS answers."""
    found = tried.answer(FREE).get("look_up")
    if not found:
        return [warn("dns", f"Looking names up could not be tried: {tried.trouble(FREE)}", "mend that and ask again")]
    host = server_host(wishes)
    findings = []
    inside = {name: answer for name, answer in found.items() if name != host}
    if broken := [name for name, answer in inside.items() if "error" in answer]:
        remedy = "look at the cluster's DNS (`kubectl -n kube-system get pods`), and at the machines' way to it"
        findings.append(fail("dns", f"A pod can't look up {broken[0]}: {words(inside[broken[0]]['error'])}", remedy))
    elif inside:
        findings.append(ok("dns", "Pods look up the cluster's names."))
    if host in found and "error" in found[host]:
        what = "the HTTP proxy" if wishes.http_proxy else "the vantage6 server"
        remedy = "correct node.server_url or network.httpProxy, or have the cluster's DNS know the name"
        findings.append(fail("dns", f"A pod can't look up {what}, {host}: {words(found[host]['error'])}", remedy))
    elif host in found:
        findings += _networks(wishes, found[host].get("addresses") or ())
    return findings


def _networks(wishes: Wishes, addresses: Sequence[str]) -> list[Finding]:
    """Whether the addresses are among those that launcher and proxy will be let to."""
    try:
        networks = [ipaddress.ip_network(each, strict=False) for each in wishes.server_networks]
        outside = [each for each in addresses if not any(ipaddress.ip_address(each) in network for network in networks)]
    except ValueError:
        return []  # what is no network is refused by the chart
    if not networks or not outside:
        return []
    sentence = f"The server has the address {', '.join(outside)}, which network.server.cidrs does not include."
    remedy = "add it there, unless it is a Service of this cluster: then its pods' addresses count"
    return [warn("server", sentence, remedy)]


def server(answer: Tree, wishes: Wishes, *, here: str = "") -> list[Finding]:
    """Whether the vantage6 server is reached, and takes the node's key.

    Args:
        answer: of `inside.ask`.
        wishes: of the values.
        here: why it was asked from this machine instead of a pod; empty if from a pod.
    """
    who = "This machine" if here else "A pod"
    if "error" in answer:
        return [fail("server", f"{who} can't reach {wishes.server}: {words(answer['error'])}", _way(answer, wishes))]
    status, version = answer.get("status"), answer.get("version")
    if status != 200 or not version:
        sentence = f"{wishes.server} answers {status} where a vantage6 server would tell its version."
        return [fail("server", sentence, "correct node.server_url, node.port and node.api_path")]
    if not re.match(r"4\.", str(version)):
        return [fail("server", f"The server at {wishes.server} is vantage6 {version}.", "this node is for vantage6 4")]
    if here:
        sentence = (
            f"vantage6 {version} answers this machine at {wishes.server}; whether also a pod is not known: {here}"
        )
        findings = [warn("server", sentence, "mend that and ask again")]
    else:
        findings = [ok("server", f"vantage6 {version} answers pods at {wishes.server}.")]
    return findings + _login(answer.get("login"))


def _way(answer: Tree, wishes: Wishes) -> str:
    if "ertificate" in str(answer.get("error")) or "SSL" in str(answer.get("kind")):
        return "if it is the right server, give the authority that signed its certificate in network.server.ca"
    if wishes.http_proxy:
        return "correct network.httpProxy, or have the HTTP proxy let the cluster through to the server"
    host = urlsplit(wishes.server).hostname
    return (
        f"have the cluster's way out to {host} port {wishes.server_port} opened (firewall, NAT), give "
        "network.httpProxy if there is one, or correct node.server_url and node.port"
    )


def _login(login: Tree | None) -> list[Finding]:
    if login is None:
        remedy = "give the values with -f, and the Secret that existingSecret names"
        return [warn("api key", "No API key was given, so none was tried.", remedy)]
    if login.get("status") == 200:
        return [ok("api key", "The server takes the API key.")]
    said = words(login.get("message") or str(login.get("status")))
    remedy = "give the key that the server showed when the node was registered (`v6-node set-api-key`)"
    return [fail("api key", f"The server refuses the API key: {said}", remedy)]


def clocks(tried: Tried, here: float | None) -> list[Finding]:
    """Whether the clocks agree: of the machine that pods ran on, of the API server, of the vantage6 server.

    Args:
        tried: the pods.
        here: seconds by which this machine's clock is ahead of the API server's; None: it is not known.
    """
    answer = tried.answer(FREE)
    machine = "The clock of the cluster's machine"
    pairs = [
        (machine, "the API server's", (answer.get("clock") or {}).get("ahead")),
        (machine, "the vantage6 server's", (answer.get("server") or {}).get("ahead")),
        ("This machine's clock", "the API server's", here),
    ]
    known = [(whose, than, ahead) for whose, than, ahead in pairs if ahead is not None]
    wrong = [(whose, than, ahead) for whose, than, ahead in known if abs(ahead) >= SKEW_WARNS]
    if not known:
        return [warn("clocks", "No clock could be compared.", "see why pods don't run")]
    findings = []
    for whose, than, ahead in wrong:
        way = "ahead of" if ahead > 0 else "behind"
        grade = fail if abs(ahead) >= SKEW_FAILS and whose == machine else warn
        remedy = "have both set their clocks by NTP; tokens and certificates are valid by the clock"
        findings.append(grade("clocks", f"{whose} is {abs(ahead):.0f} seconds {way} {than}.", remedy))
    compared = ", ".join(dict.fromkeys(than for _, than, _ in known))
    return findings or [ok("clocks", f"Clocks agree within {SKEW_WARNS:.0f} seconds (with {compared}).")]


def volume(tried: Tried) -> list[Finding]:
    """Whether a volume like the task volume came, and can be written to."""
    if not tried.begun(VOLUME):
        return []
    said = tried.answer(VOLUME).get("write")
    if said == "written":
        return [ok("storage", "A volume like the task volume was made, mounted and written to.")]
    if said:
        remedy = (
            "the node runs as securityContext.runAsUser, in the volume's fsGroup; take a StorageClass whose volumes "
            "keep that, or an existingClaim that the user may write to"
        )
        return [fail("storage", f"A volume like the task volume can't be written to: {words(said)}", remedy)]
    why = tried.trouble(VOLUME)
    if "can't be pulled" in why:
        return [warn("storage", f"Whether a volume comes could not be tried: {why}", "see images")]
    remedy = "correct taskVolume.storageClassName and taskVolume.accessModes, or look at the class's provisioner"
    return [fail("storage", f"A volume like the task volume does not come: {why}", remedy)]
