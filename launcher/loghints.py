"""What the last words of an algorithm that crashed give away: a remedy for what isolation forbids it."""

import re
from pathlib import PurePosixPath

from launcher.kubeapi import Tree
from launcher.waiting import CONTAINER

# As Python, R, Java and the C library say it.
_FORBIDDEN = re.compile(r"Permission denied|Errno 13\b|EACCES|Read-only file system|Errno 30\b|EROFS|AccessDenied")
_PATH = re.compile(r"""['"\u2018](/[^'"\u2019\n]*)['"\u2019]""")
_NO_NAMES = re.compile(r"Temporary failure in name resolution|Name or service not known|UnknownHostException")
_FULL = re.compile(r"No space left on device|Errno 28\b|ENOSPC")


def hint(last_words: str, pod: Tree, *, shared: bool) -> str:
    """A sentence that helps, or nothing.

    Args:
        last_words: the end of the algorithm's log.
        pod: the algorithm's, which says where its databases are mounted.
        shared: whether what the algorithm printed may leave this node; else the sentence quotes nothing of it.
    """
    for line in reversed(last_words.splitlines()):
        if _FORBIDDEN.search(line):
            found = _PATH.search(line)
            return _forbidden(found[1] if found else "", pod, quoted=shared)
        if _NO_NAMES.search(line):
            return "Algorithms reach no network but this node's proxy and the databases that their task asked for."
        if _FULL.search(line):
            return (
                "A disk was full: that of this node's tasks, or of the algorithm's machine; the site has to make room."
            )
    return ""


def _forbidden(path: str, pod: Tree, *, quoted: bool) -> str:
    for mount, label in _databases(pod):
        if path and (PurePosixPath(path) == mount or mount in PurePosixPath(path).parents):
            return (
                f"The database {label} is read-only, and an algorithm may read it if its group may: the site can set "
                "jobs.securityContext.supplementalGroups to the group of its files."
            )
    where = (
        f"the algorithm may not use {path}" if path and quoted else "the algorithm may not use a path that it wanted"
    )
    return (
        f"By the log, {where}: images are read-only here, and algorithms write only to /tmp, to TEMPORARY_FOLDER "
        "and to OUTPUT_FILE."
    )


def _databases(pod: Tree) -> list[tuple[PurePosixPath, str]]:
    """Where the pod's databases are mounted, and their labels, which the paths are made of."""
    mounts = []
    for container in pod.get("spec", {}).get("containers") or ():
        if container["name"] == CONTAINER:
            mounts += [
                PurePosixPath(mount["mountPath"])
                for mount in container.get("volumeMounts") or ()
                if mount["name"].startswith("database-")
            ]
    return [(mount, mount.stem) for mount in mounts]
