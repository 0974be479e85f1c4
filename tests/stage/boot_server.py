"""The server's process: run by the server's own Python 3.10 with the configuration file as its argument.

Serves polling and websockets by gevent. With `--leave-with-parent` it ends when its standard input closes, so that a
test session that was killed leaves no server behind.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
# isort: off
from vantage6.server import run_dev_server, run_server  # patches on import: has to come before everything else

import os
import sys
from pathlib import Path

import bcrypt
import yaml
from gevent import monkey
from vantage6.server import db

# isort: on


def _leave_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)


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
    # The server would otherwise give its first user the password "root".
    password = os.environ.pop("STAGE_ROOT_PASSWORD").encode()
    os.environ["V6_INIT_SUPER_PASS_HASHED"] = bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()
    app = run_server(configuration, system_folders=False)
    _give_root(password.decode())
    run_dev_server(app, host=settings["ip"], port=settings["port"])


if __name__ == "__main__":
    main()
