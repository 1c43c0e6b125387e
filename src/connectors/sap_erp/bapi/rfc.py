"""Function modules over RFC, through pyrfc: an extra that needs SAP's NetWeaver RFC SDK, which only customers have."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from connectors.kit.errors import AuthFailed, BadRequest, NotFound, PermissionDenied, Rejected, VendorDown, VendorError
from connectors.kit.guarded import Guarded
from connectors.kit.http import OutcomeKind
from connectors.kit.integration import Integration
from connectors.kit.services import Services
from connectors.sap_erp.bapi.functions import Answered, Values, messages, normal, verdict
from connectors.sap_erp.settings import Settings

ABSENT: Final = (
    'interface = "rfc" needs pyrfc and the NetWeaver RFC SDK of SAP, and they cannot be loaded here ({reason}). '
    "Install the SDK from SAP, then `pip install crossdock[sap-rfc]` (SAP withdrew pyrfc from PyPI: only an exact pin "
    'still resolves, or build it from its archive); or set interface = "soap" or "odata"'
)


class RfcMissing(VendorError):
    """pyrfc or the SDK under it is not there: a person has to install it, or choose another interface."""

    code = "ERR_VENDOR_UNAVAILABLE"
    hint = 'Install pyrfc with SAP\'s NetWeaver RFC SDK, or set interface = "soap" or "odata".'


def load() -> Any:
    """pyrfc. Raises `RfcMissing`."""
    try:
        return import_module("pyrfc")
    except ImportError as fault:  # without the SDK pyrfc itself fails to import
        raise RfcMissing(ABSENT.format(reason=str(fault)[:200])) from None


class RfcFunctions:
    """One connection, opened on first use; calls go one after the other, since a connection carries one at a time.

    `load_module` is where pyrfc comes from.
    """

    def __init__(
        self,
        integration: Integration,
        services: Services,
        settings: Settings,
        *,
        load_module: Callable[[], Any] = load,
    ) -> None:
        self._integration, self._settings, self._load = integration, settings, load_module
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._guard = Guarded(
            integration,
            services,
            target=settings.ashost or settings.mshost or "SAP",
            explain=_explain,
            rate=10,
            burst=10,
        )

    async def call(self, name: str, parameters: Values) -> Answered:
        async def run() -> Values:
            async with self._lock:
                return await self._called(name, parameters)

        values = await self._guard.call(name, run)
        outcome = verdict(messages(values))
        if outcome is not None:
            error = NotFound if outcome.kind is OutcomeKind.ABSENT else Rejected
            raise error(
                f"{self._integration.key}: {name} answered {outcome.code}: {outcome.message}",
                integration=self._integration.key,
                vendor_code=outcome.code,
            )
        return Answered(values, self._guard.origin())

    async def _called(self, name: str, parameters: Values) -> Values:
        try:
            if self._connection is None:
                self._connection = await asyncio.to_thread(self._open)
            found = await asyncio.to_thread(self._connection.call, name, **parameters)
        except BaseException as fault:
            # Whatever ended the call (a cancelled one still runs in its thread), the connection is in no known state,
            # but for an answer of the application
            if not _of_application(fault):
                self._forget()
            raise
        named: Values = normal(found)
        return named

    def _open(self) -> Any:
        module = self._load()
        secrets = self._integration.credentials
        facts = {
            "user": secrets["user"].reveal(),
            "passwd": secrets["password"].reveal(),
            "lang": self._settings.language,
        }
        if self._settings.sap_client:
            facts["client"] = self._settings.sap_client
        if self._settings.mshost and self._settings.sysid:
            facts |= {"mshost": self._settings.mshost, "group": self._settings.group, "sysid": self._settings.sysid}
        else:
            facts |= {"ashost": self._settings.ashost or "", "sysnr": self._settings.sysnr}
        if self._settings.saprouter:
            facts["saprouter"] = self._settings.saprouter
        return module.Connection(**facts)

    def _forget(self) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            asyncio.get_running_loop().run_in_executor(None, _close, lost)

    async def aclose(self) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            await asyncio.to_thread(_close, lost)


def _close(connection: Any) -> None:
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - pyrfc's own classes are known only where it is installed; it is closed or lost
        return


def _of_application(fault: BaseException) -> bool:
    return type(fault).__name__ in ("ABAPApplicationError", "RfcMissing")


_KINDS: Final[dict[str, type[VendorError]]] = {
    "LogonError": AuthFailed,
    "ExternalAuthorizationError": PermissionDenied,
    "CommunicationError": VendorDown,
    "ABAPApplicationError": Rejected,
    "ABAPRuntimeError": Rejected,
    "ExternalApplicationError": Rejected,
    "ExternalRuntimeError": Rejected,
    "RFCTypeError": BadRequest,
    "RFCLibError": VendorDown,
    "RFCError": VendorDown,
}
_DENIED: Final = frozenset({"NOT_AUTHORIZED", "RFC_AUTHORIZATION_FAILURE", "RFC_NO_AUTHORITY"})


def _explain(fault: Exception) -> VendorError | None:
    """By the name of the class: pyrfc's classes exist only where it is installed. Null for what is none of pyrfc's."""
    known = next((_KINDS[kind.__name__] for kind in type(fault).__mro__ if kind.__name__ in _KINDS), None)
    if known is None:
        return None
    key = str(getattr(fault, "key", "") or "")
    said = str(getattr(fault, "message", "") or key or type(fault).__name__)[:500]
    if key in _DENIED:
        known = PermissionDenied
    elif key == "FU_NOT_FOUND":
        known = BadRequest
    return known(f"{key}: {said}" if key and key != said else said, vendor_code=key or None)
