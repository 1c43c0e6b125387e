"""Application certificates of the server and of one client, each self-signed, as OPC UA applications have them."""

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER: Final = "opcua"
"""Below the state directory."""
SERVER_URI: Final = "urn:sandbox:opcua:line"
CLIENT_URI: Final = "urn:crossdock:sandbox:client"
DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are; all in PEM."""

    folder: Path

    @property
    def server(self) -> Path:
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def client(self) -> Path:
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key"


def ensure(state_dir: Path, *, now: datetime.datetime | None = None) -> Certificates:
    """The certificates below the directory; made anew when one is missing or ends within a week."""
    found = Certificates(state_dir / FOLDER)
    at = now or datetime.datetime.now(datetime.UTC)
    if not _hold(found, at):
        found.folder.mkdir(parents=True, exist_ok=True)
        _make(found.server, found.server_key, "Sandbox line", SERVER_URI, at)
        _make(found.client, found.client_key, "Crossdock", CLIENT_URI, at)
    return found


def _hold(files: Certificates, at: datetime.datetime) -> bool:
    if not all(each.exists() for each in (files.server, files.server_key, files.client, files.client_key)):
        return False
    held = [x509.load_pem_x509_certificate(each.read_bytes()) for each in (files.server, files.client)]
    return all(each.not_valid_after_utc > at + datetime.timedelta(days=7) for each in held)


def _make(file: Path, key_file: Path, name: str, uri: str, at: datetime.datetime) -> None:
    certificate, key = pair(name, uri, at)
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def pair(name: str, uri: str, at: datetime.datetime, days: int = DAYS) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A self-signed application certificate (OPC 10000-6, 6.2.2) and its key."""
    key = rsa.generate_private_key(65_537, 2_048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True,
        key_agreement=False, key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(days=1))
        .not_valid_after(at + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]), False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key
