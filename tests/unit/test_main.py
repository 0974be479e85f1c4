"""The command line where it refuses."""

import json
import subprocess
import sys


def test_a_refusal_is_one_line_and_no_traceback(tmp_path):
    (tmp_path / "node.yaml").write_text("node: {}\nkubernetes: {}\n")
    arguments = ["--config", tmp_path / "node.yaml", "--secrets", tmp_path, "--tasks", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "launcher", "run", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["level"] == "CRITICAL"
    assert "node.server_url" in json.loads(line)["event"]
