"""Certificates of an OPC UA client: our own, the servers that we trust, the user's."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from asyncua import ua
from asyncua.crypto import security_policies
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.equipment.opcua.settings import OpcUa, Policy
from connectors.kit.errors import AuthFailed
from connectors.kit.integration import Secret

POLICIES: Final[Mapping[Policy, type[security_policies.SecurityPolicy]]] = {
    "None": security_policies.SecurityPolicyNone,
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
DEFAULT_URI: Final = "urn:crossdock:client"
_FILE_MOST: Final = 1 << 20


class Identity:
    """What we show a server. Raises `AuthFailed` that names the file and what is wrong with it."""

    def __init__(self, options: OpcUa, credentials: Mapping[str, Secret], now: datetime) -> None:
        self.certificate: bytes | None = None
        self.key: bytes | None = None
        self.uri = options.application_uri or DEFAULT_URI
        self.user_certificate: x509.Certificate | None = None
        self.user_key: rsa.RSAPrivateKey | None = None
        if options.certificate_file is not None and options.key_file is not None:
            own = _certificate(options.certificate_file, "certificate_file")
            password = credentials[options.key_password].reveal() if options.key_password is not None else None
            key = _key(options.key_file, "key_file", password)
            _belong(own, key, options.certificate_file, options.key_file)
            _valid(own, options.certificate_file, now)
            self.uri = _uri(own, options)
            self.certificate = own.public_bytes(serialization.Encoding.DER)
            self.key = key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        if options.user_certificate_file is not None and options.user_key_file is not None:
            self.user_certificate = _certificate(options.user_certificate_file, "user_certificate_file")
            self.user_key = _key(options.user_key_file, "user_key_file", None)
            _belong(self.user_certificate, self.user_key, options.user_certificate_file, options.user_key_file)


class Trust:
    """The servers' certificates that we accept: one of these, or one that a CA among these has signed."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self._trusted = [each for file in files for each in _certificates(file, "trusted_files")]

    def check(self, certificate: x509.Certificate, application_uri: str | None, now: datetime, target: str) -> None:
        """Raises `AuthFailed`: unknown, out of date, or another application's."""
        print_ = hashlib.sha1(certificate.public_bytes(serialization.Encoding.DER), usedforsecurity=False).hexdigest()
        who = f"the certificate of {target} (subject {certificate.subject.rfc4514_string()[:100]}, thumbprint {print_})"
        if not any(self._accepts(each, certificate) for each in self._trusted):
            raise AuthFailed(
                f"{who} is not trusted; compare the thumbprint with the one that the server shows, then add its file, "
                "or its CA's, to trusted_files"
            )
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise AuthFailed(
                f"{who} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d} only; renew it on the server"
            )
        if application_uri is not None and application_uri not in uris(certificate):
            raise AuthFailed(f"{who} is not made out to the server's application URI {application_uri[:100]!r}")

    @staticmethod
    def _accepts(trusted: x509.Certificate, certificate: x509.Certificate) -> bool:
        if trusted == certificate:
            return True
        try:
            constraints = trusted.extensions.get_extension_for_class(x509.BasicConstraints).value
            if not constraints.ca:
                return False
            certificate.verify_directly_issued_by(trusted)
        except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True


def uris(certificate: x509.Certificate) -> list[str]:
    """The application URIs that a certificate is made out to."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return list(names.get_values_for_type(x509.UniformResourceIdentifier))


def plain_password(endpoint: ua.EndpointDescription) -> bool:
    """Whether a password would go out unencrypted: its token policy is `None`, or none and the channel's is."""
    for each in endpoint.UserIdentityTokens:
        if each.TokenType == ua.UserTokenType.UserName:
            policy = each.SecurityPolicyUri or endpoint.SecurityPolicyUri
            encrypted = endpoint.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
            return policy == security_policies.SecurityPolicyNone.URI and not encrypted
    return False


def _uri(own: x509.Certificate, options: OpcUa) -> str:
    named = uris(own)
    if not named:
        raise AuthFailed(
            f"certificate_file {options.certificate_file} names no application URI; make it with one, as "
            "subjectAltName URI:urn:…"
        )
    if options.application_uri is not None and options.application_uri not in named:
        raise AuthFailed(
            f"application_uri {options.application_uri!r} is not the one in certificate_file "
            f"{options.certificate_file}, which is {named[0]!r}; servers refuse that"
        )
    return options.application_uri or named[0]


def _bytes(file: str, setting: str) -> bytes:
    try:
        content = Path(file).read_bytes()
    except OSError as fault:
        raise AuthFailed(f"cannot read {setting} {file}: {fault.strerror or type(fault).__name__}") from None
    if len(content) > _FILE_MOST:
        raise AuthFailed(f"{setting} {file} is longer than {_FILE_MOST >> 20} MiB")
    return content


def _certificates(file: str, setting: str) -> list[x509.Certificate]:
    content = _bytes(file, setting)
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError:
        raise AuthFailed(f"{setting} {file} holds no certificate in PEM or DER") from None


def _certificate(file: str, setting: str) -> x509.Certificate:
    return _certificates(file, setting)[0]


def _key(file: str, setting: str, password: str | None) -> rsa.RSAPrivateKey:
    content = _bytes(file, setting)
    load = serialization.load_pem_private_key if b"-----BEGIN" in content else serialization.load_der_private_key
    try:
        key = load(content, password.encode() if password is not None else None)
    except TypeError:
        raise AuthFailed(
            f"{setting} {file} is encrypted; name the credential that opens it in key_password"
            if password is None
            else f"{setting} {file} is not encrypted; take key_password away"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise AuthFailed(f"{setting} {file} holds no private key, or the password does not open it") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise AuthFailed(f"{setting} {file} is no RSA key, which OPC UA's policies need")
    return key


def _belong(certificate: x509.Certificate, key: rsa.RSAPrivateKey, certificate_file: str, key_file: str) -> None:
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey) or public.public_numbers() != key.public_key().public_numbers():
        raise AuthFailed(f"{certificate_file} and {key_file} do not belong together")


def _valid(certificate: x509.Certificate, file: str, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise AuthFailed(
            f"{file} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d} only; make a new one"
        )
