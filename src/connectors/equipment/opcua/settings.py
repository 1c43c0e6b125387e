"""Settings of OPC UA integrations: security, who signs in, and the nodes of machines."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from connectors.equipment.points import Point

_NODE: Final = re.compile(r"(?:nsu=(?P<uri>[^;]{1,500});)?(?P<identifier>(?:i=\d{1,10}|[sgb]=.{1,1000}))", re.DOTALL)

Policy = Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]


class NodeName(msgspec.Struct, frozen=True):
    """A node by the URI of its namespace; null is OPC UA's own namespace."""

    uri: str | None
    identifier: str
    """`i=1001`, `s=Line.Speed`, `g=…`, `b=…`."""


def node_name(text: str) -> NodeName:
    """Reads `nsu=<uri>;i=…`. Raises `ValueError`: a namespace index would name something else after a restart."""
    if text.startswith("ns="):
        raise ValueError(
            f"node {text!r} uses a namespace index, which differs per server and after restarts; write "
            "nsu=<namespace URI>;… (the URIs stand in the server's NamespaceArray)"
        )
    found = _NODE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} names no node; write nsu=<namespace URI>;i=<number> or …;s=<text>")
    return NodeName(found["uri"], found["identifier"])


class NodePoint(Point, frozen=True, kw_only=True):
    """One variable of a machine. Says where it is either by `node` or by `path`."""

    node: Annotated[str, Meta(min_length=3, max_length=1_500)] | None = None
    """`nsu=http://example.org/line;s=Speed`; `i=2258` in OPC UA's own namespace."""
    path: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    """Browse names from the machine's node on, with `/` between (`Production/PartsDone`): one map serves all machines
    of a kind."""

    def __post_init__(self) -> None:
        Point.__post_init__(self)
        if (self.node is None) == (self.path is None):
            raise ValueError(f"point {self.name!r}: write either node or path")
        if self.node is not None:
            node_name(self.node)


class OpcUa(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings.opcua]`."""

    security_policy: Policy = "None"
    """Exactly this one is spoken; there is no falling back to a weaker one."""
    security_mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    """With a policy other than `None`."""
    certificate_file: str | None = None
    """Our application certificate, PEM or DER. Its URI is our application URI."""
    key_file: str | None = None
    """Its private key, PEM or DER, RSA."""
    key_password: str | None = None
    """NAME of the credential that opens the key file; null for a key that is not encrypted."""
    application_uri: str | None = None
    """When given it must equal the URI in the certificate. Without a certificate: what we call ourselves."""
    trusted_files: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    """Certificates that servers may have, or the CAs that signed them, PEM or DER. Needed with a policy."""
    user: str | None = None
    """NAME of the credential that holds the user's name; null signs in anonymously."""
    password: str | None = None
    """NAME of the credential that holds the password."""
    plain_password: bool = False
    """Allows sending the password unencrypted, or to a server that no certificate in `trusted_files` vouches for."""
    user_certificate_file: str | None = None
    """Certificate of the user, instead of a name and password."""
    user_key_file: str | None = None
    """Its private key."""
    session_seconds: Annotated[float, Meta(ge=10, le=86_400)] = 3_600.0
    """Session timeout to ask for; the server revises it."""
    discover: bool = True
    """Whether variables below the machine's node that have engineering units become sensors, up to 100."""

    def __post_init__(self) -> None:
        secure = self.security_policy != "None"
        if secure and not (self.certificate_file and self.key_file):
            raise ValueError(f"opcua: security_policy {self.security_policy} needs certificate_file and key_file")
        if secure and not self.trusted_files:
            raise ValueError(
                "opcua: name the server's certificate, or its CA's, in trusted_files; without it anybody could be "
                "the server"
            )
        if (self.user is None) != (self.password is None):
            raise ValueError("opcua: user and password belong together; each is the name of a credential")
        if (self.user_certificate_file is None) != (self.user_key_file is None):
            raise ValueError("opcua: user_certificate_file and user_key_file belong together")
        if self.user is not None and self.user_certificate_file is not None:
            raise ValueError("opcua: sign in with a user and password or with a user certificate, not both")
