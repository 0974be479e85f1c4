"""The cluster's certificates: signed by its authority, for the names and the groups that Kubernetes expects."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ci.cluster import certificates, configuration
from ci.cluster.places import Addresses, Machine

ADDRESSES = Addresses(3)
FIRST, SECOND = Machine(ADDRESSES), Machine(ADDRESSES, 2)
CLIENTS = certificates.clients(FIRST)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    authority = certificates.create(folder, ADDRESSES)
    certificates.join(authority, folder / "second", SECOND)
    return folder


def read(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("name", ["apiserver", *CLIENTS])
def test_the_authority_signed_it_and_the_key_is_its_own(name: str, pki: Path) -> None:
    certificate = read(pki, name)
    certificate.verify_directly_issued_by(read(pki, "ca"))
    key = serialization.load_pem_private_key((pki / f"{name}.key").read_bytes(), None)
    assert key.public_key() == certificate.public_key()
    assert (pki / f"{name}.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("name", "identity"), CLIENTS.items())
def test_a_component_is_who_rbac_knows_it_as(name: str, identity: tuple[str, str], pki: Path) -> None:
    certificate = read(pki, name)
    user, group = identity
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
    groups = [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ([group] if group else [])
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in purposes


def test_the_api_server_answers_to_all_its_names(pki: Path) -> None:
    names = read(pki, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)
    addresses = set(names.get_values_for_type(x509.IPAddress))
    assert {ADDRESSES.api_service, ADDRESSES.node, IPv4Address("127.0.0.1")} <= addresses


def test_a_second_machine_has_a_kubelet_of_its_own_name_and_address(pki: Path) -> None:
    certificate = read(pki / "second", "kubelet")
    certificate.verify_directly_issued_by(read(pki, "ca"))
    assert certificates.clients(SECOND)["kubelet"] == ("system:node:node2", "system:nodes")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node2"]
    assert SECOND.address in names.get_values_for_type(x509.IPAddress)


def test_a_kubeconfig_for_outside_needs_no_other_file(pki: Path) -> None:
    inside = str(configuration.kubeconfig(ADDRESSES, "admin"))
    outside = str(configuration.kubeconfig(ADDRESSES, "admin", pki))
    assert str(configuration.PKI) in inside
    assert str(configuration.PKI) not in outside
    assert str(pki) not in outside
