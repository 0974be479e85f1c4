"""The node's API key: read from the mounted Secret at the start, and again when somebody changed it."""

import asyncio
from pathlib import Path

from launcher import logs
from launcher.config import ConfigError, read_api_key

_LOOK_EVERY = 5.0  # seconds; kubelet itself brings a changed Secret within a minute or two


class ApiKey:
    """A key that may be replaced while the node runs; it is kept out of the log from the start.

    Args:
        text: the key; None: what the mounted Secret has.
        secrets: folder of the mounted Secret; None: the key never changes.

    Raises:
        ConfigError: the Secret has no usable key.
    """

    def __init__(self, text: str | None, secrets: Path | None = None) -> None:
        self._secrets = secrets
        self.text = read_api_key(secrets) if text is None and secrets else text or ""
        logs.hide(self.text)

    def renewed(self) -> bool:
        """Look at the Secret; whether it has another usable key, which `text` is from now on."""
        if self._secrets is None:
            return False
        try:
            found = read_api_key(self._secrets)
        except ConfigError:  # while it is being changed, or after a slip: the present key may still do
            return False
        if found == self.text:
            return False
        logs.hide(found)
        self.text = found
        return True

    async def changed(self) -> None:
        """Return as soon as `text` is another key."""
        while True:
            if self.renewed():
                return
            await asyncio.sleep(_LOOK_EVERY)
