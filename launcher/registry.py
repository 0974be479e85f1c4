"""Asks an image's registry which image a tag means now.

The protocol is that of the OCI (https://github.com/opencontainers/distribution-spec/blob/main/spec.md), the way to a
token that of https://distribution.github.io/distribution/spec/auth/token/.
"""

import asyncio
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from launcher import logs
from launcher.backoff import backoff
from launcher.config.registries import Login, Registries, login_for
from launcher.imagereference import ImageReference

ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_ATTEMPTS = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # seconds
_BIGGEST = 4 * 2**20  # bytes: what a registry has to take as a manifest, and so the most that is read
_WORDS = 300  # characters of a registry's own that are passed on


class ImageUnavailable(Exception):  # noqa: N818
    """The registry does not give the image: a sentence on whether it is not there, denied, or not to be asked."""


class _NoAnswer(Exception):  # noqa: N818
    """The registry can't be reached, or can't serve now: it is asked again."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Any
    body: bytes


class Registry:
    """Looks up digests.

    Args:
        http: carries the connections; closed by whoever made it.
        registries: how they are reached.
        logins: folder of Docker configuration files with logins.
    """

    def __init__(self, http: aiohttp.ClientSession, registries: Registries, logins: Path | None) -> None:
        self._http = http
        self._registries = registries
        self._logins = logins
        self._trust = registries.trust

    async def digest(self, image: ImageReference) -> str:
        """The digest of an image, without asking if it is named by it; a registry that does not answer is asked again.

        Raises:
            ImageUnavailable: in one sentence for the researcher.
        """
        if image.digest:
            return image.digest
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._ask(image)
            except _NoAnswer as error:
                if attempt == _ATTEMPTS:
                    raise ImageUnavailable(
                        f"The registry {image.registry} of the image {image} can't be reached: {error}. Correct the "
                        "name; or the site gives the registry's address in jobs.registries.endpoints, or turns "
                        "node.policies.require_algorithm_pull off for images that its machines have already."
                    ) from error
                await asyncio.sleep(backoff(attempt, _FIRST_PAUSE, _LONGEST_PAUSE))
        raise AssertionError

    async def _ask(self, image: ImageReference) -> str:
        login = login_for(image, self._logins)
        if login:
            logs.hide(login.password)
            logs.hide(login.header.removeprefix("Basic "))
        url = URL(f"{self._registries.base_of(image.registry)}/v2/{image.repository}/manifests/{image.which}")
        answer, authorization = await self._send("HEAD", url, ""), ""
        if answer.status == 401:
            authorization = await self._authorization(answer, image, login)
            answer = await self._send("HEAD", url, authorization)
        if answer.status == 200 and _DIGEST.fullmatch(answer.headers.get("Docker-Content-Digest", "")):
            return str(answer.headers["Docker-Content-Digest"])
        # Not every registry names the digest, and an answer to HEAD has no words.
        answer = await self._send("GET", url, authorization)
        if answer.status == 200:
            return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        raise _refusal(image, answer, login)

    async def _authorization(self, challenge: _Answer, image: ImageReference, login: Login | None) -> str:
        """What the challenge wants to see: the login itself, or a token that is fetched with it."""
        wanted = challenge.headers.getall("WWW-Authenticate", [])
        bearer = next((each for each in wanted if each.lower().startswith("bearer ")), None)
        if bearer is None:
            return login.header if login else ""
        terms = dict(re.findall(r'(\w+)="([^"]*)"', bearer))
        realm = URL(terms.get("realm", ""))
        # A password goes nowhere in clear text, but to a registry that the site itself asks by http.
        plain = self._registries.base_of(image.registry).startswith("http://")
        if realm.scheme != "https" and not (plain and realm.scheme == "http"):
            return ""
        query = {"scope": f"repository:{image.repository}:pull"}
        if service := terms.get("service"):
            query["service"] = service
        answer = await self._send("GET", realm.update_query(query), login.header if login else "")
        if answer.status != 200:
            raise _refusal(image, answer, login)
        told = _json(answer.body)
        token = told.get("token") or told.get("access_token") if isinstance(told, dict) else ""
        return f"Bearer {token}"

    async def _send(self, method: str, url: URL, authorization: str) -> _Answer:
        headers = {"Accept": ACCEPT} | ({"Authorization": authorization} if authorization else {})
        try:
            async with self._http.request(
                method, url, headers=headers, ssl=self._trust, timeout=_TIMEOUT, max_redirects=5
            ) as response:
                if response.status >= 500 or response.status == 429:
                    raise _NoAnswer(f"it answered {response.status}")
                return _Answer(response.status, response.headers, await _read(response))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            words = str(getattr(error, "os_error", None) or error)  # aiohttp's own names its objects
            raise _NoAnswer(words[:_WORDS] or "no answer") from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _BIGGEST:
            raise _NoAnswer(f"it answered with more than {_BIGGEST} bytes")
    return body


def _refusal(image: ImageReference, answer: _Answer, login: Login | None) -> ImageUnavailable:
    words = _words(answer)
    if answer.status == 404:
        return ImageUnavailable(f"The registry {image.registry} has no image {image}{words}.")
    if answer.status in {401, 403}:
        remedy = "the node's login is not good for it" if login else "the node has no login for it"
        return ImageUnavailable(f"The registry {image.registry} denies the image {image}{words}; {remedy}.")
    return ImageUnavailable(f"The registry {image.registry} answered {answer.status} to {image}{words}.")


def _words(answer: _Answer) -> str:
    """What a registry says in its own words, if it does so in the specified form."""
    told = _json(answer.body)
    errors = told.get("errors") if isinstance(told, dict) else None
    said = [str(each.get("message") or each.get("code")) for each in errors or () if isinstance(each, dict)]
    text = " ".join("; ".join(said).split())
    return f" ({text[:_WORDS]})" if text else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
