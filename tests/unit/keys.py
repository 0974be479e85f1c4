"""Private keys for tests, of 2048 bits: half a second instead of ten for the 4096 of a real one."""

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from launcher.encryption import Encrypted


@cache
def private_key(name: str) -> bytes:
    """The key of somebody, in PEM as vantage6 writes it; the same for the same name in one process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def key_file(folder: Path, name: str) -> Path:
    """A file with that key."""
    path = folder / f"{name}.pem"
    path.write_bytes(private_key(name))
    return path


def encrypted(folder: Path, name: str) -> Encrypted:
    """The encryption of the organization `name`."""
    return Encrypted(key_file(folder, name))
