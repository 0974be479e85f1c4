"""A stand-in for docker.io/library/python:*-slim where no container registry can be reached: Debian 12 with its Python.

It is made by mmdebstrap from Debian's packages and differs from the original in the Python version (3.11 instead of
3.12), and in nothing that our Dockerfiles use: `python` and `pip` are on the PATH, and pip may install into the system.
"""

import hashlib

SUITE = "bookworm"

_PACKAGES = ("python3", "python3-pip", "ca-certificates")
_HOOKS = (
    'ln -s python3 "$1/usr/bin/python"',
    # What the machine is called and whom it asks for names does not belong into an image. An empty pip.conf has to be
    # there for a build to mount another over it, or the build would leave one behind.
    'for file in hostname resolv.conf pip.conf; do : > "$1/etc/$file"; done',
    # Debian keeps pip out of a system's Python. In an image there is no other use of it.
    'rm "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED',
)
_UNWANTED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


def mmdebstrap(tar: str) -> list[str]:
    """Return the command that writes the root file system to the archive `tar`."""
    return [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in _UNWANTED),
        *(f"--customize-hook={hook}" for hook in _HOOKS),
        SUITE,
        tar,
    ]


def key() -> str:
    """Return 12 hex digits that change with the recipe above."""
    return hashlib.sha256(repr(mmdebstrap("")).encode()).hexdigest()[:12]


def reference() -> str:
    """Return the name of the base image in the local store."""
    return f"localhost/debian-python:{key()}"
