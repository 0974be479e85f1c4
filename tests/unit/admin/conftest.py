"""A stand-in for the API server, and one for helm on the PATH."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.admin.commands import Cluster
from tests.unit.programs import Programs

HELM = """
case "$1" in
  status) if [ -f $FOLDER/release ]; then echo '{"info": {"status": "'$(cat $FOLDER/release)'"}}'
          else echo 'Error: release: not found' >&2; exit 1; fi;;
  upgrade) if [ -f $FOLDER/slow ]; then
             trap 'kill $!; touch $FOLDER/interrupted; exit 1' INT
             sleep 60 > /dev/null 2>&1 & touch $FOLDER/busy; wait
           fi
           cat > $FOLDER/values; if [ -f $FOLDER/refusal ]; then cat $FOLDER/refusal >&2; exit 1; fi
           echo deployed > $FOLDER/release;;
  get) cat $FOLDER/manifest;;
  uninstall) rm $FOLDER/release;;
esac
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    programs = Programs(tmp_path / "bin")
    programs.add("helm", HELM.replace("$FOLDER", str(tmp_path)))
    programs.put_first(monkeypatch)
    for module in ("up._LOOK_EVERY", "keys._LOOK_EVERY"):
        monkeypatch.setattr(f"launcher.admin.{module}", 0.05)
    with Cluster(tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield cluster
