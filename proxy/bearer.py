"""Whose request it is: the algorithm's container token.

The proxy has no key to verify a token with; the server does that. What is looked at here is only which kind it is, so
that the proxy is of no use with a token of any other kind.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from proxy.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Container:
    """What the log may say about the algorithm that asks."""

    task_id: int | None


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
        raise Refusal(403, "This is not an algorithm's token; use the one from the file TOKEN_FILE names.")
    task_id = subject.get("task_id")
    return Container(task_id if isinstance(task_id, int) else None)


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise Refusal(401, "The Authorization header holds no JSON Web Token; use the one TOKEN_FILE names.")
    return claims
