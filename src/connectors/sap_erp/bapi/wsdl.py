"""zeep, without its transport: makes SOAP messages of a WSDL and reads the answers. The bytes are the kit's to send."""

import threading
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import zeep
import zeep.exceptions
import zeep.helpers
import zeep.xsd.context
from lxml import etree

from connectors.kit.errors import AuthFailed, BadPayload
from connectors.kit.xml import root_of
from connectors.sap_erp.bapi.functions import Values, name_of, normal

PACKAGED: Final = "bapis.wsdl"
_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_library: Final[Any] = zeep  # it has no types that a checker could use
_settings: Final[Any] = _library.Settings(
    strict=False,  # systems send more fields than anybody's WSDL lists
    xsd_ignore_sequence_order=True,
    forbid_dtd=True,
    forbid_entities=True,
    forbid_external=True,
)


class _NoNetwork:
    """What zeep asks for documents that a WSDL refers to: there are none that we would fetch."""

    def load(self, url: str) -> bytes:
        raise OSError(f"it refers to {url}; a WSDL must be one file")


class Wsdl:
    """One WSDL, read once. Safe to use from several tasks: nothing in it changes."""

    def __init__(self, content: bytes, where: str) -> None:
        try:
            self._client = _library.Client(BytesIO(content), transport=_NoNetwork(), settings=_settings)
            binding: Any = self._client.service._binding
            self._operations: dict[str, Any] = {_function(name): each for name, each in binding.all().items()}
        except (
            zeep.exceptions.Error,
            etree.LxmlError,
            OSError,
            ValueError,
            AttributeError,
            KeyError,
            TypeError,
        ) as fault:
            # zeep stumbles over a file that is XML but no WSDL in ways of its own
            reason = f"{type(fault).__name__}: {fault}"[:300]
            raise AuthFailed(f"cannot read the WSDL `{where}`: {reason}") from None
        self.where = where

    def message(self, function: str, parameters: Values) -> tuple[bytes, dict[str, str]]:
        """The envelope of a call and its headers. Raises `BadPayload` for a function that the WSDL has not."""
        operation = self._operation(function)
        element = operation.input.body
        try:
            envelope = self._client.create_message(
                self._client.service, operation.name, **_fitted(element.type, parameters)
            )
        except (zeep.exceptions.Error, TypeError, ValueError) as fault:
            raise BadPayload(f"{function} does not take our parameters as `{self.where}` has them: {fault}") from None
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f'"{operation.soapaction or function}"',
            "Accept": "text/xml",
        }
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8"), headers

    def values(self, function: str, content: bytes) -> Values:
        """The answer of a call. Raises `BadPayload`, saying where."""
        operation = self._operation(function)
        body = body_of(content)
        element = operation.output.body
        # `BAPI_X.Response`, `BAPI_XResponse` or `XResponse` in another namespace: gateways do not agree
        body.tag = element.qname.text
        try:
            found = element.parse(
                body, self._client.wsdl.types, context=_library.xsd.context.XmlParserContext(settings=_settings)
            )
        except (zeep.exceptions.Error, ValueError, ArithmeticError, TypeError) as fault:
            raise BadPayload(
                f"the answer of {function} has a value that is not of its type ({type(fault).__name__})",
                path=f"$.{function}",
            ) from None
        named: Values = normal(_library.helpers.serialize_object(found, dict) or {})
        return named

    def _operation(self, function: str) -> Any:
        found = self._operations.get(_function(function))
        if found is None:
            raise BadPayload(f"the WSDL `{self.where}` has no function {function}", path=f"$.{function}")
        return found


def _function(name: str) -> str:
    """`BAPI_MATERIAL_GET_DETAIL`, `BapiMaterialGetDetail` and `MaterialGetDetail` are one function."""
    return name_of(name).removeprefix("BAPI")


def _fitted(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the names that this type has for them, tables wrapped in `item`."""
    known = {name_of(name): (name, element) for name, element in kind.elements}
    fitted: dict[str, Any] = {}
    for key, value in values.items():
        name, element = known.get(name_of(key), (key, None))
        inner = getattr(element, "type", None)
        if isinstance(value, list) and inner is not None:
            item = next((each for each in inner.elements), None)
            row = getattr(item[1], "type", None) if item else None
            fitted[name] = {item[0] if item else "item": [_fitted(row, each) if row else each for each in value]}
        elif isinstance(value, Mapping) and inner is not None:
            fitted[name] = _fitted(inner, value)
        else:
            fitted[name] = value
    return fitted


def body_of(content: bytes) -> Any:
    """The first element in a SOAP body. Raises `BadPayload`."""
    root = root_of(content)
    body = root.find(f"{{{_ENVELOPE}}}Body")
    first = next(_elements(body), None) if body is not None else None
    if first is None:
        raise BadPayload("the answer is no SOAP envelope with a body", path="$")
    return first


def _elements(parent: Any) -> Iterator[Any]:
    return (each for each in parent if isinstance(each.tag, str))


_reading = threading.Lock()


def load(file: str | None) -> Wsdl:
    """The WSDL in a file, or the packaged one; each is read once in a process. Takes a while: run it in a thread.

    Raises `AuthFailed`, saying which file and why.
    """
    with _reading:  # two that come together must not read it twice
        return _packaged() if file is None else _of_file(file, _changed_at(file))


@cache
def _packaged() -> Wsdl:
    return Wsdl(files("connectors.sap_erp.bapi").joinpath(PACKAGED).read_bytes(), PACKAGED)


@cache
def _of_file(file: str, changed_at: int) -> Wsdl:  # noqa: ARG001 - a file that was changed is read again
    try:
        return Wsdl(Path(file).read_bytes(), file)
    except OSError as fault:
        raise _unreadable(file, fault) from None


def _changed_at(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError as fault:
        raise _unreadable(file, fault) from None


def _unreadable(file: str, fault: OSError) -> AuthFailed:
    return AuthFailed(f"cannot read `wsdl_file` {file}: {fault.strerror or type(fault).__name__}")
