"""Encryption, judged by vantage6-common's own functions for whole messages, which researchers' clients use."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from vantage6.common.encryption import RSACryptor

from launcher import translation
from launcher.config import ConfigError
from launcher.encryption import Encrypted, Plain
from launcher.session.v4_contents import _unwrapped
from launcher.translation import FromBase64, ToBase64, Undecryptable, UnusableKey
from tests.unit.keys import encrypted, private_key

SIZES = st.lists(st.integers(0, 50), max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def ours(folder):
    return encrypted(folder, "ours")


@pytest.fixture(scope="module")
def client(folder):
    """What a researcher of our organization has."""
    encrypted(folder, "ours")
    return type.__call__(RSACryptor, folder / "ours.pem")


def pieces(data, sizes):
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


def through(one, data, sizes=()):
    return b"".join([*(one.update(piece) for piece in pieces(data, sizes)), one.finish()])


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), sizes=SIZES, back=SIZES, piece=st.integers(1, 64))
def test_what_is_encrypted_in_any_pieces_is_read_by_all(ours, client, data, sizes, back, piece):  # noqa: PLR0917
    before, translation.PIECE_BYTES = translation.PIECE_BYTES, piece
    try:
        blob, text = ours.for_blob(ours.public_key), ours.for_text(ours.public_key)
        stored, sent = through(blob, data, sizes), through(text, data, sizes)
        assert (len(stored), len(sent)) == (blob.length(len(data)), text.length(len(data)))
        assert client.decrypt(stored) == data
        assert through(ours.from_blob(), stored, [len(stored) // 2, *back]) == data
        assert through(ours.from_blob(), stored, [1] * 20 + back) == data
        header, _, content = sent.decode().rpartition("$")
        assert client.decrypt(f"{header}$".encode() + base64.b64decode(content, validate=True)) == data
    finally:
        translation.PIECE_BYTES = before


@given(data=st.binary(max_size=200), sizes=SIZES, back=SIZES)
def test_base64_is_translated_wherever_pieces_are_cut(data, sizes, back):
    text = through(ToBase64(), data, sizes)
    assert text == base64.b64encode(data)
    assert len(text) == ToBase64().length(len(data))
    assert through(FromBase64(), text.rstrip(b"="), back) == data


@pytest.mark.parametrize("content", [b'{"method": "m", "args": [1]}', b"", b"\xff\xfe\x00raw", b"[" * 100_000])
def test_an_input_of_the_client_is_read(ours, client, content):
    assert through(ours.from_text(), client.encrypt_bytes_to_str(content, ours.public_key).encode()) == content
    assert through(Plain().from_text(), base64.b64encode(content)) == content


def test_an_input_of_the_web_ui_is_read(ours, client):
    """It encrypts base64 text: of the AES key, and of the content."""
    content, key, iv = json.dumps({"method": "m"}).encode(), bytes(range(32)), bytes(16)
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    body = cipher.update(base64.b64encode(content)) + cipher.finalize()
    shared = client.private_key.public_key().encrypt(base64.b64encode(key), padding.PKCS1v15())
    text = b"$".join(base64.b64encode(part) for part in (shared, iv, body))
    assert _unwrapped(through(ours.from_text(), text)) == content == _unwrapped(content)


@pytest.mark.contract("§18 11 one key per process")
def test_every_key_of_a_process_is_its_own(folder, ours):
    """vantage6-common's class is a singleton: called as usual it would go on with the first key."""
    theirs = encrypted(folder, "theirs")
    assert theirs.public_key != ours.public_key
    assert ours.matches(ours.public_key)
    assert not ours.matches(theirs.public_key)
    assert not ours.matches("no base64 at all")


def failure(read, message):
    try:
        assert read(message) != b"content"
    except Undecryptable as error:
        return str(error)


def theirs_blob(theirs):
    return through(theirs.for_blob(theirs.public_key), b"content")


def test_what_was_encrypted_for_another_key_is_not_read(folder, ours):
    theirs = encrypted(folder, "theirs")
    failures = []
    # A wrong key gives random bytes, once in some hundred times as many as an AES key has: so more than one is tried.
    for _ in range(3):
        text = through(theirs.for_text(theirs.public_key), b"content").decode()
        failures += [failure(lambda text: through(ours.from_text(), text.encode()), text)]
        failures += [failure(lambda blob: through(ours.from_blob(), blob), theirs_blob(theirs))]
    assert failures.count("it was encrypted for another key") >= 4


@pytest.mark.parametrize(
    "message", ["e30=", "a$b", "$$", "a$b$c", "\u00e9$\u00e9$\u00e9", "$" * 50, "x" * 100_000, "a$b$c$d"]
)
def test_what_nobody_encrypted_is_said_to_be_none(ours, message):
    for opening in (ours.from_text(), ours.from_blob()):
        with pytest.raises(Undecryptable):
            through(opening, message.encode())


@pytest.mark.parametrize("key", ["", "no key", base64.b64encode(b"no PEM").decode(), None, 7])
def test_a_public_key_that_is_none_is_refused(ours, key):
    with pytest.raises(UnusableKey):
        ours.for_blob(key)
    with pytest.raises(UnusableKey):
        ours.for_text(key)


def test_a_public_key_that_is_not_of_rsa_is_refused(ours):
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UnusableKey):
        ours.for_blob(base64.b64encode(pem).decode())


def other_keys():
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    ours = serialization.load_pem_private_key(private_key("ours"), None)
    yield "not a private key", b"-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----\n"
    yield "not a private key", b""
    yield "not a private key", ours.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"password"))
    yield "no RSA key", key.private_bytes(pem, pkcs8, serialization.NoEncryption())


@pytest.mark.parametrize(("says", "content"), list(other_keys()))
def test_a_private_key_that_can_t_be_used_is_one_sentence_without_it(tmp_path, says, content):
    path = tmp_path / "private_key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"node\.encryption\.private_key is {says}") as refusal:
        Encrypted(path)
    assert "BEGIN" not in str(refusal.value)
    with pytest.raises(ConfigError, match=r"can't be read at .*; give node\.encryption\.private_key"):
        Encrypted(tmp_path / "missing.pem")
