"""IDoc segments as structs in SAP's words. Every segment may repeat; fields are texts, quantities `Decimal`."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import field

from connectors.kit.errors import BadPayload
from connectors.kit.xml import root_of

T = TypeVar("T")


class Segment(msgspec.Struct, rename="upper", omit_defaults=True):
    """Base: names are SAP's."""


class Control(Segment):
    """EDI_DC40. `credat` and `cretim` are the sender's own time, without zone."""

    docnum: str
    idoctyp: str
    mestyp: str
    sndprn: str = ""
    sndprt: str = ""
    sndpor: str = ""
    rcvprn: str = ""
    rcvprt: str = ""
    rcvpor: str = ""
    mandt: str = ""
    credat: str = ""
    cretim: str = ""
    serial: str = ""


# --- ORDERS05


class E1EDK01(Segment):
    belnr: str | None = None
    action: str | None = None
    curcy: str | None = None
    bsart: str | None = None
    zterm: str | None = None
    recipnt_no: str | None = None


class E1EDK02(Segment):
    qualf: str | None = None
    belnr: str | None = None


class E1EDK03(Segment):
    iddat: str | None = None
    datum: str | None = None


class E1EDK14(Segment):
    qualf: str | None = None
    orgid: str | None = None


class E1EDKA1(Segment):
    """Also E1EDPA1, the partner of a line."""

    parvw: str | None = None
    partn: str | None = None
    lifnr: str | None = None
    name1: str | None = None


class E1EDP19(Segment):
    qualf: str | None = None
    idtnr: str | None = None
    idtnr_long: str | None = None
    ktext: str | None = None


class E1EDP20(Segment):
    wmeng: Decimal | None = None
    edatu: str | None = None


class E1EDP01(Segment):
    posex: str | None = None
    action: str | None = None
    uepos: str | None = None
    menge: Decimal | None = None
    menee: str | None = None
    vprei: Decimal | None = None
    peinh: Decimal | None = None
    netwr: Decimal | None = None
    curcy: str | None = None
    werks: str | None = None
    e1edp19: list[E1EDP19] = []
    e1edp20: list[E1EDP20] = []
    e1edpa1: list[E1EDKA1] = []


class E1EDS01(Segment):
    sumid: str | None = None
    summe: Decimal | None = None
    sunit: str | None = None


class Orders(Segment):
    control: list[Control] = field(name="EDI_DC40")
    e1edk01: list[E1EDK01]
    e1edk02: list[E1EDK02] = []
    e1edk03: list[E1EDK03] = []
    e1edk14: list[E1EDK14] = []
    e1edka1: list[E1EDKA1] = []
    e1edp01: list[E1EDP01] = []
    e1eds01: list[E1EDS01] = []


# --- DELVRY07


class E1ADRM1(Segment):
    partner_q: str | None = None
    partner_id: str | None = None
    name1: str | None = None


class E1EDT13(Segment):
    """A date of the delivery: 006 goods issue, 007 delivery; planned `ntanf`, `ntend`, actual `isdd`, `iedd`."""

    qualf: str | None = None
    ntanf: str | None = None
    ntend: str | None = None
    isdd: str | None = None
    iedd: str | None = None


class E1EDL21(Segment):
    lfart: str | None = None


class E1EDL22(Segment):
    lfdat: str | None = None


class E1EDL24(Segment):
    posnr: str | None = None
    matnr: str | None = None
    matnr_long: str | None = None
    arktx: str | None = None
    charg: str | None = None
    lfimg: Decimal | None = None
    vrkme: str | None = None
    vgbel: str | None = None
    vgpos: str | None = None


class E1EDL37(Segment):
    exidv: str | None = None


class E1EDL20(Segment):
    vbeln: str | None = None
    vstel: str | None = None
    lfart: str | None = None
    lfdat: str | None = None
    kunnr: str | None = None
    btgew: Decimal | None = None
    ntgew: Decimal | None = None
    gewei: str | None = None
    traid: str | None = None
    podat: str | None = None
    e1edl21: list[E1EDL21] = []
    e1edl22: list[E1EDL22] = []
    e1edt13: list[E1EDT13] = []
    e1adrm1: list[E1ADRM1] = []
    e1edl24: list[E1EDL24] = []
    e1edl37: list[E1EDL37] = []


class Delivery(Segment):
    control: list[Control] = field(name="EDI_DC40")
    e1edl20: list[E1EDL20]


# --- MATMAS05


class E1MAKTM(Segment):
    spras: str | None = None
    spras_iso: str | None = None
    maktx: str | None = None


class E1MARAM(Segment):
    matnr: str | None = None
    matnr_long: str | None = None
    mtart: str | None = None
    meins: str | None = None
    brgew: Decimal | None = None
    ntgew: Decimal | None = None
    gewei: str | None = None
    mstae: str | None = None
    lvorm: str | None = None
    e1maktm: list[E1MAKTM] = []


class Material(Segment):
    control: list[Control] = field(name="EDI_DC40")
    e1maram: list[E1MARAM]


def plain(segment: Any) -> dict[str, Any]:
    """A segment's fields as texts and its segments as lists. Empty fields are left out, blanks trimmed."""
    found: dict[str, Any] = {}
    for child in segment:
        name = child.tag
        if not isinstance(name, str):
            continue
        if len(child) or child.get("SEGMENT") is not None:
            found.setdefault(name, []).append(plain(child))
            continue
        text = (child.text or "").strip()
        if text:
            found[name] = _signed(text)
    return found


def _signed(text: str) -> str:
    """ABAP writes the sign of a number behind it."""
    return f"-{text[:-1]}" if text.endswith("-") and text[:-1].replace(".", "", 1).isdigit() else text


def control_of(idoc: Any) -> Control:
    """Raises `BadPayload`."""
    record = idoc.find("EDI_DC40")
    if record is None:
        raise BadPayload("there is no EDI_DC40", path="$.EDI_DC40")
    control = _converted(plain(record), Control, "$.EDI_DC40")
    if len(control.docnum) > 40 or len(control.sndprn) > 40:
        raise BadPayload("DOCNUM or SNDPRN is too long", path="$.EDI_DC40")
    return control


def parsed(body: bytes) -> Any:
    """The IDOC element of one document. Raises `BadPayload`."""
    root = root_of(body, "the IDoc")
    idoc = root if root.tag == "IDOC" else root.find(".//IDOC")
    if idoc is None:
        raise BadPayload("there is no IDOC element in what was sent", path="$")
    return idoc


def converted(idoc: Any, into: type[T]) -> T:
    """The document as a struct. Raises `BadPayload` with the path of the fault (`$.E1EDP01[1].MENGE`)."""
    return _converted(plain(idoc), into, "$")


def _converted(values: dict[str, Any], into: type[T], place: str) -> T:
    try:
        return msgspec.convert(values, into, strict=False)
    except msgspec.ValidationError as fault:
        text, _, path = str(fault).partition(" - at `")
        path = (path.rstrip("`") or "$").replace("$", place, 1)
        raise BadPayload(f"`{path}`: {text}", path=path) from None
