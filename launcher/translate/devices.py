"""Devices: vantage6 gives every algorithm all GPUs of the machine; here a profile says which, and how many."""

from typing import Any

from launcher.translate.findings import Place, Work

KEY = "algorithm_device_requests"
_PROFILE = "gpu"
_GRANTED = {
    "profiles": {_PROFILE: {"template": "gpu.yaml.j2", "gpu": {"resource": "nvidia.com/gpu", "count": 1}}},
    "profileRules": [{"profile": _PROFILE, "devices": ["gpu"]}],
}


def device_requests(source: object, work: Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """The section of `node`, and what of `jobs` it takes besides."""
    place: Place = ("node", KEY)
    given = work.section(source, KEY, ("gpu",), place)
    if "gpu" not in given:
        return {}, {}
    gpu = work.flag(given["gpu"], f"{KEY}.gpu", (*place, "gpu"), careful=False)
    if not gpu:
        return {"gpu": False}, {}
    sentence = (
        "each algorithm gets one GPU, not all of the machine; correct device and number in jobs.profiles.gpu, add what "
        "the cluster's machines need (runtimeClassName, nodeSelector, tolerations), and in jobs.profileRules name the "
        "images, if not all need one"
    )
    work.taken(f"{KEY}.gpu", sentence, given["gpu"])
    return {"gpu": True}, {"jobs": _GRANTED}
