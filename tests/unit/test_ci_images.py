"""Building: only what changed, once, by whatever builds here."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ci import images
from ci.images import engine, host, recipes
from tests.unit.programs import Programs

# A docker that works; `save` writes the archive it is asked for.
DOCKER = 'if [ "$1" = save ]; then echo "$@" > "$3"; fi; if [ "$1" = build ]; then sleep 0.2; fi'


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A cache of our own, a docker that does as if, and two images, made of the files one and two.

    Whatever docker does, nothing is built for real: for that one would have to be root.
    """
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs = Programs(tmp_path / "programs")
    programs.add("docker", DOCKER)
    programs.put_first(monkeypatch)
    found = {}
    for name in ("one", "two"):
        (tmp_path / name).write_text("1")
        dockerfile = tmp_path / f"{name}.Dockerfile"
        dockerfile.write_text(f"FROM base\nCOPY {name} /\n")
        found[name] = recipes.Recipe(name, dockerfile, tmp_path)
    monkeypatch.setattr(recipes, "RECIPES", found)
    return programs


def test_an_image_is_built_once(docker: Programs) -> None:
    first = images.ensure()
    assert images.ensure() == first
    assert len(docker.calls("docker build")) == 2
    for name, image in first.items():
        assert image.ref == f"localhost/{name}:{image.tar.stem.removeprefix(name + '-')}"
        assert image.tar.read_text().split()[-1] == image.ref


def test_only_what_changed_is_built_again(docker: Programs, tmp_path: Path) -> None:
    first = images.ensure()
    (tmp_path / "two").write_text("2")
    second = images.ensure()
    assert second["one"] == first["one"]
    assert second["two"].ref != first["two"].ref
    assert len(docker.calls("docker build")) == 3
    (tmp_path / "two").write_text("1")
    assert images.ensure() == first
    assert len(docker.calls("docker build")) == 3


def test_many_callers_build_once(docker: Programs) -> None:
    callers = [threading.Thread(target=images.ensure) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(docker.calls("docker build")) == 2


def test_an_image_stands_on_another_as_that_one_is_now(docker: Programs, tmp_path: Path) -> None:
    first, second = recipes.RECIPES.values()
    recipes.RECIPES["two"] = replace(second, base=first.name)
    built = images.ensure()
    (call,) = (call for call in docker.calls("docker build") if built["two"].ref in call)
    assert f"--build-arg=BASE_IMAGE={built['one'].ref}" in call
    (tmp_path / "one").write_text("2")
    again = images.ensure(["two"])["two"]
    assert again.ref != built["two"].ref
    assert len(docker.calls("docker build")) == 4, "with it the one that it stands on"


def test_only_what_is_named_is_built(docker: Programs) -> None:
    assert list(images.ensure(["two"])) == ["two"]
    assert len(docker.calls("docker build")) == 1


@pytest.mark.usefixtures("docker")
def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(images.BuildError, match=r"There is no image three: choose among one, two\."):
        images.ensure(["one", "three"])


def test_a_failed_build_shows_the_end_of_its_log_and_is_not_remembered(docker: Programs) -> None:
    docker.add("docker", '[ "$1" != build ] || { echo no space left >&2; exit 3; }')
    with pytest.raises(images.BuildError, match=r"docker failed \(exit status 3\).*one\.log:\n(.*\n)*no space left"):
        images.ensure(["one"])
    docker.add("docker", DOCKER)
    assert images.ensure(["one"])["one"].tar.exists()


def test_old_archives_go(docker: Programs, tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / "one").write_text(f"version {number}")
        latest = images.ensure(["one"])["one"]
    archives = list(latest.tar.parent.glob("one-*.tar"))
    assert len(archives) == 4
    assert latest.tar in archives
    assert len(docker.calls("docker rmi")) == 3


def test_without_docker_root_is_needed(docker: Programs) -> None:
    docker.add("docker", "exit 1")
    docker.add("podman", "exit 1")
    with pytest.raises(images.BuildError, match=r"start docker or podman here .* or run this as root on Debian 12"):
        images.ensure(["one"])


def test_a_docker_that_cannot_pull_the_base_image_does_not_build(docker: Programs) -> None:
    docker.add("docker", '[ "$1" = info ]')
    docker.add("podman", "exit 1")
    assert engine.usable() is None
    assert docker.calls("docker")[-1] == f"docker pull {engine.BASE_IMAGE}"


def test_pip_in_a_build_uses_the_hosts_index_and_the_environment_wins() -> None:
    listing = (
        ":env:.default-timeout='180'\n:env:.index-url='https://a.example/simple'\n"
        "global.cert='/etc/ca.crt'\nglobal.extra-index-url='https://b.example\\nhttps://c.example'\n"
        "global.index-url='https://d.example/simple'\nglobal.timeout='15'\n"
    )
    assert host.pip_settings(listing) == {
        "cert": "/etc/ca.crt",
        "extra-index-url": "https://b.example https://c.example",
        "index-url": "https://a.example/simple",
        "timeout": "180",
    }
