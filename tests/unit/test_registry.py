"""A tag looked up at a registry of our own on loopback."""

import json
import ssl
import subprocess

import aiohttp
import pytest

from launcher.config.registries import Registries, login_for
from launcher.imagereference import ImageReference
from launcher.registry import ImageUnavailable, Registry
from tests.unit.registry_server import DIGEST, LOGIN, registry


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("launcher.registry._FIRST_PAUSE", 0)


async def look_up(host, *, logins=None, image="x", which="1", **settings):
    settings = settings or {"endpoints": {host: f"http://{host}"}}
    async with aiohttp.ClientSession() as http:
        asker = Registry(http, Registries.model_validate(settings), logins)
        return await asker.digest(ImageReference.parse(f"{host}/{image}:{which}"))


def login_at(folder, host, **entry):
    (folder / "000.json").write_text(json.dumps({"auths": {host: entry or {"username": "node", "password": "hush"}}}))
    return folder


async def test_a_public_image():
    async with registry() as (fake, host):
        assert await look_up(host) == DIGEST
        assert fake.asked == [("HEAD", "/v2/x/manifests/1", "")]


async def test_a_registry_that_names_no_digest_is_asked_for_the_manifest():
    async with registry() as (fake, host):
        fake.names_digests = False
        assert await look_up(host) == DIGEST


async def test_an_image_named_by_its_digest_needs_no_registry():
    async with aiohttp.ClientSession() as http:
        image = ImageReference.parse(f"registry.invalid/x@{DIGEST}")
        assert await Registry(http, Registries(), None).digest(image) == DIGEST


async def test_a_token_without_a_login():
    async with registry() as (fake, host):
        fake.challenge, fake.public = "bearer", True
        assert await look_up(host, image="team/x") == DIGEST
        assert fake.asked[1] == ("token", "scope=repository:team/x:pull&service=test", "")


@pytest.mark.parametrize("challenge", ["basic", "bearer"])
async def test_a_login_is_shown_to_who_asks_for_it(tmp_path, challenge):
    async with registry() as (fake, host):
        fake.challenge = challenge
        assert await look_up(host, logins=login_at(tmp_path, host)) == DIGEST
        assert [authorization for *_, authorization in fake.asked].count(LOGIN) == 1


async def test_a_password_is_not_sent_in_clear_text_because_a_registry_says_so(tmp_path):
    async with registry() as (fake, host):
        fake.challenge, fake.realm = "bearer", "ftp://127.0.0.1/token"
        with pytest.raises(ImageUnavailable, match="denies"):
            await look_up(host, logins=login_at(tmp_path, host))
        assert LOGIN not in [authorization for *_, authorization in fake.asked]


async def test_not_found_denied_and_unreachable_are_told_apart(tmp_path):
    async with registry() as (fake, host):
        with pytest.raises(ImageUnavailable, match=r"has no image .*:2 \(no such tag\)\.$"):
            await look_up(host, which="2")
        fake.challenge = "bearer"
        with pytest.raises(
            ImageUnavailable, match=r"denies the image .* \(not for you\); the node has no login for it"
        ):
            await look_up(host)
        wrong = login_at(tmp_path, host, username="node", password="wrong")
        with pytest.raises(ImageUnavailable, match="the node's login is not good for it") as denied:
            await look_up(host, logins=wrong)
        assert "wrong" not in str(denied.value)
    with pytest.raises(ImageUnavailable, match="can't be reached"):
        await look_up(host)


async def test_an_outage_is_waited_for_but_not_for_ever():
    async with registry() as (fake, host):
        fake.failures = 2
        assert await look_up(host) == DIGEST
        fake.failures = 3
        with pytest.raises(ImageUnavailable, match="can't be reached: it answered 503"):
            await look_up(host)


async def test_an_authority_of_the_sites_own(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*request, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with registry(context) as (_, host):
        with pytest.raises(ImageUnavailable, match="certificate"):
            await look_up(host, endpoints={})
        assert await look_up(host, ca=certificate.read_text()) == DIGEST


def test_what_is_no_certificate_is_refused():
    with pytest.raises(ValueError, match="no list of certificates"):
        Registries(ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")


@pytest.mark.parametrize(
    ("places", "image", "chosen"),
    [
        (["https://index.docker.io/v1/"], "python", 0),
        (["docker.io"], "python", 0),
        (["registry.example.org"], "registry.example.org/a/b", 0),
        (["https://registry.example.org/v2/"], "registry.example.org/a/b", 0),
        (["registry.example.org", "registry.example.org/a"], "registry.example.org/a/b", 1),
        (["registry.example.org/a"], "registry.example.org/ab", None),
        (["*.example.org"], "registry.example.org/a", 0),
        (["*.example.org"], "a.registry.example.org/a", None),
        (["example.org"], "registry.example.org/a", None),
        (["registry.example.org"], "registry.example.org:5000/a", None),
    ],
)
def test_which_login_is_for_which_image(tmp_path, places, image, chosen):
    auths = {place: {"username": str(index), "password": "p"} for index, place in enumerate(places)}
    (tmp_path / "000.json").write_text(json.dumps({"auths": auths}))
    (tmp_path / "001.json").write_text("no JSON")
    login = login_for(ImageReference.parse(image), tmp_path)
    assert (None if login is None else int(login.username)) == chosen
    assert "p'" not in repr(login)
