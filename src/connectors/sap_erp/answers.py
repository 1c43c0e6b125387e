"""What answers mean beyond a gateway's: BAPIRET2 inside of HTTP 200, and SOAP faults."""

import re
from typing import TYPE_CHECKING, Any, Final

from connectors.kit import decode, odata
from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind
from connectors.sap_erp.bapi.functions import messages, normal, verdict
from connectors.sap_erp.bapi.wsdl import body_of

if TYPE_CHECKING:
    import httpx

_FAILED = re.compile(rb"<(?:\w+:)?(?:TYPE|Type)>\s*[EA]\s*</")
_DENIED: Final = frozenset({"NOT_AUTHORIZED", "RFC_AUTHORIZATION_FAILURE", "RFC_NO_AUTHORITY"})
_OUR_FAULT: Final = frozenset(
    {
        "FU_NOT_FOUND",
        "RFC_ERROR_FUNCTION_NOT_FOUND",
        "TABLE_NOT_AVAILABLE",
        "FIELD_NOT_VALID",
        "OPTION_NOT_VALID",
        "DATA_BUFFER_EXCEEDED",
    }
)
_NOTHING: Final = frozenset({"TABLE_WITHOUT_DATA"})
_DOWN: Final = frozenset({"RFC_ERROR_COMMUNICATION", "RFC_COMMUNICATION_FAILURE", "RFC_ERROR_SYSTEM_FAILURE"})


def explain(response: "httpx.Response") -> Outcome | None:
    """Null for what HTTP says well enough."""
    content = response.content
    kind = response.headers.get("content-type", "")
    if "xml" in kind or content[:200].lstrip().startswith(b"<?xml"):
        return _of_soap(response)
    if response.status_code < 400 and b'"RETURN"' in content:
        return _of_json(content)
    return odata.explain(response)


def _of_json(content: bytes) -> Outcome | None:
    """A BAPI over JSON, as some gateways wrap it."""
    try:
        values = normal(decode.json(content, dict[str, Any]))
    except BadPayload:
        return None
    return verdict(messages(values))


def _of_soap(response: "httpx.Response") -> Outcome | None:
    content = response.content
    if response.status_code < 400 and not _FAILED.search(content) and b"Fault>" not in content:
        return None  # the usual answer is parsed once, where it is read
    try:
        body = body_of(content)
    except BadPayload:
        return None if response.status_code < 400 else odata.explain(response)
    if _local(body) == "Fault":
        return _of_fault(body)
    if response.status_code >= 400:
        return odata.explain(response)
    found = next(
        (each for each in body.iter() if isinstance(each.tag, str) and _local(each) in ("RETURN", "Return")), None
    )
    return None if found is None else verdict(messages(normal({"RETURN": _value(found)})))


def _of_fault(fault: Any) -> Outcome:
    texts = {_local(each): (each.text or "").strip() for each in fault.iter() if isinstance(each.tag, str)}
    exception = next(
        (_local(each).removesuffix(".Exception") for each in fault.iter() if _local(each).endswith(".Exception")), None
    )
    name = exception or texts.get("Name") or None
    said = texts.get("Text") or texts.get("faultstring") or None
    client = texts.get("faultcode", "").rpartition(":")[2].startswith("Client")
    if name in _DENIED:
        kind = OutcomeKind.DENIED
    elif name in _NOTHING:
        kind = OutcomeKind.ABSENT
    elif name in _OUR_FAULT or (name is None and client):
        kind = OutcomeKind.BAD_REQUEST
    elif name is None or name in _DOWN:
        kind = OutcomeKind.DOWN
    else:
        kind = OutcomeKind.REJECTED
    return Outcome(kind=kind, code=name, message=said)


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _value(element: Any) -> Any:
    """A structure or a table of the answer, as it stands."""
    children = [each for each in element if isinstance(each.tag, str)]
    if not children:
        return (element.text or "").strip()
    if all(_local(each) == "item" for each in children):
        return [_value(each) for each in children]
    return {_local(each): _value(each) for each in children}
