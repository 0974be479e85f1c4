"""The memory of runs that the server of the proof of concept does not have, on the task volume.

    <run id>/run.json    the command, and how far it came
    <run id>/log         the algorithm's log, once the run has ended
    <run id>/output/     what the algorithm sees at /app/output; stays until somebody removes the directory

A run whose directory exists is never accepted again: that is what makes it happen once.
"""

import base64
import hashlib
import itertools
import json
import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from launcher.runs import Outcome, RequestedDatabase, Run, RunStatus
from launcher.session.poc_commands import Refused, RunCommand
from launcher.untrusted import OutputError, read_untrusted
from launcher.volume import make_directory, replace_file

log = logging.getLogger(__name__)

_RECORD, _LOG, _RESULT = "run.json", "log", "result"
# A message of the server may have a million bytes at most, encoded as JSON, where a byte may become six.
_MOST_FILES, _MOST_FILE_BYTES = 32, 400_000
_MOST_LOG = 20_000


class Record(BaseModel):
    """A run, as far as it came."""

    run_id: int
    image: str
    arguments: tuple[str, ...]
    content: str
    """The algorithm's input in base64; empty once the run has ended, as is the token."""
    token: str
    tmp_vol_name: str
    databases: tuple[str, ...]
    """Labels of this node's databases that were asked for."""
    warnings: tuple[str, ...]
    status: RunStatus
    assigned_at: str
    finished_at: str | None = None
    message: str = ""
    """Why it failed, if it did."""

    @property
    def run(self) -> Run:
        """The run in the node's own terms. Runs that name the same temporary volume share it as runs of one job do."""
        job = int(hashlib.sha256(self.tmp_vol_name.encode()).hexdigest()[:12], 16)
        return Run(
            id=self.run_id,
            task_id=self.run_id,
            job_id=job,
            parent_id=None,
            image=self.image,
            task_name="",
            organization_id=0,
            collaboration_id=0,
            init_organization_id=0,
            init_user_id=None,
            databases=tuple(RequestedDatabase(label) for label in self.databases),
            assigned_at=self.assigned_at,
            arguments=self.arguments,
            output_directory=f"{self.run_id}/output",
        )


class Journal:
    """The runs that were accepted.

    Args:
        root: where the task volume is mounted.

    Every method raises `OSError` if the volume is full or can't be read or written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def accept(self, command: RunCommand, known: tuple[str, ...]) -> Record:
        """Take note of a new run.

        Args:
            command: the run.
            known: labels of this node's databases; others are left out, with a warning.

        Raises:
            Refused: there is or was a run of this number.
        """
        if (self._root / str(command.run_id)).exists():
            before = self.read(command.run_id)
            state = f"its status is {before.status.value}" if before else "its directory is there"
            raise Refused(f"Run {command.run_id} is known already, {state}; choose a run_id that was not used before.")
        wanted = tuple(dict.fromkeys(command.databases_to_use))
        record = Record(
            run_id=command.run_id,
            image=command.image,
            arguments=tuple(command.task_info.values()),
            content=base64.b64encode(command.content).decode(),
            token=command.token,
            tmp_vol_name=command.tmp_vol_name,
            databases=tuple(label for label in wanted if label in known),
            warnings=tuple(_unknown(label, known) for label in wanted if label not in known),
            status=RunStatus.PENDING,
            assigned_at=datetime.now(UTC).isoformat(),
        )
        try:
            self.write(record)
        except OSError:  # the sender is told; what is half-written must not stand for a run
            shutil.rmtree(self._root / str(command.run_id), ignore_errors=True)
            raise
        return record

    def write(self, record: Record) -> None:
        """Keep a record."""
        make_directory(self._root / str(record.run_id))
        replace_file(self._file(record.run_id), record.model_dump_json().encode())

    def close(self, record: Record, outcome: Outcome, result: bytes, text: str) -> Record:
        """Keep how a run ended; its input and token are forgotten."""
        directory = self._root / str(record.run_id)
        replace_file(directory / _LOG, text.encode("utf-8", "replace"))
        if result:
            replace_file(directory / _RESULT, result)
        ended = {"status": outcome.status, "message": outcome.sentence, "finished_at": datetime.now(UTC).isoformat()}
        closed = record.model_copy(update={**ended, "content": "", "token": ""})
        self.write(closed)
        return closed

    def read(self, run_id: int) -> Record | None:
        """The record of a run, if there is one."""
        try:
            return Record.model_validate_json(self._file(run_id).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            log.error("a record can't be read", extra={"fields": {"run": run_id, "reason": str(error)}})
            return None

    def records(self) -> list[Record]:
        """Every run, the last accepted first."""
        numbers = [int(path.name) for path in self._root.iterdir() if path.name.isascii() and path.name.isdigit()]
        found = [record for number in numbers if (record := self.read(number))]
        return sorted(found, key=lambda record: record.assigned_at, reverse=True)

    def story(self, record: Record) -> dict[str, Any]:
        """What there is to tell of a run: its log's end and its files, as far as they fit into a message."""
        directory = self._root / str(record.run_id)
        told: dict[str, Any] = {"log": "", "files": []}
        if record.finished_at is None:
            return told
        text = (directory / _LOG).read_text(errors="replace")
        told["log"] = text if len(text) <= _MOST_LOG else f"… {text[-_MOST_LOG:]}"
        left = _MOST_FILE_BYTES
        for folder, name in self._names(directory):
            entry = _entry(folder, name, left)
            left -= len(json.dumps(entry))
            told["files"].append(entry)
        return told

    def _names(self, directory: Path) -> list[tuple[Path, str]]:
        """The files of a run: the result that a vantage6 algorithm leaves, and what is in the output directory."""
        result = [(directory, _RESULT)] if (directory / _RESULT).exists() else []
        try:
            with os.scandir(directory / "output") as entries:
                names = sorted(entry.name for entry in itertools.islice(entries, _MOST_FILES))
        except FileNotFoundError:  # it was never started
            names = []
        return result + [(directory / "output", name) for name in names]

    def _file(self, run_id: int) -> Path:
        return self._root / str(run_id) / _RECORD


def _entry(folder: Path, name: str, limit: int) -> dict[str, str]:
    """A file as it is told of: its text, its bytes in base64, or why neither is there."""
    shown = name.encode("utf-8", "replace").decode()
    path = f"{folder.parent.name}/output/{shown}" if folder.name == "output" else f"{folder.name}/{shown}"
    try:
        content = read_untrusted(folder, name, max(limit, 0))
    except OutputError as error:
        return {"path": path, "left_out": str(error).encode("utf-8", "replace").decode()}
    try:
        entry = {"path": path, "text": content.decode()}
    except UnicodeDecodeError:
        entry = {"path": path, "base64": base64.b64encode(content).decode()}
    if len(json.dumps(entry)) > limit:
        return {"path": path, "left_out": "It is too large for a message; read it on the task volume."}
    return entry


def _unknown(label: str, known: tuple[str, ...]) -> str:
    return f"Database {label!r} is not here, and was left out; this node has: {', '.join(known) or 'none'}."
