"""`logs`: what the algorithm of a run prints, or printed."""

import codecs
import unicodedata
from collections.abc import AsyncIterator

from launcher.admin import Failure
from launcher.admin.asking import kept_log
from launcher.admin.cluster import Where, items
from launcher.admin.nodestate import RUN_ID
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree
from launcher.waiting import CONTAINER


async def log_of(api: KubeApi, where: Where, run: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The log of a run: from its pod, while there is one, else what the launcher kept.

    Args:
        api: the API server.
        where: the node.
        run: the run's number at the server.
        follow: whether to wait for what is still printed.

    Raises:
        Failure: there is none.
        ApiRefusal, ClusterUnavailable: it can't be read.
    """
    pods = await items(api, f"{where.core}/pods", labelSelector=f"{RUN_ID}={run}")
    if pods:
        try:
            async for piece in _from_pod(api, where, pods[-1], follow=follow):
                yield piece
            return
        except ApiRefusal as refusal:
            if refusal.status not in {400, 404}:  # its container did not start yet, or the pod went just now
                raise
            if refusal.status == 400:
                raise Failure(
                    f"The algorithm of run {run} does not run yet; `v6-node status -n {where.namespace}` tells why."
                ) from refusal
    yield await _kept(api, where, run)


async def _from_pod(api: KubeApi, where: Where, pod: Tree, *, follow: bool) -> AsyncIterator[bytes]:
    query = {"container": CONTAINER} | ({"follow": "true"} if follow else {})
    async for piece in api.chunks(f"{where.core}/pods/{pod['metadata']['name']}/log", query):
        yield piece


async def _kept(api: KubeApi, where: Where, run: int) -> bytes:
    try:
        found = await kept_log(api, where, run)
    except (ApiRefusal, ClusterUnavailable) as error:
        raise Failure(
            f"Run {run} has no pod any more, and what the launcher of namespace {where.namespace} kept of its log "
            f"can't be read ({error})."
        ) from error
    if found is None:
        raise Failure(
            f"There is no log of run {run} in namespace {where.namespace}: it did not begin here, or its log was "
            "delivered to the server, which has it (`node.share_algorithm_logs`)."
        )
    return found


class Harmless:
    """Makes of an algorithm's output what a terminal may be shown: text without characters that command it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def text(self, piece: bytes) -> str:
        """The text of the next bytes; a character that is cut off comes with the piece that completes it."""
        text = self._decoder.decode(piece)
        return "".join(
            each if each in "\n\t" or unicodedata.category(each) != "Cc" else "\N{REPLACEMENT CHARACTER}"
            for each in text
        )
