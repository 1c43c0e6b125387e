"""IDocs as this system's HTTP port sends them: ORDERS05 of purchase orders, DELVRY07 (DESADV once goods have left),
MATMAS05; one or many in a package."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

import httpx

from sandbox.sap_erp.rows import CURRENCY, Books, customer_reference, plate, price, ship_to
from sandbox.world import ISO_UNITS, Delivery, Item

SENDER: Final = "ERPCLNT100"
FIRST: Final = 1_000_000
LANGUAGES: Final = (("D", "DE"), ("E", "EN"))
Fields = Mapping[str, Any]


def segment(name: str, fields: Fields, *children: str) -> str:
    inner = "".join(
        f"<{key}>{escape(_text(value))}</{key}>" for key, value in fields.items() if value not in ("", None)
    )
    return f'<{name} SEGMENT="1">{inner}{"".join(children)}</{name}>'


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y%m%d}"
    return f"{value:.3f}" if isinstance(value, Decimal) else str(value)


def control(idoctyp: str, mestyp: str, docnum: int, created: datetime) -> str:
    return segment(
        "EDI_DC40",
        {
            "TABNAM": "EDI_DC40", "MANDT": "100", "DOCNUM": f"{docnum:016d}", "DOCREL": "756", "STATUS": "30",
            "DIRECT": "1", "OUTMOD": "2", "IDOCTYP": idoctyp, "MESTYP": mestyp, "SNDPOR": "SAPERP", "SNDPRT": "LS",
            "SNDPRN": SENDER, "RCVPOR": "A000000001", "RCVPRT": "LS", "RCVPRN": "CROSSDOCK",
            "CREDAT": f"{created:%Y%m%d}", "CRETIM": f"{created:%H%M%S}",
        },
    )  # fmt: skip


def orders(books: Books, one: Delivery, docnum: int, at: datetime) -> str:
    """A document of the order behind a delivery: of an inbound one the purchase order, else the sales order."""
    buying = one.direction == "inbound"
    state = one.state_at(at)
    lines, total = [], Decimal(0)
    for line in one.lines:
        item = books.world.item_by_key[line.item_key]
        amount = (price(item) * line.quantity).quantize(Decimal("0.01"))
        total += amount
        own = "001" if buying else "002"
        lines.append(
            segment(
                "E1EDP01",
                {
                    "POSEX": f"{line.number:06d}", "ACTION": "001", "MENGE": line.quantity,
                    "MENEE": ISO_UNITS[line.unit], "VPREI": str(price(item)), "PEINH": "1", "NETWR": str(amount),
                    "WERKS": one.warehouse,
                },
                segment("E1EDP20", {"WMENG": line.quantity, "EDATU": state.planned_at}),
                segment("E1EDP19", {"QUALF": own, "IDTNR": item.sap_number, "KTEXT": item.name}),
            )
        )  # fmt: skip
    partners = [
        segment("E1EDKA1", {"PARVW": "LF", "PARTN": one.partner, "NAME1": one.partner_name})
        if buying
        else segment("E1EDKA1", {"PARVW": "AG", "PARTN": one.partner, "NAME1": one.partner_name}),
        *([] if buying else [segment("E1EDKA1", {"PARVW": "WE", "PARTN": ship_to(one)})]),
    ]
    return document(
        "ORDERS05",
        "ORDERS",
        docnum,
        at,
        segment("E1EDK01", {"CURCY": CURRENCY, "BELNR": one.sales_order}),
        segment("E1EDK14", {"QUALF": "014" if buying else "008", "ORGID": "1710"}),
        segment("E1EDK03", {"IDDAT": "012", "DATUM": state.created_at}),
        segment("E1EDK03", {"IDDAT": "011", "DATUM": state.created_at}),
        *partners,
        segment("E1EDK02", {"QUALF": "001", "BELNR": one.sales_order if buying else customer_reference(one)}),
        *lines,
        segment("E1EDS01", {"SUMID": "002", "SUMME": str(total), "SUNIT": CURRENCY}),
    )


def delivery(books: Books, one: Delivery, docnum: int, at: datetime) -> str:
    """DELVRY07: message WHSORD before the goods issue, DESADV after it."""
    state, (gross, net) = one.state_at(at), books.masses(one)
    items = []
    for line in one.lines:
        item = books.world.item_by_key[line.item_key]
        items.append(
            segment(
                "E1EDL24",
                {
                    "POSNR": f"{line.number:06d}", "MATNR": item.sap_number, "ARKTX": item.name,
                    "WERKS": one.warehouse, "CHARG": line.batch, "LFIMG": line.quantity,
                    "VRKME": ISO_UNITS[line.unit], "VGBEL": one.sales_order, "VGPOS": f"{line.number:06d}",
                },
            )
        )  # fmt: skip
    moved = f"{state.goods_moved_at:%Y%m%d}" if state.goods_moved_at else "00000000"
    return document(
        "DELVRY07",
        "DESADV" if state.goods_moved_at else "WHSORD",
        docnum,
        at,
        segment(
            "E1EDL20",
            {
                "VBELN": one.number, "VSTEL": one.warehouse, "BTGEW": gross, "NTGEW": net, "GEWEI": "KGM",
                "TRAID": plate(one.vehicle),
            },
            segment("E1EDL21", {"LFART": "LF"}),
            segment("E1ADRM1", {"PARTNER_Q": "WE", "PARTNER_ID": ship_to(one), "NAME1": one.partner_name}),
            segment("E1ADRM1", {"PARTNER_Q": "SP", "PARTNER_ID": one.carrier, "NAME1": one.carrier_name}),
            segment("E1EDT13", {"QUALF": "006", "NTANF": state.planned_at, "NTEND": state.planned_at,
                                "ISDD": moved, "IEDD": moved}),
            segment("E1EDT13", {"QUALF": "007", "NTEND": state.planned_at + timedelta(days=1)}),
            *items,
            segment("E1EDL37", {"EXIDV": f"{int(one.number):020d}"}),
        ),
    )  # fmt: skip


def material(item: Item, docnum: int, at: datetime, *, kind: str) -> str:
    texts = [
        segment("E1MAKTM", {"SPRAS": short, "SPRAS_ISO": iso, "MAKTX": item.name + (" (DE)" if iso == "DE" else "")})
        for short, iso in LANGUAGES
    ]
    head = {
        "MATNR": item.sap_number, "MTART": kind, "MEINS": ISO_UNITS[item.unit], "BRGEW": item.mass_kg,
        "NTGEW": item.mass_kg, "GEWEI": "KGM",
    }  # fmt: skip
    return document("MATMAS05", "MATMAS", docnum, at, segment("E1MARAM", head, *texts))


def document(idoctyp: str, mestyp: str, docnum: int, at: datetime, *segments: str) -> str:
    return f'<IDOC BEGIN="1">{control(idoctyp, mestyp, docnum, at)}{"".join(segments)}</IDOC>'


def package(idoctyp: str, documents: Sequence[str]) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{idoctyp}>{"".join(documents)}</{idoctyp}>'.encode()


class Port:
    """The HTTP port: sends a DELVRY07 for each delivery that has changed since the last look, with HTTP Basic."""

    def __init__(
        self,
        books: Books,
        *,
        url: str | None,
        user: str,
        password: str,
        transport: httpx.AsyncBaseTransport | None = None,
        tick_seconds: float = 5.0,
    ) -> None:
        self._books, self._url, self._auth = books, url, (user, password)
        self._transport, self._tick_seconds = transport, tick_seconds
        self._task: asyncio.Task[None] | None = None
        self._looked = books.world.now()
        self._next = FIRST
        self.sent: list[tuple[str, int | None]] = []
        """Numbers of the documents in what was sent, and the answer's status; the last 200."""

    def start(self) -> None:
        if self._url is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._tick_seconds)
            await self.tick()

    async def tick(self) -> int:
        """Sends what is due, in one package; gives how many documents. What could not be sent is lost (status 02)."""
        now = self._books.world.now()
        due = [one for one in self._books.outbound if self._looked < one.state_at(now).changed_at <= now]
        self._looked = now
        if not due or self._url is None:
            return 0
        documents = []
        for one in due:
            self._next += 1
            documents.append(delivery(self._books, one, self._next, now))
        status: int | None = None
        async with httpx.AsyncClient(transport=self._transport, auth=self._auth, timeout=10, trust_env=False) as client:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.post(
                    self._url, content=package("DELVRY07", documents), headers={"Content-Type": "text/xml"}
                )
                status = answer.status_code
        del self.sent[:-199]
        self.sent.append((",".join(one.number for one in due), status))
        return len(due)
