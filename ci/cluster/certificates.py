"""The cluster's own certificate authority, and the certificates of its parts. Kept for one cluster's life only."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ci.cluster.places import Addresses, Machine

_LIFETIME = timedelta(days=3650)
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_LOCAL = IPv4Address("127.0.0.1")
_API_SERVER_NAMES = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
]
_CONTROL = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
}


@dataclass(frozen=True)
class Authority:
    """A certificate authority that writes the certificates it signs into ``folder``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("v6-node test cluster", "")
        certificate = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(folder, "ca", key, certificate)
        return cls(folder, key, certificate)

    def issue(self, file: str, user: str, group: str = "", *, server: list[str | IPv4Address] | None = None) -> None:
        """Write ``file``.crt and ``file``.key for ``user`` of ``group``; with ``server``, for those names too."""
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [_CLIENT] if server is None else [_SERVER, _CLIENT]
        builder = (
            _builder(_name(user, group), self.certificate.subject, key)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if server:
            names = [x509.DNSName(n) if isinstance(n, str) else x509.IPAddress(n) for n in server]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        _write(self.folder, file, key, builder.sign(self.key, hashes.SHA256()))


def clients(machine: Machine) -> dict[str, tuple[str, str]]:
    """Certificate -> user and group, which Kubernetes' own RBAC bootstrap binds to what each component may do."""
    return {
        **(_CONTROL if machine.first else {}),
        "cilium": ("cilium", "system:masters"),
        "proxy": ("system:kube-proxy", ""),
        "kubelet": (f"system:node:{machine.name}", "system:nodes"),
    }


def create(folder: Path, addresses: Addresses) -> Authority:
    """Write the authority, the first machine's certificates and the key that signs service account tokens."""
    authority = Authority.create(folder)
    names: list[str | IPv4Address] = [*_API_SERVER_NAMES, addresses.api_service, addresses.node, _LOCAL]
    authority.issue("apiserver", "kube-apiserver", server=names)
    _identify(authority, Machine(addresses))
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "tokens.key").write_bytes(_pem(tokens))
    (folder / "tokens.pub").write_bytes(
        tokens.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return authority


def join(authority: Authority, folder: Path, machine: Machine) -> None:
    """Write the certificates of a further machine."""
    folder.mkdir(parents=True)
    shutil.copy(authority.folder / "ca.crt", folder)
    _identify(replace(authority, folder=folder), machine)


def _identify(authority: Authority, machine: Machine) -> None:
    for file, (user, group) in clients(machine).items():
        names: list[str | IPv4Address] | None = [machine.name, machine.address, _LOCAL] if file == "kubelet" else None
        authority.issue(file, user, group, server=names)


def _name(user: str, group: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(folder: Path, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    (folder / f"{file}.key").touch(mode=0o600)
    (folder / f"{file}.key").write_bytes(_pem(key))
    (folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
