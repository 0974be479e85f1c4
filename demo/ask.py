"""A researcher's script: a task for the demo's nodes by vantage6's own client, and its result.

`.venv/bin/python -m demo.ask` while the demo is running.
"""

import json
import sys
from pathlib import Path

from vantage6.client import UserClient

KNOWN = Path(__file__).parents[1] / ".demo" / "researcher.json"


def main() -> None:
    """Ask for the federated average once more."""
    if not KNOWN.exists():
        sys.exit("No demo is running; start it with: make demo")
    known = json.loads(KNOWN.read_text())
    client = UserClient(known["url"], known["port"], "/api", log_level="error")
    client.authenticate(known["user"], known["password"])
    client.setup_encryption(None)
    task = client.task.create(
        name="ask",
        description="",
        collaboration=known["collaboration"],
        organizations=[known["organization"]],
        image=known["image"],
        databases=[{"label": "default"}],
        input_={"method": "central_average", "kwargs": {"column": known["column"]}},
    )
    print(f"task {task['id']}: its run, and one for each hospital, are pods with the label task-id")
    (result,) = client.wait_for_results(task["id"])["data"]
    print(result["result"])


if __name__ == "__main__":
    main()
