"""The task volume: the files of each run, and whose they are.

    runs/<run id>-<mark>/run.json    whose the directory is, and whether the run's Job was created
    runs/<run id>-<mark>/audited     there once the audit has the run; says whether the run failed
    runs/<run id>-<mark>/data/       what the algorithm sees: input, token, output
    runs/<run id>-<mark>/log/        what it printed (launcher/keptlog.py); algorithms don't see it
    logs/<run id>-<mark>/            the same of ended runs, where the server did not get it
    jobs/<job id>-<mark>/            /mnt/tmp, shared by the runs of one job on this node

The mark is a digest of server, node and time of assignment, so that another server's run of the same
number never meets these files. Whatever is below `data` was made by code that nobody here trusts.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from launcher.runs import Run
from launcher.session import Identity

log = logging.getLogger(__name__)

NOTHING: Mapping[str, bytes] = {}
_RECORD, _AUDITED, _FAILED = "run.json", "audited", "failed"
_DIRECTORY_MODE, _FILE_MODE = 0o770, 0o660


class OutputError(Exception):
    """The algorithm's output can't be taken; the message tells the researcher why."""


class TaskFiles:
    """The runs' directories on the task volume.

    Args:
        root: where the volume is mounted.
        identity: whose runs they are.
    """

    def __init__(self, root: Path, identity: Identity) -> None:
        self._root = root
        self._owner = {"server": identity.server, "node_id": identity.node_id}

    def directory(self, run: Run) -> Path:
        """The directory of a run."""
        return self._root / self.sub_path(run)

    def sub_path(self, run: Run) -> str:
        """The run's directory, relative to the volume."""
        return f"runs/{run.id}-{self._mark(run.id, run.assigned_at)}"

    def log_folder(self, run: Run) -> Path:
        """Where the run's log is kept."""
        return self.directory(run) / "log"

    def tmp_sub_path(self, run: Run) -> str:
        """The directory that the runs of the run's job share, relative to the volume."""
        return f"jobs/{run.job_id}-{self._mark(run.job_id, 'job')}"

    def _mark(self, number: int, when: str) -> str:
        text = json.dumps([self._owner["server"], self._owner["node_id"], number, when])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def prepare(self, run: Run, content: bytes, token: str, further: Mapping[str, bytes] = NOTHING) -> None:
        """Make the run's directory, with its input and token, an empty output, and further files by name.

        Raises:
            OSError: the volume is full or can't be written.
        """
        directory = self.directory(run)
        make_directory(directory)
        # First, and removed last: whenever the launcher is killed, what is there can be told to be this node's.
        record = {**self._owner, "run_id": run.id, "assigned_at": run.assigned_at, "job_uid": None}
        _write_record(directory, record)
        data = directory / "data"
        make_directory(data)
        tmp = self._root / self.tmp_sub_path(run)
        make_directory(tmp)
        os.utime(tmp)
        if run.output_directory:
            make_directory(self._root / run.output_directory)
        for name, text in {**further, "input": content, "token": token.encode(), "output": b""}.items():
            _write(data / name, text)

    def note_launched(self, run: Run, job_uid: str) -> None:
        """Record that the run's Job exists: from now on the run is never started again."""
        record = _read_record(self.directory(run))
        if record is not None and record.get("job_uid") is None:
            _write_record(self.directory(run), {**record, "job_uid": job_uid})

    def note_killed(self, run_id: int, reason: str) -> None:
        """Record that the Job of a run, maybe known by its id only, is deleted because the run was killed, and why."""
        for directory, record in self._own(f"{run_id}-*"):
            _write_record(directory, {**record, "killed": reason})

    def killed(self, run: Run) -> str | None:
        """Why the run was killed; None if it was not."""
        return (_read_record(self.directory(run)) or {}).get("killed")

    def note_audited(self, run_id: int, *, failed: bool) -> None:
        """Record that the audit has the run, and how it ended. What the algorithm proved itself with is removed."""
        for directory, _ in self._own(f"{run_id}-*"):
            with contextlib.suppress(OSError):
                (directory / "data" / "token").unlink()
            (directory / _AUDITED).write_text(_FAILED if failed else "")

    def failed_for(self, run_id: int) -> float | None:
        """Seconds since a run of this number failed; None if none did, or the audit does not have it."""
        for directory, _ in self._own(f"{run_id}-*"):
            with contextlib.suppress(OSError):
                if (directory / _AUDITED).read_text() == _FAILED:
                    return time.time() - (directory / _AUDITED).stat().st_mtime
        return None

    def audited(self, run_id: int) -> bool:
        """Whether the audit has the run."""
        return any((directory / _AUDITED).exists() for directory, _ in self._own(f"{run_id}-*"))

    def launched(self, run: Run) -> bool:
        """Whether the run's Job was created at some time."""
        record = _read_record(self.directory(run))
        return record is not None and record.get("job_uid") is not None

    def exist(self, run_id: int) -> bool:
        """Whether this node has a directory for a run of this number."""
        return any(True for _ in self._own(f"{run_id}-*"))

    def leftovers(self) -> list[int]:
        """The ids of all runs that have a directory; those of another server or node are only reported.

        To be called at the start: a directory that a killed launcher had only just made, or nearly removed, is removed.
        """
        for directory in (self._root / "runs").glob("*"):
            with contextlib.suppress(OSError):
                _remove_husk(directory)
        found = {record["run_id"] for _, record in self._own("*")}
        return sorted(found)

    def _own(self, pattern: str) -> list[tuple[Path, dict[str, Any]]]:
        own = []
        for directory in (self._root / "runs").glob(pattern):
            record = _read_record(directory)
            if record is not None and self._is_own(record):
                own.append((directory, record))
            else:
                log.warning(
                    "a directory of another server or node is left alone", extra={"fields": {"path": directory}}
                )
        return own

    def _is_own(self, record: dict[str, Any] | None) -> bool:
        return record is not None and all(record.get(key) == value for key, value in self._owner.items())

    def read_output(self, run: Run, limit: int) -> bytes:
        """What the algorithm wrote as its output, in bytes.

        Raises:
            OutputError: there is no output, it is not a regular file, or it is longer than `limit` bytes.
        """
        return read_untrusted(self.directory(run) / "data", "output", limit)

    def output_size(self, run: Run) -> int:
        """Bytes of what is at the place of the output, whatever it is; 0 if there is nothing."""
        try:
            return (self.directory(run) / "data" / "output").lstat().st_size
        except OSError:
            return 0

    def remove(self, run_id: int, *, keep_log: bool = False) -> None:
        """Remove this node's directories of a run.

        Args:
            run_id: of the run.
            keep_log: whether its log stays, until `remove_old_logs`.

        Raises:
            OSError: something is left.
        """
        for directory, _ in self._own(f"{run_id}-*"):
            if keep_log and (directory / "log").is_dir():
                kept = self._root / "logs" / directory.name
                make_directory(kept.parent)
                _remove_tree(kept)
                (directory / "log").rename(kept)
                os.utime(kept)
            _empty(directory, but=_RECORD)
            (directory / _RECORD).unlink()
            directory.rmdir()

    def remove_old_logs(self, older_than: float) -> None:
        """Remove the logs of runs that ended more than `older_than` seconds ago."""
        for directory in (self._root / "logs").glob("*"):
            if time.time() - directory.lstat().st_mtime > older_than:
                _remove_tree(directory)

    def remove_strangers(self, older_than: float, in_use: Collection[int]) -> None:
        """Remove directories that are of no run of this node, and in which nothing was changed lately.

        Another node's, which this one was before it was registered anew; and those that a crash left without a record.

        Args:
            older_than: seconds since the last change.
            in_use: runs that have a Job, whoever's it is.

        Raises:
            OSError: something is left.
        """
        for directory in (self._root / "runs").glob("*"):
            number = directory.name.partition("-")[0]
            if directory.is_symlink() or not directory.is_dir() or (number.isdecimal() and int(number) in in_use):
                continue
            if not self._is_own(_read_record(directory)) and time.time() - _last_change(directory) > older_than:
                log.warning("an old directory of no run of this node is removed", extra={"fields": {"path": directory}})
                _remove_tree(directory)

    def remove_old_tmp(self, older_than: float, in_use: set[str]) -> None:
        """Remove the shared directories of jobs whose last run started more than `older_than` seconds ago.

        Args:
            older_than: seconds.
            in_use: sub-paths that running pods have mounted.
        """
        for directory in (self._root / "jobs").glob("*"):
            old = time.time() - directory.lstat().st_mtime > older_than
            if old and str(directory.relative_to(self._root)) not in in_use:
                _remove_tree(directory)


def read_untrusted(directory: Path, name: str, limit: int) -> bytes:
    """A file that an algorithm left in a directory of its own, in bytes.

    Only a regular file with one name is read: a link could point at anything the launcher may read, and
    opening a pipe or device could block or worse.

    Raises:
        OutputError: there is none, it is not such a file, or it is longer than `limit` bytes.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        data = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise OutputError(f"The run's directory can't be opened ({error.strerror}).") from error
    try:
        output = os.open(name, flags, dir_fd=data)
    except OSError as error:
        raise OutputError(f"The algorithm left no {name} that can be read ({error.strerror}).") from error
    finally:
        os.close(data)
    try:
        facts = os.fstat(output)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise OutputError(f"The algorithm's {name} is not a regular file with one name, so it was not read.")
        with os.fdopen(output, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(output)
    if len(content) > limit:
        raise OutputError(f"The algorithm's {name} is larger than the {limit} bytes that this node passes on.")
    return content


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it: a crash leaves the old content or the new, never half of it.

    Raises:
        OSError: the volume is full or can't be written.
    """
    aside = path.with_name(f"{path.name}.new")
    _write(aside, content)
    aside.rename(path)


def make_directory(path: Path) -> None:
    """Make a directory, and those that it is in, for the node and its algorithms."""
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            directory.chmod(_DIRECTORY_MODE)


def _write(path: Path, content: bytes) -> None:
    # Replaced, never overwritten in place: what is there may be a link that an earlier attempt's algorithm left.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _write_record(directory: Path, record: dict[str, Any]) -> None:
    replace_file(directory / _RECORD, json.dumps(record).encode())


def _read_record(directory: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((directory / _RECORD).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _remove_husk(directory: Path) -> None:
    """Remove a directory that has nothing but perhaps a record that was never finished."""
    unfinished = directory / f"{_RECORD}.new"
    if all(each == unfinished for each in directory.iterdir()):
        unfinished.unlink(missing_ok=True)
        directory.rmdir()


def _empty(directory: Path, *, but: str) -> None:
    for each in directory.iterdir():
        if each.is_dir() and not each.is_symlink():
            _remove_tree(each)
        elif each.name != but:
            each.unlink()


def _last_change(directory: Path) -> float:
    """When something was changed last in a directory, down to the run's own files."""
    found = [directory, *directory.glob("*"), *directory.glob("log/*"), *directory.glob("data/*")]
    return max(path.lstat().st_mtime for path in found)


def _remove_tree(path: Path) -> None:
    """Remove a directory even if the algorithm took away its own rights; links in it are not followed."""

    def unlock(function: Callable[..., Any], name: str, _: object) -> None:
        stuck = Path(name)
        for directory in (stuck.parent, stuck):
            if stat.S_ISDIR(directory.lstat().st_mode):
                directory.chmod(0o700)
        if stat.S_ISDIR(stuck.lstat().st_mode):
            shutil.rmtree(stuck)
        else:
            stuck.unlink()

    if path.exists():
        shutil.rmtree(path, onerror=unlock)
