"""Which host a call to the server connects to, and what is refused of its address."""

import pytest
from pydantic import ValidationError

from launcher.config.kubernetes import ServerAccess
from launcher.config.node import NodeSection
from launcher.serverconnection import first_hop, http_session

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("server", "hop"),
    [
        ("https://vantage6.example.org", ("vantage6.example.org", 443)),
        ("http://vantage6.example.org", ("vantage6.example.org", 80)),
        ("https://[2001:db8::1]:8443", ("2001:db8::1", 8443)),
    ],
)
def test_without_a_proxy_it_is_the_server(server: str, hop: tuple[str, int]):
    assert first_hop(server) == hop


def test_with_a_proxy_it_is_the_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example.org:3128")
    assert first_hop("https://vantage6.example.org:8443") == ("proxy.example.org", 3128)
    assert first_hop("http://vantage6.example.org") == ("vantage6.example.org", 80)
    monkeypatch.setenv("NO_PROXY", "vantage6.example.org")
    assert first_hop("https://vantage6.example.org:8443") == ("vantage6.example.org", 8443)


async def test_the_environment_is_asked_at_each_call_only_where_it_names_a_proxy(monkeypatch: pytest.MonkeyPatch):
    async with http_session(ServerAccess()) as direct:
        assert not direct.trust_env
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    async with http_session(ServerAccess()) as behind:
        assert behind.trust_env


@pytest.mark.parametrize(
    "url",
    [
        "https://a.org/",
        "https://a.org/api",
        "https://a.org:443",
        "a.org",
        "ftp://a.org",
        "https://u@a.org",
        "https://a.org\n",
    ],
)
def test_an_address_with_more_than_scheme_and_host_is_refused_by_key(url: str):
    with pytest.raises(ValidationError, match="leave out the port") as refusal:
        NodeSection.model_validate({"server_url": url})
    assert refusal.value.errors()[0]["loc"] == ("server_url",)


@pytest.mark.parametrize("path", ["", "/api", "/v/api"])
def test_the_api_is_below_the_path(path: str):
    node = NodeSection.model_validate({"server_url": "https://a.org", "port": 8443, "api_path": path})
    assert (node.server, node.api_url) == ("https://a.org:8443", f"https://a.org:8443{path}")


@pytest.mark.parametrize("path", ["api", "/api/", "/", "/a?b", "/api\n"])
def test_a_path_that_is_none_is_refused_by_key(path: str):
    with pytest.raises(ValidationError, match="begin it with a slash"):
        NodeSection.model_validate({"server_url": "https://a.org", "api_path": path})
