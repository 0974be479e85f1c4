import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.delivery import Delivery


@pytest.mark.parametrize(("sizes", "most"), [([2**28] * 3, 1), ([100] * 3, 3), ([2**28, 100, 100], 3)])
async def test_one_large_result_at_a_time_is_in_memory(sizes: list[int], most: int) -> None:
    nothing: Any = None
    files: Any = SimpleNamespace(output_size=lambda size: size)
    delivery = Delivery(nothing, files, nothing, nothing, nothing, share_logs=True)
    inside, seen = 0, []

    async def deliver(run: Any) -> None:
        nonlocal inside
        async with delivery.place(run):
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*map(deliver, sizes))
    assert (len(seen), max(seen)) == (3, most)
