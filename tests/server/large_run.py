"""A program: the launcher's session takes a run's input or delivers its result, and says how much memory that took.

Arguments: `take` or `deliver`, the server's port, a file with the private key or `plain`, and a folder. `take` writes
the input there as the launcher does to the task volume; `deliver` sends what is in the folder's `output`.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

from launcher.config.node import NodeSection
from launcher.encryption import Encrypted, Plain
from launcher.runs import Outcome, Run, RunStatus
from launcher.session.v4 import V4Session
from launcher.untrusted import read_untrusted
from launcher.volume import write_files
from tests.stage.proxy_process import Measured

RUN = Run(
    id=1,
    task_id=1,
    job_id=1,
    parent_id=None,
    image="img",
    task_name="n",
    organization_id=2,
    collaboration_id=3,
    init_organization_id=2,
    init_user_id=1,
    databases=(),
    assigned_at="2026-01-01T00:00:00+00:00",
    blob_storage_used=False,
    store_id=None,
)


async def main(what: str, port: int, key: str, folder: Path) -> None:
    process = Measured(os.getpid())
    section = {"server_url": "http://127.0.0.1", "port": port, "encryption": {"enabled": key != "plain"}}
    async with aiohttp.ClientSession() as http:
        cryptor = Plain() if key == "plain" else Encrypted(Path(key))
        session = V4Session(http, NodeSection.model_validate(section), "key", cryptor)
        await session.open()
        before = process.memory()
        process.forget_peak()
        if what == "take":
            content = await session.take(RUN)
            assert content is not None
            write_files(folder, {"input": content})
        else:
            result = read_untrusted(folder, "output", 2**28)
            await session.deliver(RUN, Outcome(RunStatus.COMPLETED), result, "")
        print(json.dumps({"before": before, "peak": process.peak()}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
