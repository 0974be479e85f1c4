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
import functools
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launcher.runs import Run
from launcher.session import Identity
from launcher.untrusted import read_untrusted
from launcher.volume import empty, make_directory, remove_tree, replace_file, write_files

log = logging.getLogger(__name__)

NOTHING: Mapping[str, bytes] = {}
_RECORD, _AUDITED, _FAILED = "run.json", "audited", "failed"


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
        return _digest(self._owner["server"], self._owner["node_id"], number, when)

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
        write_files(data, {**further, "input": content, "token": token.encode(), "output": b""})

    def note_launched(self, run: Run, job_uid: str) -> str | None:
        """Record that the run's Job exists: from now on the run is never started again; returns what `killed` does."""
        record = _read_record(self.directory(run)) or {}
        if record and record.get("job_uid") is None:
            _write_record(self.directory(run), {**record, "job_uid": job_uid})
        return record.get("killed")

    def note_killed(self, run_id: int, reason: str) -> None:
        """Record that the Job of a run, maybe known by its id only, is deleted because the run was killed, and why."""
        for directory, record in self._own(run_id):
            _write_record(directory, {**record, "killed": reason})

    def killed(self, run: Run) -> str | None:
        """Why the run was killed; None if it was not."""
        return (_read_record(self.directory(run)) or {}).get("killed")

    def note_audited(self, run_id: int, *, failed: bool) -> None:
        """Record that the audit has the run, and how it ended. What the algorithm proved itself with is removed."""
        for directory, _ in self._own(run_id):
            with contextlib.suppress(OSError):
                (directory / "data" / "token").unlink()
            (directory / _AUDITED).write_text(_FAILED if failed else "")

    def failed_for(self, run_id: int) -> float | None:
        """Seconds since a run of this number failed; None if none did, or the audit does not have it."""
        for directory, _ in self._own(run_id):
            with contextlib.suppress(OSError):
                if (directory / _AUDITED).read_text() == _FAILED:
                    return time.time() - (directory / _AUDITED).stat().st_mtime
        return None

    def audited(self, run_id: int) -> bool:
        """Whether the audit has the run."""
        return any((directory / _AUDITED).exists() for directory, _ in self._own(run_id))

    def launched(self, run: Run) -> bool:
        """Whether the run's Job was created at some time."""
        record = _read_record(self.directory(run))
        return record is not None and record.get("job_uid") is not None

    def exist(self, run_id: int) -> bool:
        """Whether this node has a directory for a run of this number."""
        return bool(self._own(run_id))

    def leftovers(self) -> list[int]:
        """The ids of all runs that have a directory; those of another server or node are only reported.

        To be called at the start: a directory that a killed launcher had only just made, or nearly removed, is removed.
        """
        for directory in self._directories():
            with contextlib.suppress(OSError):
                _remove_husk(directory)
        found = {record["run_id"] for _, record in self._own()}
        return sorted(found)

    def _directories(self, run_id: int | None = None) -> list[Path]:
        """The directories of the runs of one number, or of all."""
        # Not by Path.glob, which is slow where there are many.
        beginning = "" if run_id is None else f"{run_id}-"
        with contextlib.suppress(FileNotFoundError), os.scandir(self._root / "runs") as entries:
            return [Path(entry.path) for entry in entries if entry.name.startswith(beginning)]
        return []

    def _own(self, run_id: int | None = None) -> list[tuple[Path, dict[str, Any]]]:
        own = []
        for directory in self._directories(run_id):
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

    def is_own(self, directory: Path) -> bool:
        """Whether a directory is of a run of this node."""
        return self._is_own(_read_record(directory))

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
            keep_log: whether its log stays, until `OldFiles` removes it.

        Raises:
            OSError: something is left.
        """
        for directory, _ in self._own(run_id):
            if keep_log and (directory / "log").is_dir():
                kept = self._root / "logs" / directory.name
                make_directory(kept.parent)
                remove_tree(kept)
                (directory / "log").rename(kept)
                os.utime(kept)
            empty(directory, but=_RECORD)
            (directory / _RECORD).unlink()
            directory.rmdir()


@functools.lru_cache(maxsize=4096)  # the same few for all that a run needs
def _digest(server: str, node_id: int, number: int, when: str) -> str:
    return hashlib.sha256(json.dumps([server, node_id, number, when]).encode()).hexdigest()[:8]


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
