"""Which images there are, and what each is made of."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


class BuildError(Exception):
    """An image cannot be built; the message says why and, where there is a remedy, which."""


REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
ALGORITHMS = TESTS / "algorithms"
PRODUCTS = REPOSITORY / "ci" / "images"


@dataclass(frozen=True)
class Recipe:
    """An image's Dockerfile, the folder that is its build context, and which of these images it is built on, if any."""

    name: str
    dockerfile: Path
    context: Path
    base: str = ""


@dataclass(frozen=True)
class Inputs:
    """What goes into an image: its Dockerfile's text, and each file it copies as (bytes, may be executed) by path."""

    dockerfile: str
    files: dict[str, tuple[bytes, bool]]

    def digest(self, *also: str) -> str:
        """Return 12 hex digits that change when an input or one of the strings in `also` changes."""
        sha = hashlib.sha256(repr((self.dockerfile, also)).encode())
        for path, (data, executable) in sorted(self.files.items()):
            sha.update(repr((path, executable, len(data))).encode() + data)
        return sha.hexdigest()[:12]

    def write(self, folder: Path) -> Path:
        """Write a build context into the empty `folder` and return the Dockerfile's path in it.

        Building from this copy, not from the checkout, is what makes the digest true: somebody may be editing. Modes
        are the same whatever the checkout's umask was.
        """
        for path, (data, executable) in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755 if executable else 0o644)
        dockerfile = folder / ".Dockerfile"
        dockerfile.write_text(self.dockerfile)
        return dockerfile


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("v6-node", PRODUCTS / "v6-node" / "Dockerfile", REPOSITORY),
        Recipe("v6-node-egress", PRODUCTS / "v6-node-egress" / "Dockerfile", PRODUCTS / "v6-node-egress"),
        Recipe("v6-node-tunnel", PRODUCTS / "v6-node-tunnel" / "Dockerfile", PRODUCTS / "v6-node-tunnel"),
        Recipe("v6-node-faults", TESTS / "faults" / "image" / "Dockerfile", TESTS / "faults" / "image", base="v6-node"),
        Recipe("average", ALGORITHMS / "average" / "Dockerfile", ALGORITHMS),
        Recipe("poc-average", TESTS / "poc" / "average" / "Dockerfile", TESTS / "poc" / "average"),
        Recipe("behave", ALGORITHMS / "behave" / "Dockerfile", ALGORITHMS),
        Recipe("services", TESTS / "services" / "Dockerfile", TESTS / "services"),
        Recipe("firstpacket", TESTS / "firstpacket" / "Dockerfile", TESTS / "firstpacket"),
        Recipe("v6-node-diagnostics", ALGORITHMS / "diagnostics" / "Dockerfile", ALGORITHMS),
    )
}


def copied(dockerfile: str) -> list[str]:
    """Return the paths, relative to the context, that a Dockerfile's COPY instructions take from it."""
    paths = []
    for line in dockerfile.splitlines():
        words = line.split()
        if words and words[0].upper() == "COPY" and not any(word.startswith("--from=") for word in words):
            paths += [word for word in words[1:-1] if not word.startswith("--")]
    return paths


def read(recipe: Recipe) -> Inputs:
    """Read everything that `recipe` is made of.

    Raises:
        BuildError: the Dockerfile copies something that the context does not have.
    """
    text = recipe.dockerfile.read_text()
    files = {}
    for path in copied(text):
        source = recipe.context / path
        if not source.exists():
            raise BuildError(f"{recipe.dockerfile} copies {path!r}, which {recipe.context} does not have.")
        for file in [source] if source.is_file() else sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                relative = file.relative_to(recipe.context).as_posix()
                files[relative] = (file.read_bytes(), bool(file.stat().st_mode & 0o100))
    return Inputs(text, files)
