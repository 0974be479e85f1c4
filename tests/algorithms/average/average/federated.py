"""The two functions a task can call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vantage6.algorithm.tools.decorators import algorithm_client, data
from vantage6.algorithm.tools.util import info

from average.arithmetic import Average, Part, combine, summarize

if TYPE_CHECKING:
    import pandas as pd
    from vantage6.algorithm.client import AlgorithmClient


@data(1)
def partial_average(df: pd.DataFrame, column: str) -> Part:
    """Sum and count the values of one column, at one organization."""
    if column not in df.columns:
        raise ValueError(f"Column {column!r} is not in the data, which has {', '.join(map(str, df.columns))}.")
    part = summarize(df[column])
    info(f"{part['count']} of {len(df)} rows have a value in column {column!r}")
    return part


@algorithm_client
def central_average(client: AlgorithmClient, column: str, organizations: list[int] | None = None) -> Average:
    """Have organizations (ids; default: the whole collaboration) summarize a column, and combine what they send."""
    ids = organizations or [organization["id"] for organization in client.organization.list()]
    info(f"Asking organizations {ids} for their part")
    task = client.task.create(
        input_={"method": "partial_average", "kwargs": {"column": column}},
        organizations=ids,
        name="partial average",
        description=f"Sum and count of {column}",
    )
    return combine(client.wait_for_results(task_id=task["id"]))
