"""SAP ERP and S/4HANA as a connector: orders, shipments, stock, materials; changes by polling and by IDocs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from connectors.kit.auth import HeaderAuth
from connectors.kit.calls import ONE, Calls
from connectors.kit.errors import AuthFailed, BadPayload, VendorError
from connectors.kit.http import Api
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Credential, Manifest, Payload
from connectors.kit.odata import BasicSession, BearerSession, Csrf, OData, Params, encoded
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.sap_erp import receiving
from connectors.sap_erp.answers import explain
from connectors.sap_erp.bapi.functions import Functions
from connectors.sap_erp.bapi.reads import BapiReads
from connectors.sap_erp.bapi.rfc import RfcFunctions
from connectors.sap_erp.bapi.soap import SoapFunctions
from connectors.sap_erp.calls import BAPI, ODATA
from connectors.sap_erp.decoders import decoders
from connectors.sap_erp.odata_reads import READ_AT, ODataReads
from connectors.sap_erp.receiving import IdocPackage
from connectors.sap_erp.settings import Settings, rules_of
from unified import queries, records
from unified.events import Changed, Event
from unified.queries import ListQuery, SourcePage
from unified.records import Record
from unified.values import System

LOG_OFF: Final = "/sap/public/bc/icf/logoff"
LOG_OFF_SECONDS: Final = 2.0


class SapErp(Connector):
    """One ERP system, read through its OData services or its BAPIs. Signs in with whichever credentials there are."""

    manifest: ClassVar[Manifest] = Manifest(
        system=System.SAP_ERP,
        title="SAP ERP and S/4HANA",
        summary="Sales and purchase orders, outbound deliveries, material stock and materials; IDocs as they are sent.",
        documentation="https://api.sap.com/products/SAPS4HANACloud/apis/ODATA",
        credentials=(
            Credential(name="user", description="communication or RFC user", required=False),
            Credential(name="password", description="its password", required=False),
            Credential(name="client_id", description="OAuth2 client; needs the setting token_url", required=False),
            Credential(name="client_secret", description="its secret", required=False),
            Credential(name="api_key", description="key of SAP's API sandbox (read-only)", required=False),
            Credential(name="idoc_user", description="user that SAP's HTTP port sends with IDocs", required=False),
            Credential(
                name="idoc_password", description="its password; without both no IDoc is believed", required=False
            ),
        ),
        settings=Settings,
        needs_base_url=False,
        batch_size=50,
        calls=ODATA,
        decoders=decoders(rules_of(Settings())),
        explain=explain,
        ground_truth=(
            "Original metadata of the OData services, answers and an IDoc of real systems, and an independent server "
            "that behaves like a gateway; purchase orders and most BAPI parameters are from public code, unseen on a "
            "system."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = msgspec.convert(integration.settings, Settings)
        if not integration.base_url and self.settings.interface != "rfc":
            raise AuthFailed(
                f"{integration.key}: give base_url, the address of the system", integration=integration.key
            )
        self.rules = rules_of(self.settings)
        self._common: Params = [
            *([("sap-client", self.settings.sap_client)] if self.settings.sap_client else []),
            ("sap-language", self.settings.language),
        ]
        self.api = Api(
            integration,
            services,
            explain=explain,
            headers={"Accept-Language": self.settings.language.lower()},
            cookies=True,
            auth=self._auth(),
        )
        root = self.settings.v2_path + "/API_SALES_ORDER_SRV/"
        self.csrf = Csrf(self.api, root)
        self._functions: Functions | None = self._made_functions()
        self._reads: ODataReads | BapiReads = (
            ODataReads(OData(self.api, self._common), self.settings, self.rules)
            if self._functions is None
            else BapiReads(self._functions, self.settings, self.rules)
        )
        self._decoders = {each.name: each for each in decoders(self.rules)}

    def _made_functions(self) -> Functions | None:
        match self.settings.interface:
            case "soap":
                return SoapFunctions(self.api, self.settings.soap_path, self._common, wsdl_file=self.settings.wsdl_file)
            case "rfc":
                return RfcFunctions(self.integration, self.services, self.settings)
        return None

    def _auth(self) -> BearerSession | BasicSession | HeaderAuth:
        secrets = self.integration.credentials
        settings = self.settings
        if "client_id" in secrets and "client_secret" in secrets and settings.token_url and settings.interface != "rfc":
            url = settings.token_url
            return BearerSession(
                url if "://" in url else self.integration.base_url.rstrip("/") + url,
                client_id=secrets["client_id"].reveal(),
                client_secret=secrets["client_secret"],
                scope=settings.scope,
                tokens=self.services.tokens,
                store_key=f"{self.integration.key}:oauth2",
                clock=self.services.clock,
                reset=self._reset,
            )
        if "user" in secrets and "password" in secrets:
            return BasicSession(
                secrets["user"].reveal(),
                secrets["password"],
                build=lambda *call, **more: self.api.build(*call, **more),
                root="/sap/bc/ping" if settings.interface == "soap" else settings.v2_path + "/API_PRODUCT_SRV/",
                reset=self._reset,
                integration=self.integration.key,
                params=encoded(self._common),
            )
        if "api_key" in secrets and settings.interface == "odata":
            return HeaderAuth("APIKey", secrets["api_key"])
        raise AuthFailed(
            f"{self.integration.key}: give user and password, or (with OData and SOAP) client_id and client_secret "
            "with the setting token_url, or (with OData) api_key",
            integration=self.integration.key,
        )

    def _reset(self) -> None:
        """A new session: the old one's cookies and token are worth nothing."""
        if self.api.cookies is not None:
            self.api.cookies.clear()
        self.csrf.forget()

    def calls(self, method: str) -> Calls:
        return super().calls(method) if self._functions is None else BAPI.get(method, ONE)

    async def check(self) -> str:
        return await self._reads.check()

    async def aclose(self) -> None:
        """SAP counts sessions: the one of these cookies is given back."""
        if isinstance(self.api.auth, BasicSession) and self.api.cookies and self.api.breaker.since is None:
            with contextlib.suppress(VendorError, TimeoutError):
                async with asyncio.timeout(LOG_OFF_SECONDS):
                    await self.api.exchange(self.api.build("GET", LOG_OFF, params=self._common))
        if self._functions is not None:
            await self._functions.aclose()
        await self.api.aclose()

    # --- what is read

    async def read_orders(self, ids: Sequence[str]) -> list[records.Order]:
        return await self._reads.read_orders(ids)

    async def list_orders(self, query: ListQuery[queries.OrderFilter], cursor: str | None) -> SourcePage[records.Order]:
        return await self._reads.list_orders(query, cursor)

    async def read_shipments(self, ids: Sequence[str]) -> list[records.Shipment]:
        return await self._reads.read_shipments(ids)

    async def list_shipments(
        self, query: ListQuery[queries.ShipmentFilter], cursor: str | None
    ) -> SourcePage[records.Shipment]:
        return await self._reads.list_shipments(query, cursor)

    async def shipments_of_orders(self, numbers: Sequence[str]) -> list[records.Shipment]:
        return await self._reads.shipments_of_orders(numbers)

    async def read_inventory_balances(self, ids: Sequence[str]) -> list[records.InventoryBalance]:
        return await self._reads.read_inventory_balances(ids)

    async def list_inventory_balances(
        self, query: ListQuery[queries.InventoryBalanceFilter], cursor: str | None
    ) -> SourcePage[records.InventoryBalance]:
        return await self._reads.list_inventory_balances(query, cursor)

    async def inventory_of_items(self, numbers: Sequence[str]) -> list[records.InventoryBalance]:
        return await self._reads.inventory_of_items(numbers)

    async def read_items(self, ids: Sequence[str]) -> list[records.Item]:
        return await self._reads.read_items(ids)

    async def items_by_number(self, numbers: Sequence[str]) -> list[records.Item]:
        return await self._reads.items_by_number(numbers)

    async def list_items(self, query: ListQuery[queries.ItemFilter], cursor: str | None) -> SourcePage[records.Item]:
        return await self._reads.list_items(query, cursor)

    def identities(self) -> AsyncIterator[Identity]:
        return self._reads.identities()

    # --- what changed

    async def poll(self, cursor: str | None) -> Polled:
        """What changed since the last poll, less the overlap. BAPIs tell no changes: there IDocs do."""
        now = self.services.clock.now()
        if cursor is None:
            since = now - timedelta(hours=self.settings.poll_first_hours)
        else:
            since = datetime.fromisoformat(cursor) - timedelta(seconds=self.settings.poll_overlap_seconds)
        return Polled(raws=tuple(await self._reads.changes(since, now)), cursor=now.isoformat())

    async def events(self, raw: Raw) -> Sequence[Event]:
        """With this system's own codes, zone and language. What was polled is as old as its reading."""
        now = self.services.clock.now()
        read_at = raw.payload.headers.get(READ_AT)
        as_of = now if read_at is None else datetime.fromisoformat(read_at)
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=as_of)
        found: list[Event] = []
        for each in self._decoders[raw.decoder].read(raw.payload, origin):
            if isinstance(each, Changed):
                found.append(each)
            elif isinstance(each, Record):
                found.append(Changed(record=each, occurred_at=each.updated_at or as_of))
        return found

    # --- IDocs

    def verify(self, payload: Payload) -> None:
        receiving.verify(self.integration, payload)

    def package(self, payload: Payload) -> IdocPackage:  # noqa: ARG002 - all that counts is in the body
        """Takes a request's IDocs while they arrive."""
        return IdocPackage(self.settings, self.services.metrics, lambda: self.services.clock.now())

    def received(self, payload: Payload) -> Raw | None:
        """A request with one IDoc; one with several goes through `package`."""
        if not payload.body.strip():
            return None
        package: Any = self.package(payload)
        found = package.feed(payload.body) + package.close()
        if len(found) > 1:
            raise BadPayload("several IDocs came where one was expected", path="$.IDOC[1]")
        return found[0] if found else None
