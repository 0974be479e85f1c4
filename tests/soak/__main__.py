"""`python -m tests.soak [--runs 1000] [--seed N]`: goes on where it was interrupted; a seed does the same once more."""

import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ci import cluster as clusters
from ci import images as image_builder
from ci.tools import cache_folder
from tests.cluster.troupe import Troupe
from tests.faults.site import IMAGE, faulty_site
from tests.soak import batch, report
from tests.soak.batch import Result
from tests.stage.federation import Federation
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import remove_orphans
from tests.stage.server import Server

BATCH = 50
CALM = 5
"""The last fifth of the batches is calm: one launcher lives through them all, and its memory is watched."""


@dataclass
class Soak:
    """A soak, and how far it got: a line of its file for each batch."""

    seed: str
    runs: int
    file: Path

    @property
    def results(self) -> list[Result]:
        """Of the batches that are done."""
        return [Result(**json.loads(line)) for line in self.file.read_text().splitlines()]

    @property
    def sizes(self) -> list[int]:
        """How many runs each batch has."""
        return [min(BATCH, self.runs - first) for first in range(0, self.runs, BATCH)]

    def is_calm(self, number: int) -> bool:
        """Whether the launcher lives through the batch of this number."""
        return number >= len(self.sizes) - len(self.sizes) // CALM

    def add(self, result: Result) -> None:
        """Keep a result."""
        with self.file.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def main(
    runs: Annotated[int, typer.Option(help="How many runs.")] = 1000,
    seed: Annotated[str, typer.Option(help="Of all that happens; default: of a soak that is not over, or new.")] = "",
    at_once: Annotated[int, typer.Option(help="How many runs are open at the same time.")] = 8,
) -> None:
    """Many runs while things go wrong at random; exits with 1 if one is lost, doubled or wrong, or anything is left."""
    folder = cache_folder() / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    seed = seed or _unfinished(folder, runs) or str(random.SystemRandom().randrange(10**6))
    soak = Soak(seed, runs, folder / f"{seed}-{runs}.jsonl")
    soak.file.touch()
    done = len(soak.results)
    print(f"soak: {done} of {len(soak.sizes)} batches done; again: make soak SEED={seed} RUNS={runs}", flush=True)
    if done < len(soak.sizes):
        _play(soak, at_once)
    for line in report.lines(seed, soak.results):
        print(line)
    good = all(result.good for result in soak.results)
    print(f"soak: the record is {soak.file.rename(soak.file.with_suffix('.done'))}")
    sys.exit(0 if good else 1)


def _unfinished(folder: Path, runs: int) -> str:
    """The seed of a soak of so many runs that was interrupted; the latest."""
    found = sorted(folder.glob(f"*-{runs}.jsonl"), key=lambda file: file.stat().st_mtime)
    return found[-1].name.rpartition("-")[0] if found else ""


def _play(soak: Soak, at_once: int) -> None:
    cluster = clusters.ensure()
    kubectl = Kubectl(cluster.kubeconfig)
    remove_orphans(kubectl, STAGE_LABEL)
    images = image_builder.ensure_loaded(cluster, ["v6-node", "v6-node-diagnostics", "behave", IMAGE])
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch) / "server", cluster.host_address)
        server.start()
        troupe = Troupe(kubectl, Federation(server), images, Path(scratch))
        try:
            with faulty_site(troupe, cluster, kubectl) as site:
                for number, size in list(enumerate(soak.sizes))[len(soak.results) :]:
                    result = batch.play(site, f"{soak.seed}/{number}", size, calm=soak.is_calm(number), at_once=at_once)
                    soak.add(result)
                    told = "nothing wrong" if result.good else f"WRONG: {result.wrong} {result.left_behind}"
                    print(f"batch {number + 1}: {size} runs, {result.seconds:.0f} s, {told}", flush=True)
                    site.belongings = site.objects()  # what is left would be found again in each batch
        finally:
            troupe.leave()
            server.stop()


if __name__ == "__main__":
    typer.run(main)
