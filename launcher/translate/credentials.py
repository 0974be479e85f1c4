"""What proves who the node is: its key, the organization's, and the logins for registries."""

import base64
import json
import re
from typing import Any

from launcher.config import UUID
from launcher.translate.findings import Place, Work, text_of
from launcher.translate.keys import REGISTRY
from launcher.translate.ways import key_remedy, private_key

KEY_SECRET = "v6-node-key"  # noqa: S105  its name, as in values.example.yaml
ORGANIZATION_SECRET = "v6-org-key"  # noqa: S105  as in docs/encryption.md
REGISTRY_SECRET = "v6-node-registry-login"  # noqa: S105
_PEM = re.compile(
    r"\s*-----BEGIN (RSA )?PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END (RSA )?PRIVATE KEY-----\s*", re.ASCII
)


def api_key(given: object, work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """`api_key` in the section, or `existingSecret` beside it."""
    key = text_of(given).strip()
    if not key:
        command = (
            f"kubectl -n {work.site.namespace} create secret generic {KEY_SECRET} --from-file=api_key=<file with it>"
        )
        sentence = f"it is missing; make a Secret of the key that the server showed with `{command}`, and name it here"
        work.fill_in("api_key", sentence, ("existingSecret",))
        return {}, {"existingSecret": ""}
    place: Place = ("existingSecret",) if work.site.secrets else ("node", "api_key")
    if not UUID.fullmatch(key):
        work.fill_in("api_key", "it is not a UUID; copy the key that the server showed at the registration", place)
    if not work.site.secrets:
        work.inline.append("api_key")
        return {"api_key": key}, {}
    work.secret(KEY_SECRET, {"api_key": key})
    work.taken("api_key", f"it is in Secret {KEY_SECRET}")
    return {}, {"existingSecret": KEY_SECRET}


def encryption(source: object, work: Work) -> dict[str, Any]:
    """`node.encryption`; the private key is in a Secret, whoever makes it."""
    place: Place = ("node", "encryption")
    given = work.section(source, "encryption", ("enabled", "private_key"), place)
    enabled = work.flag(given.get("enabled", False), "encryption.enabled", (*place, "enabled"), careful=False)
    path = text_of(given.get("private_key"))
    if not enabled:
        if "private_key" in given:
            work.left_out("encryption.private_key", "the collaboration is not encrypted, so no key is needed")
        return {"enabled": False}
    text = private_key(path, work)
    if _PEM.fullmatch(text) and work.site.secrets:
        work.secret(ORGANIZATION_SECRET, {"private_key.pem": text})
        work.taken("encryption.private_key", f"it is in Secret {ORGANIZATION_SECRET}")
    else:
        if text and not _PEM.fullmatch(text):
            remedy = (
                "it is no RSA key in PEM without a password; docs/encryption.md tells how to make one, and its Secret"
            )
        else:
            remedy = key_remedy(ORGANIZATION_SECRET, "private_key.pem", path, work)
        work.fill_in("encryption.private_key", remedy, (*place, "existingSecret"))
    return {"enabled": True, "existingSecret": ORGANIZATION_SECRET}


def registries(source: object, work: Work) -> list[dict[str, str]]:
    """`node.docker_registries`: logins, or the name of the one Secret with all of them."""
    place: Place = ("node", "docker_registries")
    logins = []
    for index, entry in enumerate(work.entries(source, "docker_registries", place)):
        key = f"docker_registries[{index}]"
        given = work.section(entry, key, REGISTRY, place)
        login = {name: text_of(given.get(name)) for name in REGISTRY}
        if not all(text.strip() for text in login.values()) or re.search(r"\s", login["registry"]):
            lacks = "it lacks registry, username or password, or the registry has blanks in it"
            work.fill_in(key, f"{lacks}; add the login, or name its Secret", place)
            continue
        logins.append(login)
        if work.site.secrets:
            work.taken(key, f"it is in Secret {REGISTRY_SECRET}", login["registry"])
        else:
            work.inline.append(f"{key}.password")
    if not logins or not work.site.secrets:
        return logins
    auths = {login["registry"]: _auth(login["username"], login["password"]) for login in logins}
    work.secret(REGISTRY_SECRET, {".dockerconfigjson": json.dumps({"auths": auths})}, "kubernetes.io/dockerconfigjson")
    return [{"existingSecret": REGISTRY_SECRET}]


def _auth(username: str, password: str) -> dict[str, str]:
    both = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"username": username, "password": password, "auth": both}
