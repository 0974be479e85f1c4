"""This organization's encryption, or that there is none: its key, and the translations that are made with it."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from vantage6.common.encryption import RSACryptor

from launcher.config import ConfigError
from launcher.translation import Decrypt, DecryptText, Encrypt, EncryptText, FromBase64, ToBase64

MOUNTED_KEY = Path("/run/secrets/v6-node-encryption/private_key.pem")
"""Where the chart mounts the private key, in launcher and proxy."""


class Plain:
    """No encryption: base64."""

    public_key = ""

    def for_text(self, _: str) -> ToBase64:
        """A translation of a result into the text that is sent."""
        return ToBase64()

    def for_blob(self, _: str) -> ToBase64:
        """A translation of a result or input into what is put into a blob store."""
        return ToBase64()

    def from_blob(self) -> FromBase64:
        """The translation back."""
        return FromBase64()

    def from_text(self) -> FromBase64:
        """The translation of an input back."""
        return FromBase64()


class Encrypted:
    """Encryption with this organization's private key.

    Args:
        key: file with the private key, in PEM.

    Raises:
        ConfigError: there is none, or it is no RSA key without a password.
    """

    def __init__(self, key: Path) -> None:
        try:
            # CryptorBase is a singleton: its class, called as usual, would give the key of the first call to every
            # later one of this process.
            self._cryptor: Any = type.__call__(RSACryptor, key)
        except OSError as error:
            raise ConfigError(
                f"The private key can't be read at {key} ({error.strerror or 'it is not there'}); "
                "give node.encryption.private_key, or a Secret with the key private_key.pem."
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigError(
                "node.encryption.private_key is not a private key in PEM without a password; "
                "give the text of the file that `v6 node create-private-key` makes."
            ) from error
        if not isinstance(self._cryptor.private_key, RSAPrivateKey):
            raise ConfigError("node.encryption.private_key is no RSA key, which vantage6 needs; make one of 4096 bits.")

    @property
    def public_key(self) -> str:
        """The public key in the form in which the server keeps it: base64 of PEM."""
        return str(self._cryptor.public_key_str)

    def matches(self, public_key: str) -> bool:
        """Whether a public key, as the server keeps it, belongs to the private one."""
        try:
            return bool(self._cryptor.verify_public_key(public_key))
        except ValueError:
            return False

    def for_text(self, public_key: str) -> EncryptText:
        """A translation of a result into the text that is sent to the organization with this key.

        Raises:
            UnusableKey: nothing can be encrypted with it.
        """
        return EncryptText(self._cryptor, public_key)

    def for_blob(self, public_key: str) -> Encrypt:
        """A translation of a result or input into what is put into a blob store for the organization with this key.

        Raises:
            UnusableKey: nothing can be encrypted with it.
        """
        return Encrypt(self._cryptor, public_key)

    def from_blob(self) -> Decrypt:
        """The translation back, with the private key."""
        return Decrypt(self._cryptor)

    def from_text(self) -> DecryptText:
        """The translation of an input or result back."""
        return DecryptText(self._cryptor)


def encryption(enabled: bool, key: Path) -> Plain | Encrypted:
    """What the collaboration uses.

    Raises:
        ConfigError: it is encrypted, and the key can't be used.
    """
    return Encrypted(key) if enabled else Plain()
