"""The table and the pictures, beside the samples they are made of, and in docs/benchmarks.md and the README."""

import shutil
from pathlib import Path
from typing import Any

from benchmarks.goals import markdown, rows
from benchmarks.pictures import curves, goals_picture, waterfall
from benchmarks.record import ROOT, Record
from benchmarks.stages import medians

PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
SAMPLES = ROOT / "docs" / "benchmarks.json"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- figures: made by `python -m benchmarks --publish` -->", "<!-- end of figures -->"
GOALS_PICTURE, WATERFALL, CURVES = "benchmarks-goals.png", "benchmarks-waterfall.png", "benchmarks-open-runs.png"
PICTURES = {
    GOALS_PICTURE: "Goals, and what is used up of them",
    WATERFALL: "Where one run's time goes",
    CURVES: "What grows with the number of open runs",
}


def write(record: Record, folder: Path) -> list[Path]:
    """Write table and pictures into a folder; the files."""
    files = [folder / "table.md"]
    files[0].write_text(f"{table(record)}\n\n{circumstances(record)}\n")
    if record.measurements:
        goals_picture(record.measurements, folder / GOALS_PICTURE)
        files.append(folder / GOALS_PICTURE)
    if moments := medians(record.stages):
        waterfall(moments, folder / WATERFALL)
        files.append(folder / WATERFALL)
    if record.curve:
        curves(record.curve, folder / CURVES)
        files.append(folder / CURVES)
    return files


def table(record: Record) -> str:
    """The table in Markdown, and what broke."""
    broken = [
        f"`{name}` broke: {entry['error']}" for name, entry in record.told["benchmarks"].items() if "error" in entry
    ]
    return "\n\n".join([markdown(rows(record.measurements)), *broken])


def circumstances(record: Record) -> str:
    """Of what machine, versions and load the figures are, in a few sentences."""
    told = record.told
    machine, entries = told["machine"], told["benchmarks"].values()
    loads = [entry["load_average"]["before"][0] for entry in entries]
    model = machine["model"] or "of a model not said"
    sentences = [
        f"Measured {told['at'][:10]} on {machine['processors']} processors ({model}), "
        f"{machine['memory_gib']:.0f} GiB, kernel {machine['kernel']}; load average before each benchmark "
        f"{min(loads, default=0):.1f} to {max(loads, default=0):.1f}.",
        f"{' and '.join(sorted({_product(entry['product']) for entry in entries}))}.",
        *(f"{line}." for line in told["versions"]),
    ]
    if told["quick"]:
        sentences.append("**Few rounds only (`--quick`): figures to see that it works, not to quote.**")
    return "\n".join(sentences)


def _product(product: dict[str, Any]) -> str:
    return f"v6-node {product['v6-node']} at commit {product['commit']}{', changed' if product['changed'] else ''}"


def publish(record: Record, folder: Path) -> None:
    """Put table, pictures and samples into the documentation, and the table and what it looks like into the README."""
    IMAGES.mkdir(exist_ok=True)
    record.write_to(SAMPLES)
    pictures = {name: what for name, what in PICTURES.items() if (folder / name).exists()}
    for name in pictures:
        shutil.copy(folder / name, IMAGES / name)
    shown = [f"![{what}](images/{name})" for name, what in pictures.items()]
    samples = f"All samples: [{SAMPLES.name}]({SAMPLES.name})."
    _replace(PAGE, [table(record), circumstances(record), samples, *shown])
    at_a_glance = [f"![{what}](docs/images/{name})" for name, what in pictures.items() if name == GOALS_PICTURE]
    _replace(README, [table(record), *at_a_glance])


def _replace(page: Path, parts: list[str]) -> None:
    before, _, rest = page.read_text().partition(BEGIN)
    text = "\n\n".join(parts)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
