"""The rules on whom a pod and its containers run as, which both may say."""

from collections.abc import Iterator

from launcher.allowlist import Named, Rule, Violation, exactly, fields, one_of, refused, text
from launcher.jobcontext import Profile
from launcher.rules import POD_SECURITY, USER

RESTRICTED = "algorithms keep the Pod Security Standard 'restricted'"
SHARED = "the algorithm would share what belongs to the machine"
OWN_USER = "algorithms run as the user of jobs.securityContext in the chart's values, never as root"

SECCOMP = fields(
    required={"type": Named(POD_SECURITY, one_of(("RuntimeDefault", "Localhost"), RESTRICTED))},
    optional={"localhostProfile": text},
)
APPARMOR = SECCOMP


def user(profile: Profile) -> Rule:
    """The user of the chart's values, and never root."""

    def rule(path: str, value: object) -> Iterator[Violation]:
        if value == 0 == profile.run_as_user:
            yield refused(path, value, OWN_USER, "set jobs.securityContext.runAsUser to a number above 0")
        else:
            yield from exactly(profile.run_as_user, OWN_USER)(path, value)

    return Named(USER, rule)


def group(profile: Profile) -> Rule:
    """The group of the chart's values."""
    return Named(USER, exactly(profile.run_as_group, OWN_USER))


def non_root() -> Rule:
    """Kubernetes itself refuses root."""
    return Named(USER, exactly(True, RESTRICTED))
