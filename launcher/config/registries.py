"""How registries are reached, and the credentials for them."""

import base64
import binascii
import fnmatch
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from launcher.imagereference import DOCKER_HUB, ImageReference
from launcher.section import Section

Base = Annotated[str, Field(pattern=r"^https?://[^\s?#]*[^\s?#/]$")]


def _certificates(text: str) -> str:
    if text:
        try:
            ssl.create_default_context(cadata=text)
        except ssl.SSLError as error:
            raise ValueError(
                f"it is no list of certificates ({error.reason}); give PEM text, -----BEGIN CERTIFICATE----- and so on"
            ) from error
    return text


class Registries(Section):
    """Where the launcher asks for images."""

    endpoints: dict[str, Base] = Field(default_factory=dict)
    """Base URL to ask instead of https://<registry>: a mirror, or a registry that speaks plain http."""
    ca: Annotated[str, AfterValidator(_certificates)] = ""
    """Certificates, as PEM, that are trusted besides the usual ones."""

    def base_of(self, registry: str) -> str:
        """Where a registry answers, without a trailing slash."""
        usual = "registry-1.docker.io" if registry == DOCKER_HUB else registry
        return self.endpoints.get(registry, f"https://{usual}")

    @property
    def trust(self) -> ssl.SSLContext:
        """The usual authorities, and the site's own."""
        context = ssl.create_default_context()
        if self.ca:
            context.load_verify_locations(cadata=self.ca)
        return context


@dataclass(frozen=True, slots=True)
class Login:
    """A name and password for a registry."""

    username: str
    password: str

    @property
    def header(self) -> str:
        """As `Authorization: Basic` has it."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"Login({self.username!r}, …)"


def login_for(image: ImageReference, folder: Path | None) -> Login | None:
    """The login that a site gave for an image's registry: that of the longest path, as kubelet chooses.

    Args:
        image: what is to be looked up.
        folder: of Docker configuration files, in their order of precedence; read anew each time, since Secrets change.
    """
    found = [(place, login) for place, login in _logins(folder) if _covers(place, image)]
    return max(found, key=lambda pair: len(pair[0]), default=("", None))[1]


def _logins(folder: Path | None) -> Iterator[tuple[str, Login]]:
    for path in sorted(folder.glob("*.json")) if folder and folder.is_dir() else ():
        try:
            entries = json.loads(path.read_text())["auths"].items()
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
        for place, entry in entries:
            if isinstance(entry, dict) and (login := _login(entry)):
                yield _place(place), login


def _login(entry: dict[str, Any]) -> Login | None:
    if entry.get("auth"):
        try:
            name, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, ValueError, TypeError):
            return None
        return Login(name, password) if colon else None
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return Login(entry["username"], entry["password"])
    return None


def _place(text: str) -> str:
    """Host and path of a registry, however a Docker configuration writes it (`https://index.docker.io/v1/`)."""
    parts = urlsplit(text if "//" in text else f"//{text}")
    path = parts.path.rstrip("/")
    host = DOCKER_HUB if parts.netloc in {f"index.{DOCKER_HUB}", "registry-1.docker.io"} else parts.netloc
    return host + ("" if path in {"/v1", "/v2"} else path)


def _covers(place: str, image: ImageReference) -> bool:
    """Whether a login is for an image: the same host (each part may have a *), and a path that begins its repository.

    https://kubernetes.io/docs/concepts/containers/images/#config-json
    """
    host, _, path = place.partition("/")
    ours, theirs = host.split("."), image.registry.split(".")
    same = len(ours) == len(theirs) and all(map(fnmatch.fnmatchcase, theirs, ours))
    return same and (not path or f"{image.repository}/".startswith(f"{path}/"))
