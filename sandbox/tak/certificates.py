"""A certificate authority of the sandbox's own, with one certificate for the server and one for the client."""

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER: Final = "tak"
"""Below the state directory."""
CA, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY = "ca.pem", "server.pem", "server.key", "client.pem", "client.key"
CLIENT_NAME: Final = "crossdock"
DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / CA

    @property
    def server(self) -> Path:
        return self.folder / SERVER

    @property
    def server_key(self) -> Path:
        return self.folder / SERVER_KEY

    @property
    def client(self) -> Path:
        return self.folder / CLIENT

    @property
    def client_key(self) -> Path:
        return self.folder / CLIENT_KEY


class _Telling(ssl.SSLObject):
    """Lets a refused client know why. Python's event loops throw the alert away with the failed handshake; here the
    handshake first asks for more data, upon which the loop sends what is waiting, and fails with the next data."""

    _refused: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._refused is not None:
            raise self._refused
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as refused:
            self._refused = refused
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert goes first") from refused


def server_context(files: Certificates) -> ssl.SSLContext:
    """TLS 1.2 or later, with a client certificate of our CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.server, files.server_key)
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.sslobject_class = _Telling
    return context


def ensure(state_dir: Path, host: str) -> Certificates:
    """The certificates below the directory; made anew when one is missing, ends within a week, or names another
    host than ours."""
    files = Certificates(state_dir / FOLDER)
    if not _good(files, host):
        _make(files, host)
    return files


def _good(files: Certificates, host: str) -> bool:
    if not all(each.exists() for each in (files.ca, files.server, files.server_key, files.client, files.client_key)):
        return False
    soon = _now() + datetime.timedelta(days=7)
    try:
        found = [x509.load_pem_x509_certificate(each.read_bytes()) for each in (files.ca, files.server, files.client)]
        names = found[1].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return all(each.not_valid_after_utc > soon for each in found) and all(one in list(names) for one in _names(host))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    addresses = ["127.0.0.1", "::1"]
    try:
        address = str(ipaddress.ip_address(host))
        if address not in addresses and not ipaddress.ip_address(host).is_unspecified:
            addresses.append(address)
    except ValueError:
        if host != "localhost":
            names.append(x509.DNSName(host))
    return names + [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]


def _make(files: Certificates, host: str) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _subject("Crossdock sandbox TAK CA")
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(files.ca, ca.public_bytes(serialization.Encoding.PEM), 0o644)
    nameless: list[x509.GeneralName] = []
    wanted = (
        (files.server, files.server_key, "takserver", ExtendedKeyUsageOID.SERVER_AUTH, _names(host)),
        (files.client, files.client_key, CLIENT_NAME, ExtendedKeyUsageOID.CLIENT_AUTH, nameless),
    )
    for path, key_path, name, purpose, names in wanted:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_subject(name), ca_name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        _write(path, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(key_path, private, 0o600)


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Crossdock sandbox"),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = _now() - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=DAYS))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, body: bytes, mode: int) -> None:
    """Never readable by others, not even for a moment."""
    part = path.with_suffix(path.suffix + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(body)
    part.replace(path)
