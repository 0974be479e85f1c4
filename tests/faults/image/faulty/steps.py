"""The steps of a run: every call by which the launcher, working on a run, reaches out of its process.

tests/unit/test_fault_steps.py compares this list with the calls that there are in the launcher's code.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step, before and after which something can happen.

    Args:
        name: for people, and in the names of tests.
        module: of the launcher.
        call: the callable's name in it.
        volume: whether it changes the task volume bit by bit, so that it can be interrupted in between, too.
    """

    name: str
    module: str
    call: str
    volume: bool = False

    def __str__(self) -> str:
        return self.name


STEPS = (
    Step("Job looked for", "launcher.cluster", "Cluster.read_job"),
    Step("taken", "launcher.session.v4", "V4Session.take"),
    Step("approved", "launcher.approval", "Approval.of"),
    Step("token given", "launcher.session.v4", "V4Session.algorithm_token"),
    Step("manifest made", "launcher.launch", "Launch.manifest"),
    Step("files written", "launcher.taskfiles", "TaskFiles.prepare", volume=True),
    Step("Job created", "launcher.cluster", "Cluster.create_job"),
    Step("Job noted", "launcher.taskfiles", "TaskFiles.note_launched", volume=True),
    Step("log followed", "launcher.logfollow", "LogFollower.follow"),
    Step("log read", "launcher.cluster", "Cluster.log_chunks"),
    Step("active reported", "launcher.session.v4", "V4Session.report_active"),
    Step("log shown", "launcher.session.v4", "V4Session.show_log"),
    Step("pod looked for", "launcher.cluster", "Cluster.read_pod"),
    Step("log collected", "launcher.logfollow", "LogFollower.collect"),
    Step("result read", "launcher.taskfiles", "TaskFiles.read_output"),
    Step("databases' hosts compared", "launcher.launch", "Launch.moved"),
    Step("kill noted", "launcher.taskfiles", "TaskFiles.note_killed", volume=True),
    Step("delivered", "launcher.session.v4", "V4Session.deliver"),
    Step("audit written", "launcher.audit", "write"),
    Step("audit noted", "launcher.taskfiles", "TaskFiles.note_audited", volume=True),
    Step("server asked", "launcher.session.v4", "V4Session.find"),
    Step("Job deleted", "launcher.cluster", "Cluster.delete_job"),
    Step("files removed", "launcher.taskfiles", "TaskFiles.remove", volume=True),
)

NO_STEPS = {
    "Cluster.job": "what the watches brought",
    "Cluster.pod": "what the watches brought",
    "Cluster.run_ids": "what the watches brought",
    "Cluster.trouble": "what the watches brought",
    "Delivery.collect": "consists of other steps",
    "Delivery.hand_over": "consists of other steps",
    "Delivery.place": "waits in memory",
    "Launch.further_files": "reckons in memory",
    "Launch.is_ours": "reckons in memory",
    "LogFollower.close": "the end of the process",
    "LogFollower.hurry": "only takes note",
    "LogFollower.show": "only takes note",
    "LogFollower.stop": "forgets what was in memory",
    "TaskFiles.audited": "looks, and changes nothing",
    "TaskFiles.directory": "a name",
    "TaskFiles.failed_for": "looks, and changes nothing",
    "TaskFiles.exist": "looks, and changes nothing",
    "TaskFiles.killed": "looks, and changes nothing",
    "TaskFiles.launched": "looks, and changes nothing",
    "TaskFiles.leftovers": "looks, and changes nothing",
    "TaskFiles.log_folder": "a name",
    "TaskFiles.output_size": "looks, and changes nothing",
    "TaskFiles.tmp_sub_path": "a name",
    "V4Session.identity": "known since the login",
    "V4Session.is_subtask": "asks, and changes nothing",
}
"""What the launcher calls, working on a run, that is no step; and why not."""
