"""Whose request it is: the algorithm's container token.

The proxy has no key to verify a token with; the server does that, and nothing is decrypted or handed back before it
has. What is looked at here is what the token says: what is asked for is held against it (narrowing.py).
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from proxy.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Container:
    """What an algorithm's token says of it."""

    node_id: int
    organization_id: int
    collaboration_id: int
    task_id: int
    image: str
    databases: frozenset[str]
    """Their labels."""


def container_of(authorization: str | None) -> Container:
    """The algorithm that an Authorization header belongs to.

    In server 4.x, a container token's `sub` is a mapping with `client_type: container`; those of users and nodes are
    numbers.

    Raises:
        Refusal: 401 without a readable bearer token, 403 if it is not a container token.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(401, "Missing Authorization header; send 'Bearer' and the token from the file TOKEN_FILE names.")
    subject = _claims(token.strip()).get("sub")
    if not isinstance(subject, dict) or subject.get("client_type") != "container":
        raise _foreign()
    numbers = [subject.get(key) for key in ("node_id", "organization_id", "collaboration_id", "task_id")]
    image, databases = subject.get("image"), subject.get("databases") or []
    if not all(type(number) is int for number in numbers) or not isinstance(image, str):
        raise _foreign()
    if not isinstance(databases, list) or not all(isinstance(entry, dict) for entry in databases):
        raise _foreign()
    labels = frozenset(str(entry.get("label")) for entry in databases)
    node, organization, collaboration, task = (int(number) for number in numbers if number is not None)
    return Container(node, organization, collaboration, task, image, labels)


def _foreign() -> Refusal:
    return Refusal(403, "This is not an algorithm's token; use the one from the file TOKEN_FILE names.")


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise Refusal(401, "The Authorization header holds no JSON Web Token; use the one TOKEN_FILE names.")
    return claims
