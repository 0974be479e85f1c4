"""REST calls to a vantage6 4.x server in the node's name, with a token that is kept fresh."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import jwt

from launcher import logs
from launcher.apikey import ApiKey
from launcher.backoff import Backoff
from launcher.session import LoginRefused, ServerRefusal, ServerUnavailable
from launcher.session.resultbody import Streamed
from launcher.translation import PIECE_BYTES, Translation

log = logging.getLogger(__name__)

# The server answers 401 to an expired token and 422 to one signed with a secret that it no longer has.
_STALE_TOKEN = {401, 422}
_RENEW_BEFORE_EXPIRY = 600.0
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


class Rest:
    """The node's authenticated calls.

    Args:
        http: carries the connections; closed by whoever made it.
        api_url: base of the server's REST API.
        api_key: the node's key.
        on_failure: told why the server does not serve the node at log-in, in a sentence.
        on_login: told of each log-in: empty, or why a changed key was refused, in a sentence.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_url: str,
        api_key: str | ApiKey,
        on_failure: Callable[[str], None] = lambda _: None,
        on_login: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._http = http
        self._api_url = api_url
        self._api_key = api_key if isinstance(api_key, ApiKey) else ApiKey(api_key)
        self._access = ""
        self._refresh = ""
        self._on_failure = on_failure
        self._on_login = on_login
        self._good_until = 0.0
        self._renewal = asyncio.Lock()

    @property
    def headers(self) -> dict[str, str]:
        """What proves to the server who calls."""
        return {"Authorization": f"Bearer {self._access}"}

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says; unverified, since a node has no key to verify it with."""
        return _claims(self._access)

    async def login(self) -> None:
        """Log in with the API key, for as long as it takes the server to answer.

        Raises:
            LoginRefused: the server does not know the key.
        """
        retry = Backoff()
        while True:
            try:
                return await self._login()
            except ServerUnavailable as error:
                self._on_failure(f"The server at {self._api_url} does not serve this node ({error}); {_remedy(error)}.")
                await asyncio.sleep(retry.failed())

    async def _login(self) -> None:
        try:
            answer = await self._tokens()
        except LoginRefused:
            # The key may have been replaced at server and site since it was read.
            if not self._api_key.renewed():
                raise
            answer = await self._tokens()
        self._keep(answer)
        self._on_login("")

    async def _tokens(self) -> dict[str, Any]:
        """What the server gives for the key.

        Raises:
            LoginRefused: the server does not know the key.
        """
        status, answer = await self._send("POST", "/token/node", json={"api_key": self._api_key.text})
        if status in {400, 401}:
            raise LoginRefused(
                f"The server at {self._api_url} refuses api_key ({answer.get('msg', status)}); "
                "give the key that it showed when this node was registered."
            )
        if status != 200 or "access_token" not in answer:
            raise ServerUnavailable(f"log-in at {self._api_url} was answered {status}: {answer.get('msg', '')}")
        return dict(answer)

    async def follow_key(self) -> None:
        """Log in again whenever the key was replaced, for ever; one that is refused is reported, and nothing changes.

        Raises:
            LoginRefused: the key is another node's now.
        """
        while True:
            await self._api_key.changed()
            retry = Backoff()
            while True:
                try:
                    await self._change_key()
                    break
                except ServerUnavailable as error:
                    log.warning("can't log in with the new key yet", extra={"fields": {"reason": str(error)}})
                    await asyncio.sleep(retry.failed())

    async def _change_key(self) -> None:
        async with self._renewal:
            try:
                answer = await self._tokens()
            except LoginRefused as refusal:
                log.critical("the new API key is refused", extra={"fields": {"reason": str(refusal)}})
                self._on_login(str(refusal))
                return
            if _claims(answer["access_token"])["sub"] != self.claims["sub"]:
                raise LoginRefused(
                    "api_key was replaced by that of another node; this launcher ends, and the next one is that node."
                )
            self._keep(answer)
        log.info("logged in with the new API key")
        self._on_login("")

    def _keep(self, answer: dict[str, Any]) -> None:
        self._access, self._refresh = answer["access_token"], answer["refresh_token"]
        for token in (self._access, self._refresh):
            logs.hide(token)
        # By the server's clock alone: this machine's may be wrong by more than a token is valid.
        lifetime = float(self.claims["exp"]) - float(self.claims["iat"])
        self._good_until = time.monotonic() + lifetime

    async def renew(self, stale: str | None = None) -> None:
        """Get a new access token, by the refresh token or, where that fails, by logging in.

        The server also names a `refresh_url`. It holds the address that the server believes to have, which behind a
        reverse proxy is another one: the refresh token goes nowhere but to the address that was configured.

        Args:
            stale: the token that failed; if it was renewed in the meantime, nothing is done.
        """
        async with self._renewal:
            if stale is not None and stale != self._access:
                return
            bearer = {"Authorization": f"Bearer {self._refresh}"}
            status, answer = await self._send("POST", "/token/refresh", headers=bearer)
            if status == 200 and "access_token" in answer:
                self._keep(answer)
            else:
                await self._login()

    async def keep_fresh(self) -> None:
        """Renew the access token before it expires, for ever.

        Raises:
            LoginRefused: the server does not accept the node's key any more.
        """
        retry = Backoff()
        while True:
            left = self._good_until - time.monotonic()
            await asyncio.sleep(retry.seconds if retry.failures else max(left - _RENEW_BEFORE_EXPIRY, left / 2, 1.0))
            try:
                await self.renew(self._access)
                retry.succeeded()
            except ServerUnavailable as error:
                retry.failed()
                log.warning("the token can't be renewed yet", extra={"fields": {"reason": str(error)}})

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        body: Mapping[str, str | int] | Streamed | None = None,
        reading: Translation | None = None,
        parsed: bool = True,
    ) -> Any:
        """Call the server; a stale token is renewed and the call made once more.

        Args:
            method: of HTTP.
            path: below the base of the API.
            params: the query.
            body: sent as JSON, or as it is made.
            reading: translates a good answer's bytes before they are put together; what it raises is raised.
            parsed: whether a good answer is read as JSON; else its bytes are returned.

        Raises:
            ServerUnavailable: no answer, or 5xx or 429.
            ServerRefusal: any other answer that is not a success.
            LoginRefused: the node's key is not valid any more.
        """
        token = self._access
        request: dict[str, Any] = {"params": params, "reading": reading, "parsed": parsed}
        status, answer = await self._send(method, path, **request, **self._content(body))
        if status in _STALE_TOKEN:
            await self.renew(token)
            status, answer = await self._send(method, path, **request, **self._content(body))
        if status >= 300:
            message = answer.get("msg", "") if isinstance(answer, dict) else str(answer)
            raise ServerRefusal(status, message)
        return answer

    async def ask_store(self, url: str, image: str) -> bool:
        """Whether an algorithm store, which knows nodes by their server's token, lists an image.

        Raises:
            ServerUnavailable: it does not answer, or its answer is none of an algorithm store's.
        """
        headers = {**self.headers, "Server-Url": self._api_url, "Client-Type": "node"}
        asked = {"image": image}
        status, answer = await self._send("GET", "/algorithm", base=url.rstrip("/"), params=asked, headers=headers)
        if status != 200 or not isinstance(answer, dict):
            raise ServerUnavailable(f"the store at {url} answered {status}")
        return bool(answer.get("data"))

    def _content(self, body: Mapping[str, str | int] | Streamed | None) -> dict[str, Any]:
        if isinstance(body, Streamed):
            return {"data": body.pieces(), "headers": self.headers | body.headers}
        return {"json": body, "headers": self.headers}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        base: str | None = None,
        reading: Translation | None = None,
        parsed: bool = True,
        **request: Any,
    ) -> tuple[int, Any]:
        url = (self._api_url if base is None else base) + path
        try:
            async with self._http.request(method, url, timeout=TIMEOUT, allow_redirects=False, **request) as response:
                if response.status >= 500 or response.status == 429:
                    raise ServerUnavailable(f"{method} {path} was answered {response.status}")
                good = response.status < 300
                raw = await _read(response.content, reading if good else None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerUnavailable(f"{method} {path}: {error or type(error).__name__}") from error
        if good and not parsed:
            return response.status, raw
        try:
            return response.status, json.loads(raw.strip() or b"{}") or {}
        except ValueError as error:
            raise ServerUnavailable(
                f"{method} {path} was answered with something that is no JSON: no vantage6 API is there"
            ) from error


def _claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def _remedy(error: ServerUnavailable) -> str:
    if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
        return "if it is the right one, give the authority that signed its certificate in network.server.ca"
    return "if this lasts, check node.server_url, node.port, node.api_path, network.server and network.httpProxy"


async def _read(content: aiohttp.StreamReader, reading: Translation | None) -> bytes:
    whole = io.BytesIO()
    async for piece in content.iter_chunked(PIECE_BYTES):
        whole.write(reading.update(piece) if reading else piece)
    if reading:
        whole.write(reading.finish())
    return whole.getvalue()
