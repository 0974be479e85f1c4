"""The images that the tests and the demo run, built when their inputs changed and kept in the cache.

The tag of an image is a hash of everything it is made of, so a tag never means two things, and an image that exists is
the right one. With a running docker or podman that one builds; without, buildah does, on a base of Debian packages.
"""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.images import delivery, engine, recipes
from ci.images.builder import Builder, Image
from ci.images.offline import OfflineBuilder
from ci.images.recipes import BuildError
from ci.tools import cache_folder

__all__ = ["BuildError", "Image", "ensure", "ensure_loaded"]

_KEEP = 4  # archives of one image: somebody may still be loading an older one


def ensure(names: list[str] | None = None) -> dict[str, Image]:
    """Build what is missing of the named images (default: all) and return them by name.

    Raises:
        BuildError: an image cannot be built, or there is none of that name.
    """
    unknown = sorted(set(names or ()) - set(recipes.RECIPES))
    if unknown:
        raise BuildError(f"There is no image {', '.join(unknown)}: choose among {', '.join(recipes.RECIPES)}.")
    home = _home()
    builder = _builder(home)
    return {name: _ensure(recipes.RECIPES[name], builder, home) for name in names or recipes.RECIPES}


def ensure_loaded(cluster: delivery.Cluster, names: list[str] | None = None) -> dict[str, Image]:
    """Do as `ensure`, and make the images available to a cluster; `ref` is then what its pods have to ask for.

    Raises:
        BuildError: an image cannot be built, or this cluster cannot get it; the message says what to set.
    """
    images = ensure(names)
    home = _home()
    return delivery.deliver(cluster, images, _builder(home), home / "delivery.log")


def _home() -> Path:
    home = cache_folder() / "images"
    home.mkdir(parents=True, exist_ok=True)
    return home


def _builder(home: Path) -> Builder:
    return engine.usable() or OfflineBuilder(home)


def _ensure(recipe: recipes.Recipe, builder: Builder, home: Path) -> Image:
    base = _ensure(recipes.RECIPES[recipe.base], builder, home).ref if recipe.base else ""
    inputs = recipes.read(recipe)
    tag = inputs.digest(base or builder.base_identity())
    image = Image(recipe.name, f"localhost/{recipe.name}:{tag}", home / f"{recipe.name}-{tag}.tar")
    if not image.tar.exists():
        with _lock(home / "lock"):
            if not image.tar.exists():
                _build(image, inputs, builder, home, base)
    image.tar.touch()
    return image


def _build(image: Image, inputs: recipes.Inputs, builder: Builder, home: Path, base: str) -> None:
    log = home / f"{image.name}.log"
    log.write_text("")
    print(f"images: building {image.ref} (log: {log})", file=sys.stderr, flush=True)
    start = time.monotonic()
    partial = image.tar.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    builder.build(inputs, image.ref, partial, log, base)
    partial.rename(image.tar)
    print(f"images: built {image.ref} in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    archives = sorted(home.glob(f"{image.name}-*.tar"), key=lambda tar: tar.stat().st_mtime, reverse=True)
    for old in archives[_KEEP:]:
        builder.forget(f"localhost/{image.name}:{old.stem.rpartition('-')[2]}", log)
        old.unlink()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("images: waiting for another process that builds", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
