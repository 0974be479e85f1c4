"""The server's process: run by the server's own Python 3.10 with the configuration file as its argument.

Serves polling and websockets by gevent. With `--leave-with-parent` it ends when its standard input closes, so that a
test session that was killed leaves no server behind.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
# isort: off
from vantage6.server import run_dev_server, run_server  # patches on import: has to come before everything else

import functools
import importlib
import io
import os
import socket
import sys
from pathlib import Path

import bcrypt
import gevent.server
import vantage6.server
import yaml
from flask import request
from gevent import monkey
from vantage6.server import db

# isort: on


def _leave_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


class FolderStore:
    """Blobs in a folder, in the place of AzureStorageService, whose methods it has; the server's routes are its own."""

    def __init__(self, config: dict[str, str]) -> None:
        self._folder = Path(config["container_name"])
        self._folder.mkdir(exist_ok=True)

    def store_blob(self, blob_name: str, data: bytes | io.IOBase) -> None:
        content = data if isinstance(data, bytes) else data.read()
        (self._folder / blob_name).write_bytes(content)

    def stream_blob(self, blob_name: str) -> "FolderStore.Stream":
        return self.Stream((self._folder / blob_name).open("rb"))

    class Stream:
        def __init__(self, file: io.BufferedReader) -> None:
            self._file = file

        def chunks(self):
            while piece := self._file.read(2**16):
                yield piece


def _chunked() -> object:
    # The server reads such bodies by uwsgi alone; gevent's own server has them in the usual place.
    return request.environ["wsgi.input"]


def _answer_at_once() -> None:
    """Let the head and the body of an answer leave as they are written.

    gevent writes one after the other. The system would keep the second back until the first is acknowledged, for which
    the caller's system takes 40 ms: on a connection that is kept each call would take that, whatever the node does.
    """
    listener = gevent.server._tcp_listener

    def make(*arguments, **options):
        made = listener(*arguments, **options)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts inherits it
        return made

    gevent.server._tcp_listener = make


def _give_root(password: str) -> None:
    """Older releases don't look at the variable."""
    root = db.User.get_by_username("root")
    if not root.check_password(password):
        root.password = password
        root.save()


def main() -> None:
    configuration = sys.argv[1]
    if "--leave-with-parent" in sys.argv:
        # A real thread: gevent's would wait in the loop's only one.
        monkey.get_original("_thread", "start_new_thread")(_leave_with_parent, ())
    settings = yaml.safe_load(Path(configuration).read_text())
    # At a log-in the server compares the key with every node's, a quarter of a second for each at the usual cost. What
    # is hashed here is random and lives as long as the tests.
    bcrypt.gensalt = functools.partial(bcrypt.gensalt, 4)
    # The server would otherwise give its first user the password "root".
    password = os.environ.pop("STAGE_ROOT_PASSWORD").encode()
    os.environ["V6_INIT_SUPER_PASS_HASHED"] = bcrypt.hashpw(password, bcrypt.gensalt()).decode()
    if settings.get("large_result_store"):
        blobstream = importlib.import_module("vantage6.server.resource.blobstream")  # older releases have none

        vantage6.server.AzureStorageService = FolderStore
        blobstream.UwsgiChunkedStream = _chunked
    _answer_at_once()
    app = run_server(configuration, system_folders=False)
    _give_root(password.decode())
    run_dev_server(app, host=settings["ip"], port=settings["port"])


if __name__ == "__main__":
    main()
