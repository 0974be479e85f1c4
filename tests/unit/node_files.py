"""Configuration files of nodes for property tests: plausible ones, and whatever YAML can say."""

from typing import Any

from hypothesis import strategies as st

from launcher.policies import Policies
from launcher.translate import keys

SECRET = "Geheim-4711"
"""What no report may have."""
UUID = "11111111-2222-4333-8444-555555555555"

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
names = st.text("abzAZ09_-. é\n", max_size=45) | st.integers() | st.none()
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


def _or_anything(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # One in sixteen: most of a file is as it should be.
    return st.integers(0, 15).flatmap(lambda number: anything if number == 0 else wanted)


def _some(**wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    given = {key.replace("__", "-"): _or_anything(value) for key, value in wanted.items()}
    sections = st.fixed_dictionaries({}, optional=given)
    return st.tuples(sections, st.dictionaries(names, anything, max_size=1)).map(lambda pair: pair[1] | pair[0])


hosts = st.sampled_from(
    ["db.example.org", "localhost", "10.1.2.3", "tunnel", "[2001:db8::5]", "UPPER.example", "a_b", "proxyserver", "x y"]
)
uris = st.one_of(
    st.builds("{}://u:{}@{}{}/x".format, st.sampled_from(["postgresql", "jdbc:mysql", "odd"]), st.just(SECRET), hosts,
              st.sampled_from(["", ":5432", ":0", ":99999", ":x"])),
    st.sampled_from(["/srv/a.csv", "~/a.csv", "a.csv", "/srv/../a", "/", "//", "/srv/a.sqlite", "sqlite:///a.db", "file:///a",
                     f"Driver=x;Pwd={SECRET}", "db.example.org:5432", f"https://h/x?sig={SECRET}", r"C:\a.csv"]),
)  # fmt: skip
databases = _some(
    label=st.sampled_from(["default", "Default", "my-db", "data", "tmp", "a" * 50, "1a", "x_", "ä"]),
    type=st.sampled_from(["csv", "CSV", "parquet", "excel", "folder", "sql", "omop", "sparql", "other", "fhir"]),
    uri=uris,
    env=st.dictionaries(st.sampled_from(["user", "uri", "a-b", "PASSWORD"]), st.just(SECRET), max_size=3),
    mount_mode=st.sampled_from(["copy", "ro", "rw"]),
)
ports = st.sampled_from([443, "443", 80, 0, 70000, "8000-8100", True])
ends = _some(ip=st.sampled_from(["0.0.0.0", "127.0.0.1", "db", "A B"]), port=st.sampled_from([5432, "8000", 80]))
tunnels = _some(
    hostname=st.sampled_from(["tunnel", "Tunnel", "squid", "t" * 50]),
    ssh=_some(
        host=hosts,
        port=ports,
        fingerprint=st.sampled_from(["ssh-ed25519 AAAA", "h ssh-rsa AAAA c", "SHA256:x"]),
        identity=_some(username=st.sampled_from(["node", "a b"]), key=st.sampled_from(["keys/tunnel", "-----BEGIN x"])),
    ),
    tunnel=_some(bind=ends, dest=ends),
)
entries = st.lists(_or_anything(st.sampled_from(["ghcr.io/a/b", "UPPER", "[", "^a$", "*", ""])), max_size=3)
senders = st.lists(_or_anything(st.sampled_from([1, "2", -1, "name", True, ""])), max_size=3)
policies = _some(
    **{
        key: entries
        if "algorithm" in key and key.endswith("s")
        else senders
        if key.startswith("allowed_")
        else st.booleans()
        for key in Policies.model_fields
    }
)
files = _some(
    api_key=st.sampled_from([UUID, "", "no uuid"]),
    server_url=st.sampled_from(["https://server.example", "https://server.example/", "server", "http://localhost",
                                f"https://u:{SECRET}@server.example", "http://[fd00::1]"]),
    port=ports,
    api_path=st.sampled_from(["", "/api", "/api/", "api", "/a b"]),
    databases=st.lists(_or_anything(databases), max_size=4),
    encryption=_some(enabled=st.booleans(), private_key=st.sampled_from(["keys/organization", "-----BEGIN x", ""])),
    whitelist=_some(
        domains=st.lists(_or_anything(hosts), max_size=3),
        ips=st.lists(_or_anything(st.sampled_from(["10.0.0.1", "10.0.0.1/8", "fd00::/8", "fe80::1%eth0"])), max_size=3),
        ports=st.lists(_or_anything(ports), max_size=3),
    ),
    ssh__tunnels=st.lists(_or_anything(tunnels), max_size=3),
    policies=policies,
    docker_registries=st.lists(
        _or_anything(_some(registry=hosts, username=st.just("node"), password=st.just(SECRET))), max_size=3
    ),
    algorithm_env=st.dictionaries(st.sampled_from(["TZ", "PKG_NAME", "a-b"]), _or_anything(st.just("1e3")), max_size=3),
    node_extra_env=st.dictionaries(
        st.sampled_from(["TZ", "HTTPS_PROXY", "http_proxy", "NO_PROXY", "POD_NAME", "SSL_CERT_FILE", "a-b"]),
        _or_anything(st.sampled_from([f"http://u:{SECRET}@proxy.example:3128/", "proxy.example:3128", "https://localhost"])),
        max_size=3,
    ),
    algorithm_device_requests=_some(gpu=_or_anything(st.booleans())),
    share_config=st.booleans(),
    share_algorithm_logs=st.booleans(),
    run_context_file=st.booleans(),
    prometheus=_some(enabled=st.booleans(), report_interval_seconds=st.integers(-1, 100)),
    logging=_some(level=st.sampled_from(["DEBUG", "info", "NOTSET"]), file=st.just("x"), loggers=st.just([])),
    **{key: anything for key in keys.REFUSED if key != "node_extra_env"},
)  # fmt: skip
