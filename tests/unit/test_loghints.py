"""Remedies, by the last words of real programs."""

import pytest

from launcher.loghints import hint

POD = {
    "spec": {
        "containers": [
            {"name": "sidecar"},
            {
                "name": "algorithm",
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/tmp"},
                    {"name": "database-0", "mountPath": "/mnt/patients.csv"},
                    {"name": "database-1", "mountPath": "/mnt/scans"},
                ],
            },
        ]
    }
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("PermissionError: [Errno 13] Permission denied: '/mnt/patients.csv'", "The database patients is read-only"),
        ("OSError: [Errno 30] Read-only file system: '/mnt/scans/1/x.dcm'", "The database scans is read-only"),
        ("OSError: [Errno 30] Read-only file system: '/mnt/patients.csv2'", "may not use /mnt/patients.csv2"),
        ("OSError: [Errno 30] Read-only file system: '/opt/model.pkl'", "may not use /opt/model.pkl"),
        ("cannot open file '/root/x': Permission denied\nExecution halted", "may not use /root/x"),
        ("touch: cannot touch \u2018/x\u2019: Read-only file system", "may not use /x"),
        ("sh: 1: cannot create x: Permission denied", "may not use a path that it wanted"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "reach no network but"),
        ("OSError: [Errno 28] No space left on device", "A disk was full"),
        ("ValueError: the cohort is empty", ""),
        ("", ""),
    ],
)
def test_hints(words, expected):
    said = hint(f"Traceback (most recent call last):\n{words}", POD, shared=True)
    assert expected in said
    assert bool(said) == bool(expected)


def test_nothing_is_quoted_of_a_log_that_is_not_shared():
    said = hint("Permission denied: '/data/of/a/patient'", POD, shared=False)
    assert "patient'" not in said and "/data" not in said
    assert "a path that it wanted" in said
