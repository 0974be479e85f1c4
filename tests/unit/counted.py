"""What a registry's metrics say, and by how much they moved: other tests of the process have moved them before."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry


class Samples:
    """All samples of a registry, by name and labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in registry.collect()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self._found.get((name, *sorted(labels.items())), 0.0)

    def differs(self, before: "Samples") -> dict[str, float]:
        """What changed since, of the product's own metrics: `name{label=value}` and by how much."""
        moved = {}
        for key, value in self._found.items():
            by = value - before._found.get(key, 0.0)
            if by and key[0].startswith("v6_node_") and not key[0].endswith(("_created", "_sum", "_bucket")):
                labels = ",".join(f"{name}={text}" for name, text in key[1:])
                moved[f"{key[0]}{{{labels}}}" if labels else key[0]] = by
        return moved


@contextmanager
def moving(registry: CollectorRegistry) -> Iterator[dict[str, float]]:
    """What moves in the block; filled when it ends."""
    before, moved = Samples(registry), dict[str, float]()
    yield moved
    moved.update(Samples(registry).differs(before))
