"""Settings, credentials, and the TLS context that is made of them at the first connection."""

import ssl
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from connectors.kit.errors import AuthFailed
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Credential

STREAM_PORT = 8089

CREDENTIALS = (
    Credential(
        name="client_certificate", description="Client certificate as PEM text, instead of a file", required=False
    ),
    Credential(name="client_key", description="Its private key as PEM text, instead of a file", required=False),
    Credential(name="client_key_password", description="Password of the private key", required=False),
    Credential(name="ca", description="CA of the server's certificate as PEM text, instead of a file", required=False),
    Credential(name="mission_password", description="Password of password-protected missions", required=False),
    Credential(name="stream_username", description="User of the stream, for old servers that want one", required=False),
    Credential(name="stream_password", description="Password of that user", required=False),
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[integrations.settings]` of a TAK server."""

    client_certificate_file: Annotated[
        str | None, msgspec.Meta(description="PEM file of the client certificate, with its chain if it has one")
    ] = None
    client_key_file: Annotated[
        str | None,
        msgspec.Meta(
            description="PEM file of its private key; null when it is in the certificate's file, which may hold both"
        ),
    ] = None
    ca_file: Annotated[
        str | None, msgspec.Meta(description="PEM file of the server's CA; null trusts the system's CAs")
    ] = None
    server_name: Annotated[
        str | None,
        msgspec.Meta(description="Name that the server's certificate must bear; null = the host of the address"),
    ] = None
    stream_url: Annotated[
        str | None,
        msgspec.Meta(
            description=(
                "`tls://host:port` of the CoT stream; null = port 8089 of the host; empty = no stream, units are polled"
            )
        ),
    ] = None
    client_uid: Annotated[str | None, msgspec.Meta(description="Our uid on the stream; null = `CROSSDOCK-<key>`")] = (
        None
    )
    protobuf: Annotated[bool, msgspec.Meta(description="Switch to the TAK protocol where the server offers it")] = True
    ping_seconds: Annotated[float, msgspec.Meta(ge=10, le=30, description="Seconds between our keep-alives")] = 15.0
    silence_seconds: Annotated[
        float, msgspec.Meta(ge=31, le=600, description="Seconds without a byte after which the stream counts as dead")
    ] = 60.0
    changes_hours: Annotated[int, msgspec.Meta(ge=1, le=720, description="How much of a mission's log is read")] = 24


def settings_of(integration: Integration) -> Settings:
    return msgspec.convert(integration.settings, Settings)


def stream_address(integration: Integration, settings: Settings) -> tuple[str, int] | None:
    """Host and port of the stream; null when there is none. Raises `ValueError` for another kind of address."""
    if settings.stream_url == "":
        return None
    if settings.stream_url is None:
        host = urlsplit(integration.base_url).hostname
        return (host, STREAM_PORT) if host else None
    parts = urlsplit(settings.stream_url)
    if parts.scheme not in ("tls", "ssl") or not parts.hostname:
        raise ValueError("`stream_url` must be `tls://host:port`: the stream is only read over TLS")
    return parts.hostname, parts.port or STREAM_PORT


class _Context(ssl.SSLContext):
    """Checks the server's certificate against a name of our own, where the address has another."""

    expected_name: str | None = None

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        if self.expected_name is not None:
            kwargs["server_hostname"] = self.expected_name
        return super().wrap_bio(*args, **kwargs)


class Tls:
    """The client side of TLS. Files are read at the first connection, never in a constructor."""

    def __init__(self, integration: Integration, settings: Settings, now: Callable[[], datetime]) -> None:
        self._integration, self._settings, self._now = integration, settings, now
        self._context: ssl.SSLContext | None = None
        self.expires_at: datetime | None = None
        """When the client certificate ends; known after the first connection."""

    def context(self) -> ssl.SSLContext:
        """The context. Raises `AuthFailed` that names the file or credential at fault."""
        if self._context is None:
            self._context = self._made()
        if self.expires_at is not None and self.expires_at <= self._now():
            self._context = None  # a renewed file is read at the next attempt
            raise self._fault(f"the client certificate expired on {self.expires_at:%Y-%m-%d}; enrol for a new one")
        return self._context

    def _fault(self, text: str) -> AuthFailed:
        key = self._integration.key
        return AuthFailed(f"{key}: {text}", integration=key)

    def _pem(self, credential: str, file: str | None, setting: str) -> bytes | None:
        secrets: Mapping[str, Secret] = self._integration.credentials
        if secrets.get(credential):
            return secrets[credential].reveal().encode()
        if file is None:
            return None
        try:
            return Path(file).read_bytes()
        except OSError as fault:
            raise self._fault(f"cannot read `{setting}` {file}: {fault.strerror or type(fault).__name__}") from None

    def _made(self) -> ssl.SSLContext:
        settings = self._settings
        context = _Context(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.expected_name = settings.server_name
        ca = self._pem("ca", settings.ca_file, "ca_file")
        try:
            if ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(cadata=ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            raise self._fault(f"{settings.ca_file or 'the credential `ca`'} holds no certificate in PEM") from None
        certificate = self._pem("client_certificate", settings.client_certificate_file, "client_certificate_file")
        key = self._pem("client_key", settings.client_key_file, "client_key_file")
        if certificate is not None:
            self._load(context, certificate, key or certificate)
        return context

    def _load(self, context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
        """OpenSSL takes the pair from files only; ours live as long as the call, readable by us alone."""
        secret = self._integration.credentials.get("client_key_password")
        try:
            self.expires_at = x509.load_pem_x509_certificates(certificate)[0].not_valid_after_utc
        except ValueError:
            where = self._settings.client_certificate_file or "the credential `client_certificate`"
            raise self._fault(f"{where} holds no certificate in PEM") from None
        with tempfile.TemporaryDirectory(prefix="crossdock-") as folder:
            pair = Path(folder, "certificate.pem"), Path(folder, "key.pem")
            for path, text in zip(pair, (certificate, key), strict=True):
                path.touch(mode=0o600)
                path.write_bytes(text)
            try:
                context.load_cert_chain(*pair, password=secret.reveal() if secret else "")
            except (ssl.SSLError, ValueError) as fault:
                reason = getattr(fault, "reason", None) or "unreadable"
                where = self._settings.client_key_file or "the client key"
                raise self._fault(f"{where} does not fit the client certificate ({reason})") from None


_REFUSALS = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED", "DECRYPT_ERROR")


def refusal(error: BaseException | None) -> str | None:
    """Why TLS failed, when a person must mend it; null for everything else.

    With TLS 1.3 a server's refusal of our certificate arrives at the first read, after a handshake that looked fine.
    """
    seen = 0
    while error is not None and seen < 10:
        # aiohttp's errors are such too, but only by name: what is known stands in their causes
        if isinstance(error, ssl.SSLCertVerificationError) and (why := getattr(error, "verify_message", None)):
            return (
                f"the server's certificate is not trusted ({why}); "
                "check `ca_file` and `server_name`, or the server's certificate"
            )
        if isinstance(error, ssl.SSLError):
            reason = str(getattr(error, "reason", None) or "").upper().replace(" ", "_")
            if "ALERT" in reason and any(each in reason for each in _REFUSALS):
                return (
                    f"the server refuses our client certificate ({reason.lower().replace('_', ' ')}); check "
                    "`client_certificate_file`, and that the server trusts its CA and has not revoked it"
                )
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None
