"""The names of the rules that every job keeps, and which of them an administrator may waive (`jobs.waive`)."""

SHAPE = "shape"
OWNERSHIP = "ownership"
API_ACCESS = "api-access"
POD_SECURITY = "pod-security"
USER = "user"
FIELDS = "fields"
NETWORK = "network"
MOUNTS = "mounts"
ONCE = "once"
DEADLINE = "deadline"
RESOURCES = "resources"
IMAGES = "images"

RULES = {
    SHAPE: "The manifest is a Job as Kubernetes knows it, with one container named algorithm that has the run's "
    "variables.",
    OWNERSHIP: "Name, namespace, labels and owner are those of the run, and no other object is made.",
    NETWORK: "The pod has the labels that its task earned and no other that a NetworkPolicy selects; it resolves no "
    "names but those that the node gives it.",
    ONCE: "An algorithm is executed once, and the reason of its end stays on the Job.",
    API_ACCESS: "The pod has an account without rights, no token, and no address of the cluster's API.",
    POD_SECURITY: "The pod keeps the Pod Security Standard 'restricted', with a read-only root file system and nothing "
    "of the machine.",
    USER: "Algorithms run as the user and groups of jobs.securityContext, never as root.",
    FIELDS: "The pod and its containers set no field that is not on the list and that no other rule is about.",
    MOUNTS: "Mounted are the run's own directories, the databases asked for (read-only) and bounded scratch space, "
    "from no other kind of volume; variables come from no Secret but those of these databases.",
    DEADLINE: "Every pod has a deadline, within jobs.caps.activeDeadlineSeconds.",
    RESOURCES: "Every container has requests and limits within jobs.caps, and no device or claim beyond what "
    "jobs.resources and the run's profile grant.",
    IMAGES: "The algorithm's image is the approved one; other containers run images of jobs.extraImages.",
}
"""What each rule says, by its name."""

NEVER_WAIVED = frozenset({SHAPE, OWNERSHIP, NETWORK, ONCE})
"""Without these a node would lose runs, or its isolation would be no isolation."""
WAIVABLE = tuple(name for name in RULES if name not in NEVER_WAIVED)
