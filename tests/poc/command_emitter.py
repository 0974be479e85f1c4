"""The command emitter: sends the node a command by way of the dummy server, and shows what the node replies.

python -m tests.poc.command_emitter run --image … [--run-id 33333312]   the README's example
python -m tests.poc.command_emitter send '{"run_id": 1, …}'             any payload
python -m tests.poc.command_emitter list
python -m tests.poc.command_emitter result 33333312
python -m tests.poc.command_emitter kill 33333312
"""

import json
import queue
import random
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import socketio
import typer
import yaml

Reply = dict[str, Any]
CONFIG = Path(__file__).with_name("server_config.yaml")
_FIRST_SECONDS = 10.0

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def example(image: str, run_id: int, **changes: Any) -> dict[str, Any]:
    """The payload of the proof of concept's README; of the four databases a node is likely to have only the first."""
    return {
        "run_id": run_id,
        "task_info": {"arg1": "/app/input/csv/default", "arg2": "Age", "arg3": "/app/output/avg.txt"},
        "image": image,
        "docker_input": "input1",
        "tmp_vol_name": "example-tmp-vol",
        "token": "example_token",
        "databases_to_use": ["default", "db1", "db2", "db3"],
        **changes,
    }


class Emitter:
    """A connection to the dummy server at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._replies: queue.Queue[Reply] = queue.Queue()
        self._socket = socketio.Client(reconnection=False)
        self._socket.on("reply", self._replies.put)

    def __enter__(self) -> "Emitter":
        self._socket.connect(self._url, wait_timeout=10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.disconnect()

    def emit(self, payload: object) -> None:
        """Send a command, whatever it is."""
        self._socket.emit("command_request", payload)

    def next(self, matches: Callable[[Reply], bool], seconds: float) -> Reply:
        """The next reply that matches; others are dropped.

        Raises:
            TimeoutError: there was none in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                reply = self._replies.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise TimeoutError(f"No such reply came within {seconds:.0f} s.") from None
            if matches(reply):
                return reply

    def ask(self, payload: dict[str, Any], seconds: float = _FIRST_SECONDS) -> Reply:
        """Send a command, and return the node's first reply to it."""
        request = secrets.token_hex(8)
        self.emit({**payload, "request": request})
        return self.next(lambda reply: reply.get("request") == request, seconds)

    def end_of(self, run_id: int, seconds: float) -> Reply:
        """Wait for the reply that tells how a run ended."""
        return self.next(lambda reply: reply.get("run_id") == run_id and bool(reply.get("finished_at")), seconds)


def url_of(config: Path) -> str:
    """The address of the server with this configuration file."""
    settings = yaml.safe_load(config.read_text())
    return f"http://{settings['server_ip']}:{settings['port']}"


Config = Annotated[Path, typer.Option(help="The server's configuration file.")]


@app.command()
def run(
    image: Annotated[str, typer.Option(help="The average algorithm's image.")],
    run_id: Annotated[int | None, typer.Option(help="A number that was not used before; default: by chance.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the run's end.")] = 300,
    config: Config = CONFIG,
) -> None:
    """Send the README's example, and wait for its end."""
    number = run_id or random.randrange(1, 10**9)
    _send(config, example(image, number), wait)


@app.command()
def send(
    payload: Annotated[str, typer.Argument(help="A command as JSON.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for the run's end, where it is one.")] = 0,
    config: Config = CONFIG,
) -> None:
    """Send any command."""
    _send(config, json.loads(payload), wait)


@app.command(name="list")
def list_runs(config: Config = CONFIG) -> None:
    """Show all runs."""
    _send(config, {"command": "list"})


@app.command()
def result(run_id: int, config: Config = CONFIG) -> None:
    """Show what became of a run: status, log, files."""
    _send(config, {"command": "result", "run_id": run_id})


@app.command()
def kill(run_id: int, config: Config = CONFIG) -> None:
    """End a run."""
    _send(config, {"command": "kill", "run_id": run_id})


def _send(config: Path, payload: Any, wait: float = 0) -> None:
    try:
        with Emitter(url_of(config)) as emitter:
            reply = emitter.ask(payload)
            _show(reply)
            if wait and reply["ok"] and reply["command"] == "run":
                _show(emitter.end_of(payload["run_id"], wait))
    except (TimeoutError, socketio.exceptions.ConnectionError) as error:
        print(f"{error} Is the server running, and the node online?", file=sys.stderr)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if reply["ok"] else 1)


def _show(reply: Reply) -> None:
    print(json.dumps(reply, indent=2, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    app()
