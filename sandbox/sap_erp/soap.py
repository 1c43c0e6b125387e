"""The SOAP gateway: function modules in the namespace `urn:sap-com:document:sap:rfc:functions`.

Errors of the application come with status 200 in RETURN; faults, such as a table that does not exist, with 500. What
a system sends beyond what anybody asks for is sent too. Materials and documents have their leading zeros here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree

from sandbox.sap_erp.rows import (
    CURRENCY,
    LETTERS,
    PRODUCT_TYPES,
    STORAGE_LOCATION,
    ZONE,
    Books,
    as_text,
    customer_reference,
    plate,
    price,
    rejected,
    ship_to,
)
from sandbox.sap_ewm.query import BadQuery, Row, where
from sandbox.world import ISO_UNITS, SAP_UNITS, Delivery, Item

NAMESPACE: Final = "urn:sap-com:document:sap:rfc:functions"
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ROW_MOST: Final = 512
Values = dict[str, Any]


class Fault(Exception):
    """An ABAP exception: the gateway answers 500."""


class Soap:
    """`return_as`: RETURN as a `table` or a `structure`, where a function module could have either."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.calls: list[str] = []
        """Names of the function modules called, the last 200."""
        self._functions: dict[str, Callable[[Values], Values]] = {
            "RFC_PING": lambda _: {},
            "RFC_READ_TABLE": self._read_table,
            "BAPI_MATERIAL_GETLIST": self._materials,
            "BAPI_MATERIAL_GET_DETAIL": self._material,
            "BAPISDORDER_GETDETAILEDLIST": self._sales_orders,
            "BAPI_PO_GETDETAIL1": self._purchase_order,
            "BAPI_DELIVERY_GETLIST": self._deliveries,
        }

    def answer(self, body: bytes) -> tuple[int, str]:
        """Status and envelope."""
        try:
            root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
            call = root.find(f"{{{ENVELOPE}}}Body")[0]
        except (etree.XMLSyntaxError, TypeError, IndexError):
            return 500, _envelope("<soap-env:Fault><faultcode>soap-env:Client</faultcode>"
                                  "<faultstring>CX_ST_INVALID_XML</faultstring></soap-env:Fault>")  # fmt: skip
        name = etree.QName(call).localname
        del self.calls[:-199]
        self.calls.append(name)
        function = self._functions.get(name)
        try:
            if function is None:
                raise Fault("FU_NOT_FOUND")
            values = function(_value(call) if len(call) else {})
        except Fault as fault:
            detail = f'<rfc:{fault}.Exception xmlns:rfc="{NAMESPACE}"><Name>{fault}</Name></rfc:{fault}.Exception>'
            return 500, _envelope(
                f'<soap-env:Fault><faultcode>soap-env:Server</faultcode><faultstring xml:lang="en">{fault}'
                f"</faultstring><detail>{detail}</detail></soap-env:Fault>"
            )
        inner = "".join(_element(key, value) for key, value in values.items())
        return 200, _envelope(f'<rfc:{name}.Response xmlns:rfc="{NAMESPACE}">{inner}</rfc:{name}.Response>')

    # --- tables

    def _tables(self) -> dict[str, tuple[dict[str, int], Callable[[], Iterable[Row]]]]:
        return {
            "VBAK": (
                {"VBELN": 10, "VBTYP": 1, "KUNNR": 10, "ERDAT": 8, "AEDAT": 8, "BSTNK": 20},
                lambda: (
                    {
                        "VBELN": one.sales_order, "VBTYP": "C", "KUNNR": one.partner, "BSTNK": customer_reference(one),
                        **self._days(one),
                    }
                    for one in self._books.outbound
                ),
            ),
            "EKKO": (
                {"EBELN": 10, "BSTYP": 1, "LIFNR": 10, "AEDAT": 8},
                lambda: (
                    {
                        "EBELN": one.sales_order, "BSTYP": "F", "LIFNR": one.partner,
                        "AEDAT": self._days(one)["ERDAT"],
                    }
                    for one in self._books.inbound
                ),
            ),
            "LIKP": (
                {"VBELN": 10, "VBTYP": 1, "KUNNR": 10, "VSTEL": 4, "ERDAT": 8, "AEDAT": 8},
                lambda: (
                    {
                        "VBELN": one.number, "VBTYP": "J", "KUNNR": ship_to(one), "VSTEL": one.warehouse,
                        **self._days(one),
                    }
                    for one in self._books.outbound
                ),
            ),
            "LIPS": (
                {"VBELN": 10, "POSNR": 6, "VGBEL": 10, "VGPOS": 6, "MATNR": 18},
                lambda: (
                    {
                        "VBELN": one.number, "POSNR": f"{line.number:06d}", "VGBEL": one.sales_order,
                        "VGPOS": f"{line.number:06d}", "MATNR": self._item(line.item_key).sap_number,
                    }
                    for one in self._books.outbound
                    for line in one.lines
                ),
            ),
            "MARD": (
                {"MATNR": 18, "WERKS": 4, "LGORT": 4, "LABST": 18, "INSME": 18, "SPEME": 18},
                self._mard,
            ),
            "MARA": (
                {"MATNR": 18, "MTART": 4, "MEINS": 3},
                lambda: (
                    {
                        "MATNR": item.sap_number, "MTART": PRODUCT_TYPES[item.object_type],
                        "MEINS": SAP_UNITS[item.unit],
                    }
                    for item in self._books.world.items
                ),
            ),
        }  # fmt: skip

    def _days(self, one: Delivery) -> dict[str, str]:
        state = one.state_at(self._books.world.now())
        changed = state.changed_at > state.created_at
        return {"ERDAT": f"{state.created_at:%Y%m%d}", "AEDAT": f"{state.changed_at:%Y%m%d}" if changed else "00000000"}

    def _mard(self) -> Iterable[Row]:
        """Batches added up: the table has no batch."""
        sums: dict[tuple[str, str], dict[str, Decimal]] = {}
        names = {"01": "LABST", "02": "INSME", "07": "SPEME"}
        for one in self._books.stocked():
            row = sums.setdefault((one.item.sap_number, one.warehouse), dict.fromkeys(names.values(), Decimal(0)))
            row[names[one.kind]] += one.quantity
        for (number, plant), quantities in sorted(sums.items()):
            yield {
                "MATNR": number,
                "WERKS": plant,
                "LGORT": STORAGE_LOCATION,
                **{name: as_text(quantity) for name, quantity in quantities.items()},
            }

    def _read_table(self, values: Values) -> Values:
        found = self._tables().get(str(values.get("QUERY_TABLE", "")))
        if found is None:
            raise Fault("TABLE_NOT_AVAILABLE")
        widths, rows = found
        fields = [str(row.get("FIELDNAME", "")) for row in _rows(values.get("FIELDS"))] or list(widths)
        if any(name not in widths for name in fields):
            raise Fault("FIELD_NOT_VALID")
        if sum(widths[name] for name in fields) > ROW_MOST:
            raise Fault("DATA_BUFFER_EXCEEDED")
        lines = [str(row.get("TEXT", "")) for row in _rows(values.get("OPTIONS"))]
        if any(len(line) > 72 for line in lines):
            raise Fault("OPTION_NOT_VALID")
        kept = list(rows())
        if lines:
            try:
                test = where(_condition(" ".join(lines)), dict.fromkeys(widths, str))
            except BadQuery:
                raise Fault("OPTION_NOT_VALID") from None
            kept = [row for row in kept if test(row)]
        skip, count = int(values.get("ROWSKIPS") or 0), int(values.get("ROWCOUNT") or 0)
        kept = kept[skip : skip + count] if count else kept[skip:]
        delimiter = str(values.get("DELIVERY") or values.get("DELIMITER") or "")
        described, offset = [], 0
        for name in fields:
            described.append(
                {
                    "FIELDNAME": name, "OFFSET": f"{offset:06d}", "LENGTH": f"{widths[name]:06d}", "TYPE": "C",
                    "FIELDTEXT": name.title(),
                }
            )  # fmt: skip
            offset += widths[name]
        data = [delimiter.join(str(row[name]).ljust(widths[name]) for name in fields).rstrip() for row in kept]
        return {"DATA": [{"WA": line} for line in data], "FIELDS": described}

    # --- BAPIs

    def _item(self, key: str) -> Item:
        return self._books.world.item_by_key[key]

    def _materials(self, values: Values) -> Values:
        tests = [_selected(row) for row in _rows(values.get("MATNRSELECTION"))]
        found = [
            item for item in sorted(self._books.world.items, key=lambda one: one.sap_number)
            if not tests or any(test(item.sap_number) for test in tests)
        ]  # fmt: skip
        most = int(values.get("MAXROWS") or 0)
        listed = [
            {"MATERIAL": item.sap_number, "MATL_DESC": item.name, "MATERIAL_EXTERNAL": ""}
            for item in (found[:most] if most else found)
        ]
        return {"MATNRLIST": listed, "RETURN": [] if listed else [_message("E", "M3", "305", "No material found")]}

    def _material(self, values: Values) -> Values:
        """RETURN is a structure here; the answer does not repeat the number."""
        number = str(values.get("MATERIAL") or "")
        item = self._books.world.item_by_sap.get(number)
        if item is None:
            text = f"The material {number} does not exist or is not activated"
            return {"MATERIAL_GENERAL_DATA": {}, "RETURN": _message("E", "M3", "305", text)}
        return {
            "MATERIALPLANTDATA": {},
            "MATERIAL_GENERAL_DATA": {
                "MATL_DESC": item.name,
                "OLD_MAT_NO": "",
                "MATL_TYPE": PRODUCT_TYPES[item.object_type],
                "IND_SECTOR": "M",
                "BASIC_MATL": "",
                "BASE_UOM": SAP_UNITS[item.unit],
                "NET_WEIGHT": item.mass_kg,
                "GROSS_WT": item.mass_kg,
                "UNIT_OF_WT": "KG",
                "CREATED_ON": item.created_at,
                "LAST_CHNGE": item.modified_at,
                "DEL_FLAG": "",
            },
            "RETURN": _message("S", "MM", "356", "The function has completed successfully"),
        }

    def _sales_orders(self, values: Values) -> Values:
        wanted = {str(row.get("VBELN", "")) for row in _rows(values.get("SALES_DOCUMENTS"))}
        view = values.get("I_BAPI_VIEW") or {}
        now = self._books.world.now()
        tables: dict[str, list[Values]] = {name: [] for name in values if name.startswith("ORDER_")}
        for one in self._books.outbound:
            if one.sales_order not in wanted:
                continue
            state, number, lines = one.state_at(now), one.sales_order, self._books.sold(one)
            parts: dict[str, tuple[str, list[Values]]] = {
                "ORDER_HEADERS_OUT": ("HEADER", [{
                    "OPERATION": "004", "DOC_NUMBER": number, "REC_DATE": state.created_at, "REC_TIME": "09:00:00",
                    "CREATED_BY": "CB9980000001", "DOC_DATE": state.created_at, "SD_DOC_CAT": "C", "DOC_TYPE": "OR",
                    "NET_VAL_HD": f"{sum((line.amount for line in lines), Decimal(0)):.9f}", "CURRENCY": CURRENCY,
                    "CURREN_ISO": CURRENCY, "SALES_ORG": "1710", "REQ_DATE_H": state.planned_at,
                    "PURCH_NO": customer_reference(one)[:20], "SOLD_TO": one.partner, "CH_ON": state.changed_at,
                }]),
                "ORDER_BUSINESS_OUT": ("BUSINESS", [
                    {"SD_DOC": number, "ITM_NUMBER": "000000", "PURCH_NO_C": customer_reference(one)},
                ]),
                "ORDER_ITEMS_OUT": ("ITEM", [{
                    "DOC_NUMBER": number, "ITM_NUMBER": line.number, "MATERIAL": line.item.sap_number,
                    "BATCH": line.batch, "SHORT_TEXT": line.item.name, "HG_LV_ITEM": line.parent or "000000",
                    "REQ_QTY": line.quantity, "SALES_UNIT": SAP_UNITS[line.item.unit],
                    "ISOCODUNIT": ISO_UNITS[line.item.unit], "NET_VALUE": f"{line.amount:.9f}", "CURRENCY": CURRENCY,
                    "PLANT": one.warehouse,
                } for line in lines]),
                "ORDER_SCHEDULES_OUT": ("SDSCHEDULE", [{
                    "DOC_NUMBER": number, "ITM_NUMBER": line.number, "SCHED_LINE": schedule, "REQ_DATE": day,
                    "REQ_QTY": asked, "CONFIR_QTY": promised,
                } for line in lines for schedule, day, asked, promised in (
                    ("0001", state.planned_at, line.quantity, Decimal(0)),
                    ("0002", state.planned_at + timedelta(days=1), Decimal(0), line.quantity),
                )]),
                "ORDER_PARTNERS_OUT": ("PARTNER", [
                    {"SD_DOC": number, "ITM_NUMBER": "000000", "PARTN_ROLE": role, "CUSTOMER": customer}
                    for role, customer in (("AG", one.partner), ("WE", ship_to(one)))
                ]),
                "ORDER_STATUSHEADERS_OUT": ("STATUS_H", [{
                    "SD_DOC": number, "DLV_STAT_H": LETTERS[state.goods_moved],
                    "OVERALLREJ": "C" if rejected(one) else "A", "PRC_STAT_H": LETTERS[state.completion],
                }]),
                "ORDER_STATUSITEMS_OUT": ("STATUS_I", [{
                    "SD_DOC": number, "ITM_NUMBER": line.number, "DLV_STAT_I": LETTERS[state.goods_moved],
                    "OVRPROCSTA": LETTERS[state.completion],
                } for line in lines]),
            }  # fmt: skip
            for name, (switch, rows) in parts.items():
                # a table comes back only when it was sent, empty, and its view was asked for
                if name in tables and view.get(switch) == "X":
                    tables[name] += rows
        return {**tables}

    def _purchase_order(self, values: Values) -> Values:
        number = str(values.get("PURCHASEORDER") or "")
        one = next((each for each in self._books.inbound if each.sales_order == number), None)
        if one is None:
            message = _message("E", "06", "019", f"Purchase order {number} does not exist")
            return {"POHEADER": {}, "POITEM": [], "RETURN": [message]}
        state = one.state_at(self._books.world.now())
        return {
            "POHEADER": {
                "PO_NUMBER": number, "COMP_CODE": "1710", "DOC_TYPE": "NB", "DELETE_IND": "", "STATUS": "9",
                "CREAT_DATE": state.created_at, "VENDOR": one.partner, "PURCH_ORG": "1710", "CURRENCY": CURRENCY,
                "CURRENCY_ISO": CURRENCY, "DOC_DATE": state.created_at,
            },
            "POITEM": [
                {
                    "PO_ITEM": f"{line.number:05d}", "DELETE_IND": "", "SHORT_TEXT": self._item(line.item_key).name,
                    "MATERIAL": self._item(line.item_key).sap_number, "PLANT": one.warehouse,
                    "STGE_LOC": STORAGE_LOCATION, "QUANTITY": line.quantity, "PO_UNIT": SAP_UNITS[line.unit],
                    "PO_UNIT_ISO": ISO_UNITS[line.unit], "NET_PRICE": price(self._item(line.item_key)),
                    "PRICE_UNIT": "1", "NO_MORE_GR": state.goods_moved == "complete",
                }
                for line in one.lines
            ],
            "POSCHEDULE": [
                {
                    "PO_ITEM": f"{line.number:05d}", "SCHED_LINE": "0001", "QUANTITY": line.quantity,
                    "DELIVERY_DATE": f"{state.planned_at:%d.%m.%Y}",
                }
                for line in one.lines
            ],
            "RETURN": [],
        }  # fmt: skip

    def _deliveries(self, values: Values) -> Values:
        wanted = {str(row.get("DELIV_NUMB_LOW", "")) for row in _rows(values.get("IT_VBELN"))}
        found = [one for one in self._books.outbound if one.number in wanted]
        now = self._books.world.now()
        heads, statuses, items, partners = [], [], [], []
        for one in found:
            state, (gross, net) = one.state_at(now), self._books.masses(one)
            local = state.created_at + timedelta(hours=1)
            heads.append({
                "VBELN": one.number, "ERDAT": local, "ERZET": f"{local:%H:%M:%S}", "VSTEL": one.warehouse,
                "VKORG": "1710", "LFART": "LF", "WADAT": state.planned_at,
                "LFDAT": state.planned_at + timedelta(days=1),
                "KUNNR": ship_to(one), "KUNAG": one.partner, "BTGEW": gross, "NTGEW": net, "GEWEI": "KG",
                "TRAID": plate(one.vehicle), "TZONIS": ZONE,
                "AEDAT": state.changed_at if state.changed_at > state.created_at else "0000-00-00",
                "WADAT_IST": state.goods_moved_at or "0000-00-00",
            })  # fmt: skip
            statuses.append({
                "VBELN": one.number, "KOSTK": LETTERS[state.picking], "WBSTK": LETTERS[state.goods_moved],
                "GBSTK": LETTERS[state.completion],
            })  # fmt: skip
            items += [
                {
                    "VBELN": one.number, "POSNR": f"{line.number:06d}", "MATNR": self._item(line.item_key).sap_number,
                    "ARKTX": self._item(line.item_key).name, "WERKS": one.warehouse, "LGORT": STORAGE_LOCATION,
                    "CHARG": line.batch, "LFIMG": line.quantity, "VRKME": SAP_UNITS[line.unit],
                    "VGBEL": one.sales_order, "VGPOS": f"{line.number:06d}",
                }
                for line in one.lines
            ]  # fmt: skip
            partners += [
                {"VBELN": one.number, "PARVW": "WE", "KUNNR": ship_to(one), "LIFNR": ""},
                {"VBELN": one.number, "PARVW": "SP", "KUNNR": "", "LIFNR": one.carrier},
            ]
        return {
            "ET_DELIVERY_HEADER": heads,
            "ET_DELIVERY_HEADER_STS": statuses,
            "ET_DELIVERY_ITEM": items,
            "ET_DELIVERY_PARTNER": partners,
            "RETURN": [] if found else [_message("E", "VL", "559", "No delivery was found")],
        }


def _message(kind: str, identifier: str, number: str, text: str) -> Values:
    return {
        "TYPE": kind, "ID": identifier, "NUMBER": number, "MESSAGE": text, "LOG_NO": "", "LOG_MSG_NO": "000000",
        "MESSAGE_V1": "", "MESSAGE_V2": "", "MESSAGE_V3": "", "MESSAGE_V4": "", "PARAMETER": "", "ROW": "0",
        "FIELD": "", "SYSTEM": "ERPCLNT100",
    }  # fmt: skip


def _selected(row: Values) -> Callable[[str], bool]:
    low, option = str(row.get("MATNR_LOW", "")), str(row.get("OPTION", "EQ"))
    if option == "GT":
        return lambda number: number > low
    if option == "CP":
        pattern = re.compile(re.escape(low).replace(r"\*", ".*"))
        return lambda number: pattern.fullmatch(number) is not None
    return lambda number: number == low


def _condition(text: str) -> str:
    """ABAP's conditions in the words of our parser; literals stay as they are."""
    words = {
        "=": "eq",
        "<>": "ne",
        ">=": "ge",
        "<=": "le",
        ">": "gt",
        "<": "lt",
        "AND": "and",
        "OR": "or",
        "NOT": "not",
    }
    tokens: Sequence[str] = re.findall(r"'(?:[^']|'')*'|[()]|[^\s()']+", text)
    return " ".join(words.get(token, token) for token in tokens)


def _rows(value: Any) -> list[Values]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []  # type: ignore[misc]


def _value(element: Any) -> Any:
    """Structures as dicts, tables as lists; an empty element is an empty text, which is also an empty table."""
    if not len(element):
        return element.text or ""
    if all(etree.QName(child).localname == "item" for child in element):
        return [_value(child) for child in element]
    return {etree.QName(child).localname: _value(child) for child in element}


def _element(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_element(key, each) for key, each in value.items())}</{name}>"
    if isinstance(value, list):
        return f"<{name}>{''.join(_element('item', each) for each in value)}</{name}>"
    if isinstance(value, datetime):
        value = value.date().isoformat()
    return f"<{name}>{escape(as_text(value))}</{name}>"


def _envelope(body: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap-env:Envelope xmlns:soap-env="{ENVELOPE}"><soap-env:Header/>'
        f"<soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"
    )
