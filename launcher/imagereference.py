"""References to container images: `[registry/]repository[:tag][@digest]`.

The grammar is that of https://github.com/distribution/reference; what a reference leaves out is filled in as Docker and
Kubernetes do it (registry docker.io, repository library/…, tag latest).
"""

import re
from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"
LONGEST = 512
"""Characters of a reference; the grammar itself limits the repository to 255 and the tag to 128."""

_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_IN_REGISTRY = re.compile(
    rf"(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Where an image is, and which one of its repository."""

    registry: str
    """Host, with a port if it is not the usual one."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """`sha256:…`; where it is given, a tag means nothing."""

    @classmethod
    def parse(cls, text: str) -> "ImageReference":
        """Read a reference.

        Raises:
            ValueError: it is none; the message is a sentence.
        """
        registry, inside = _split(text)
        found = _IN_REGISTRY.fullmatch(inside) if len(text) <= LONGEST else None
        if found is None or not _REGISTRY.fullmatch(registry) or len(found["repository"]) > 255:
            raise ValueError(f"{text[:LONGEST]!r} is not the name of an image; write it like registry/name:tag.")
        return cls(registry, found["repository"], found["tag"], found["digest"])

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def which(self) -> str:
        """What chooses an image of the repository: the digest, or else the tag."""
        return self.digest or self.tag or "latest"

    def pinned(self, digest: str) -> "ImageReference":
        """The same image by its digest alone."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.name + tag + (f"@{self.digest}" if self.digest else "")


def _split(text: str) -> tuple[str, str]:
    """The registry and the rest; the first part of a name is a registry only if it looks like a host."""
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or re.search(r"[.:A-Z\[]", first)):
        registry, inside = DOCKER_HUB if first == f"index.{DOCKER_HUB}" else first, rest
    else:
        registry, inside = DOCKER_HUB, text
    official = registry == DOCKER_HUB and "/" not in inside
    return registry, f"library/{inside}" if official else inside
