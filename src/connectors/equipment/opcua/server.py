"""One OPC UA server: its secure channel and session, made when they are needed and made anew when they are lost."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.common.utils import SocketClosedException
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from connectors.equipment.opcua.security import POLICIES, Identity, Trust, plain_password
from connectors.equipment.opcua.settings import NodeName, OpcUa
from connectors.kit.attempts import ATTEMPTS
from connectors.kit.errors import AuthFailed, BadPayload, BadRequest, PermissionDenied, VendorDown, VendorError
from connectors.kit.guarded import Guarded
from connectors.kit.integration import Integration, Secret
from connectors.kit.services import Services

T = TypeVar("T")

NODES_PER_CALL: Final = 200
"""Nodes in one read; servers may take fewer than are asked for, and say so."""
_MESSAGE_MOST: Final = 16 << 20
_WATCHDOG_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 2.0

_WHO: Final = frozenset(
    {
        "BadUserAccessDenied",
        "BadIdentityTokenInvalid",
        "BadIdentityTokenRejected",
        "BadUserSignatureInvalid",
        "BadApplicationSignatureInvalid",
        "BadSecurityChecksFailed",
        "BadSecurityModeRejected",
        "BadSecurityPolicyRejected",
        "BadNonceInvalid",
    }
)
_GONE: Final = frozenset(
    {
        "BadCommunicationError",
        "BadConnectionClosed",
        "BadConnectionRejected",
        "BadDisconnect",
        "BadInternalError",
        "BadInvalidState",
        "BadNoCommunication",
        "BadOutOfMemory",
        "BadOutOfService",
        "BadRequestTimeout",
        "BadResourceUnavailable",
        "BadSecureChannelClosed",
        "BadSecureChannelIdInvalid",
        "BadSecureChannelTokenUnknown",
        "BadServerHalted",
        "BadServerNotConnected",
        "BadSessionClosed",
        "BadSessionIdInvalid",
        "BadSessionNotActivated",
        "BadShutdown",
        "BadSubscriptionIdInvalid",
        "BadTimeout",
        "BadTooManyOperations",
        "BadTooManyPublishRequests",
        "BadTooManySessions",
        "BadTooManySubscriptions",
        "BadUnexpectedError",
        "BadUnknownResponse",
        "BadWaitingForInitialData",
    }
)


class Link:
    """A connection that stands: its client and the server's namespaces. Another link is another connection, with
    other namespace indices perhaps."""

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self.client = client
        self.namespaces = list(namespaces)
        self.lost = asyncio.Event()

    @property
    def stands(self) -> bool:
        return not self.lost.is_set() and self.client.state is UaClientState.CONNECTED

    def resolve(self, name: NodeName) -> ua.NodeId:
        """The node's id on this server. Raises `BadRequest` for a namespace that it does not have."""
        if name.uri is None:
            index = 0
        elif name.uri in self.namespaces:
            index = self.namespaces.index(name.uri)
        else:
            raise BadRequest(
                f"the server has no namespace {name.uri!r}; it has: {', '.join(self.namespaces[:20])}",
                vendor_code="BadNodeIdUnknown",
            )
        try:
            return ua.NodeId.from_string(f"ns={index};{name.identifier}")
        except ua.UaStringParsingError:
            raise BadRequest(f"{name.identifier!r} names no node", vendor_code="BadNodeIdInvalid") from None

    def spell(self, node: ua.NodeId) -> str:
        """The node's id with its namespace's URI."""
        identifier = node.to_string().rpartition("ns=")[2]
        index = node.NamespaceIndex
        if index == 0 or index >= len(self.namespaces):
            return identifier
        return f"nsu={self.namespaces[index]};{identifier.partition(';')[2]}"

    async def read(
        self, nodes: Sequence[ua.NodeId], attribute: AttributeIds = AttributeIds.Value
    ) -> list[ua.DataValue]:
        """The attributes of many nodes, in order, in as few calls as servers take."""
        found: list[ua.DataValue] = []
        for start in range(0, len(nodes), NODES_PER_CALL):
            part = list(nodes[start : start + NODES_PER_CALL])
            answers = await self.client.uaclient.read_attributes(part, attribute)
            if len(answers) != len(part):
                raise BadPayload(f"{len(part)} nodes were asked for, {len(answers)} values came", path="$.Results")
            found += answers
        return found


class Server:
    """Shared by the machines behind one url. All calls go through `call`: deadline, breaker, reconnect."""

    def __init__(
        self,
        url: str,
        options: OpcUa,
        credentials: Mapping[str, Secret],
        *,
        integration: Integration,
        services: Services,
    ) -> None:
        self.url, self._options, self._credentials = url, options, credentials
        self._services = services
        self._timeout = integration.deadline_seconds / (ATTEMPTS + 1)
        self.guard = Guarded(integration, services, target=url, explain=explain)
        self._lock = asyncio.Lock()
        self._link: Link | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self.connects = 0
        """Sessions made so far."""

    async def call(self, what: str, run: Callable[[Link], Awaitable[T]]) -> T:
        """Runs `run` over a connection that stands, made first if need be. Raises `VendorError`s."""

        async def attempt() -> T:
            link = await self._standing()
            try:
                return await run(link)
            except VendorError:
                raise
            except Exception as fault:
                # What is no plain refusal of this one call leaves a connection of which nothing is known
                known = explain(fault)
                if known is None or isinstance(known, VendorDown) or not isinstance(fault, ua.UaStatusCodeError):
                    self.drop(link)
                raise

        return await self.guard.call(what, attempt)

    async def _standing(self) -> Link:
        async with self._lock:
            link = self._link
            if link is not None and link.stands:
                return link
            if link is not None:
                self.drop(link)
            self._link = await self._connect()
            return self._link

    async def _connect(self) -> Link:
        options, now = self._options, self._services.clock.now()
        identity = await asyncio.to_thread(Identity, options, self._credentials, now)
        client = Client(self.url, timeout=self._timeout, watchdog_intervall=_WATCHDOG_SECONDS)
        client.name = client.description = "Crossdock"
        client.application_uri, client.product_uri = identity.uri, "urn:crossdock"
        client.session_timeout = round(options.session_seconds * 1_000)
        client.max_messagesize = _MESSAGE_MOST
        endpoint = self._choose(await client.connect_and_get_server_endpoints())
        if options.security_policy != "None":
            await self._secure(client, identity, endpoint)
        if options.user is not None and options.password is not None:
            if not options.plain_password:
                await self._guard_password(client, endpoint)
            client.set_user(self._credentials[options.user].reveal())
            client.set_password(self._credentials[options.password].reveal())
        elif identity.user_certificate is not None:
            client.user_certificate, client.user_private_key = identity.user_certificate, identity.user_key
        done = False
        try:
            await client.connect()
            link = Link(client, await client.get_namespace_array())
            client.connection_lost_callback = _teller(link)
            done = True
        finally:
            if not done:
                self._bid_farewell(client)
        self.connects += 1
        self._services.log.info(
            "equipment.session",
            integration=self.guard.integration.key,
            target=self.url,
            timeout_seconds=client.session_timeout / 1_000,
        )
        return link

    def _choose(self, endpoints: Sequence[ua.EndpointDescription]) -> ua.EndpointDescription:
        """The endpoint with exactly our policy and mode. Raises `AuthFailed` that names what is offered."""
        policy = POLICIES[self._options.security_policy].URI
        secure = self._options.security_policy != "None"
        mode = ua.MessageSecurityMode[self._options.security_mode] if secure else ua.MessageSecurityMode.None_
        for each in endpoints:
            if each.SecurityPolicyUri == policy and each.SecurityMode == mode:
                return each
        offered = sorted(
            {f"{each.SecurityPolicyUri.rpartition('#')[2]}/{each.SecurityMode.name}" for each in endpoints}
        )
        raise AuthFailed(
            f"the server does not speak {self._options.security_policy} with mode {mode.name.rstrip('_')}; it offers: "
            f"{', '.join(offered).replace('None_', 'None') or 'nothing'}"
        )

    async def _guard_password(self, client: Client, endpoint: ua.EndpointDescription) -> None:
        """That the password goes out encrypted, and to a server that we trust. Raises `AuthFailed`."""
        if plain_password(endpoint):
            raise AuthFailed(
                "the server takes the password unencrypted only; speak a security_policy, or allow it with "
                "plain_password = true"
            )
        if self._options.security_policy == "None":
            if not self._options.trusted_files:
                raise AuthFailed(
                    "the password would go to a server that nobody has checked; name its certificate in trusted_files, "
                    "or allow it with plain_password = true"
                )
            trusted = await self._trusted(endpoint)
            # the session's certificate must be this one, or asyncua ends it
            client.security_policy.peer_certificate = trusted.public_bytes(Encoding.DER)

    async def _trusted(self, endpoint: ua.EndpointDescription) -> x509.Certificate:
        """The server's certificate. Raises `AuthFailed` for one that we do not trust."""
        trust = await asyncio.to_thread(Trust, self._options.trusted_files)
        certificate = _leading(endpoint.ServerCertificate)
        trust.check(certificate, endpoint.Server.ApplicationUri, self._services.clock.now(), self.url)
        return certificate

    async def _secure(self, client: Client, identity: Identity, endpoint: ua.EndpointDescription) -> None:
        certificate = await self._trusted(endpoint)
        assert identity.certificate is not None
        assert identity.key is not None
        await client.set_security(
            POLICIES[self._options.security_policy],
            CertProperties(identity.certificate, "der"),
            CertProperties(identity.key, "der"),
            server_certificate=CertProperties(certificate.public_bytes(Encoding.DER), "der"),
            mode=endpoint.SecurityMode,
        )

    def drop(self, link: Link) -> None:
        """Gives the connection up; the next call makes another."""
        link.lost.set()
        if self._link is link:
            self._link = None
        self._bid_farewell(link.client)

    def _bid_farewell(self, client: Client) -> None:
        task = asyncio.create_task(_farewell(client))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def aclose(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            self.drop(link)
        await asyncio.gather(*self._farewells, return_exceptions=True)


async def _farewell(client: Client) -> None:
    """Closes the session as far as the server still listens, and the socket in any case."""
    try:
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await client.disconnect()
    except (TimeoutError, OSError, RuntimeError):
        pass  # the server is gone, which is why we are here
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            client.disconnect_socket()


def _leading(content: bytes | None) -> x509.Certificate:
    """The first certificate of what may be a chain. Raises `AuthFailed`."""
    chain = content or b""
    length = int.from_bytes(chain[2:4], "big") + 4  # a SEQUENCE with a length of two bytes, as certificates are
    try:
        return x509.load_der_x509_certificate(chain[:length])
    except ValueError:
        raise AuthFailed("the server's endpoint comes without a certificate that can be read") from None


def _teller(link: Link) -> Callable[[Exception], Coroutine[Any, Any, None]]:
    async def lost(_: Exception) -> None:
        link.lost.set()

    return lost


def explain(fault: Exception) -> VendorError | None:
    """What an exception of asyncua means."""
    match fault:
        case ua.UaStatusCodeError():
            return _status(ua.StatusCode(fault.code).name, fault.code)
        case OSError() | SocketClosedException():
            return VendorDown("cannot connect, or the connection broke off")
        case ua.UaError():
            return BadPayload(f"an answer that cannot be read came ({type(fault).__name__})", path="$")
        case RuntimeError() if "closed" in str(fault):  # uvloop's word for a connection that went a moment ago
            return VendorDown("the connection broke off")
    return None


def _status(name: str, code: int) -> VendorError:
    said = f"the server answered {name} (0x{code:08X})"
    if name in _GONE or name.startswith("BadTcp"):
        return VendorDown(said, vendor_code=name)
    if name.startswith("BadCertificate") or name in _WHO:
        return AuthFailed(
            f"{said}; check the user, and that the server trusts our application certificate", vendor_code=name
        )
    if name in ("BadNotReadable", "BadNotSupported", "BadViewIdUnknown"):
        return PermissionDenied(said, vendor_code=name)
    return BadRequest(said, vendor_code=name)


def quiet() -> None:
    """asyncua reports every request and every lost connection by itself; ours are told once, by the kit."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
