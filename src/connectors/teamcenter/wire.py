"""Teamcenter's answers as they come: responses of SOA operations around `ServiceData` and model objects.

The wire says `ServiceData`, the documentation `serviceData`: both are read. `.QName` names what an answer is and
is the one member that must be there; without it an answer of another operation would read as an empty one.
"""

from collections.abc import Mapping
from functools import cached_property

import msgspec
from msgspec import field


class Property(msgspec.Struct, frozen=True):
    """All values are texts. `ui` is display text in the session's locale, never to be parsed."""

    db: list[str | None] = field(name="dbValues", default=[])
    ui: list[str | None] = field(name="uiValues", default=[])
    nulls: list[bool] = field(name="isNulls", default=[])


class Reference(msgspec.Struct, frozen=True):
    uid: str = ""
    class_name: str = field(name="className", default="")
    type: str = ""


class ModelObject(msgspec.Struct, frozen=True):
    uid: str = ""
    class_name: str = field(name="className", default="")
    type: str = ""
    props: dict[str, Property] = {}


class ErrorValue(msgspec.Struct, frozen=True):
    """Level 1 informs, 2 warns, 3 is an error, 4 an error of the user."""

    message: str | None = None
    code: int | None = None
    level: int | None = None


class PartialError(msgspec.Struct, frozen=True):
    client_id: str | None = field(name="clientId", default=None)
    uid: str | None = None
    values: list[ErrorValue] = field(name="errorValues", default=[])


class ServiceData(msgspec.Struct, frozen=True):
    plain: list[str] = []
    deleted: list[str] = []
    objects: dict[str, ModelObject] = field(name="modelObjects", default={})
    partial_errors: list[PartialError] = field(name="partialErrors", default=[])


class Answer(msgspec.Struct, frozen=True, dict=True):
    """What all responses share; those of `getProperties` and `logout` are `BareData`."""

    qname: str = field(name=".QName")
    capital: ServiceData | None = field(name="ServiceData", default=None)
    small: ServiceData | None = field(name="serviceData", default=None)

    @cached_property
    def data(self) -> ServiceData:
        return self.capital or self.small or ServiceData()

    @property
    def at(self) -> str:
        """Where the model objects are in the payload."""
        return "$.serviceData.modelObjects" if self.capital is None else "$.ServiceData.modelObjects"


class BareData(ServiceData, frozen=True, kw_only=True, dict=True):
    """`Base.ServiceData`: the answer is the service data itself."""

    qname: str = field(name=".QName")

    @property
    def data(self) -> ServiceData:
        return self

    @property
    def at(self) -> str:
        return "$.modelObjects"


class Slices(msgspec.Struct, frozen=True):
    """`Base.ServiceData` with its objects as bytes, to be handed on in parts."""

    qname: str = field(name=".QName")
    objects: dict[str, msgspec.Raw] = field(name="modelObjects", default={})


class Fault(msgspec.Struct, frozen=True):
    """One of `Exceptions.*`; it has a list of messages, or one message in its own members."""

    qname: str = field(name=".QName", default="")
    messages: list[ErrorValue] = []
    message: str | None = None
    code: int | None = None
    level: int | None = None

    @property
    def exception(self) -> str | None:
        """`InvalidUserException`; null when this is no exception at all."""
        _, found, name = self.qname.rpartition("/Exceptions.")
        return name if found else None

    @property
    def values(self) -> list[ErrorValue]:
        return self.messages or [ErrorValue(message=self.message, code=self.code, level=self.level)]


# --- session


class ServerInfo(msgspec.Struct, frozen=True, rename="pascal"):
    version: str | None = None
    display_version: str | None = None
    locale: str | None = None
    site_locale: str | None = None


class Login(msgspec.Struct, frozen=True):
    """The session itself is not in it: it is the cookie beside it."""

    qname: str = field(name=".QName")
    server_info: ServerInfo = field(name="serverInfo")


class SessionInfo(Answer, frozen=True, kw_only=True):
    server_version: str | None = field(name="serverVersion", default=None)


# --- items


class RevisionOutput(msgspec.Struct, frozen=True):
    revision: Reference = field(name="itemRevision", default=Reference())


class ItemOutput(msgspec.Struct, frozen=True):
    item: Reference = Reference()
    revisions: list[RevisionOutput] = field(name="itemRevOutput", default=[])


class ItemsFound(Answer, frozen=True, kw_only=True):
    """`getItemFromId`, `getItemFromAttribute`. `output` has no more than references."""

    output: list[ItemOutput]


class UsedBy(msgspec.Struct, frozen=True):
    """`level` counts upwards; 1 is a direct user. The two contracts of the operation name the parent differently."""

    level: int
    revision: Reference | None = field(name="parentItemRev", default=None)
    object: Reference | None = field(name="parentObject", default=None)

    @property
    def parent(self) -> str:
        return (self.revision or self.object or Reference()).uid


class UsedOutput(msgspec.Struct, frozen=True):
    used: Reference = field(name="inputObject")
    users: list[UsedBy] = field(name="info", default=[])


class WhereUsed(Answer, frozen=True, kw_only=True):
    output: list[UsedOutput]


# --- queries


class QueriesFound(Answer, frozen=True, kw_only=True):
    queries: list[Reference] = field(name="savedQueries")


class QueryField(msgspec.Struct, frozen=True):
    """`entry` is the localised name under which the value is given."""

    attribute: str = field(name="attributeName", default="")
    entry: str = field(name="entryName", default="")
    operation: str = field(name="mathOperation", default="")


class FieldList(msgspec.Struct, frozen=True):
    fields: list[QueryField] = []


class QueriesDescribed(Answer, frozen=True, kw_only=True):
    lists: list[FieldList] = field(name="fieldLists")


class QueryResult(msgspec.Struct, frozen=True):
    uids: list[str] = field(name="objectUIDS", default=[])
    client_id: str | None = field(name="clientId", default=None)


class QueriesExecuted(Answer, frozen=True, kw_only=True):
    results: list[QueryResult] = field(name="arrayOfResults")


class SearchCursor(msgspec.Struct, frozen=True, rename="camel"):
    end_index: int | None = None
    end_reached: bool | None = None


class Searched(Answer, frozen=True, kw_only=True):
    """One page of `performSearch`."""

    found: list[Reference] = field(name="searchResults", default=[])
    total_found: int = field(name="totalFound")
    total_loaded: int = field(name="totalLoaded", default=0)
    cursor: SearchCursor | None = None


# --- structures


class RuleOutput(msgspec.Struct, frozen=True):
    rule: Reference = field(name="revRule")


class RevisionRules(Answer, frozen=True, kw_only=True):
    output: list[RuleOutput]


class WindowOutput(msgspec.Struct, frozen=True):
    client_id: str = field(name="clientId", default="")
    window: Reference = field(name="bomWindow", default=Reference())
    line: Reference = field(name="bomLine", default=Reference())


class WindowsCreated(Answer, frozen=True, kw_only=True):
    output: list[WindowOutput]


class Line(msgspec.Struct, frozen=True):
    line: Reference = field(name="bomLine")
    revision: Reference | None = field(name="itemRevOfBOMLine", default=None)


class Expanded(msgspec.Struct, frozen=True):
    parent: Line
    children: list[Line] = []


class Expansion(Answer, frozen=True, kw_only=True):
    """One row per line that was expanded, in no order that can be relied on."""

    output: list[Expanded]


def values(found: ModelObject, name: str) -> list[str | None]:
    """The database values, trimmed; null for what is marked as null or is empty."""
    return _values(found.props.get(name), shown=False)


def value(found: ModelObject, name: str) -> str | None:
    """The first database value."""
    return next(iter(values(found, name)), None)


def shown(found: ModelObject, name: str) -> str | None:
    """The first display text; null as for `values`."""
    return next(iter(_values(found.props.get(name), shown=True)), None)


def display(found: ModelObject, name: str) -> list[str | None]:
    """All display texts."""
    return _values(found.props.get(name), shown=True)


NO_OBJECT = "AAAAAAAAAAAAAA"
"""Teamcenter's uid of "no object"."""


def references(found: ModelObject, name: str) -> list[str]:
    """Uids that a reference property holds, without "no object"."""
    return [uid for uid in values(found, name) if uid is not None and uid != NO_OBJECT]


def _values(found: Property | None, *, shown: bool) -> list[str | None]:
    if found is None:
        return []
    texts = found.ui if shown else found.db
    return [
        None if (place < len(found.nulls) and found.nulls[place]) or not (text or "").strip() else (text or "").strip()
        for place, text in enumerate(texts)
    ]


Objects = Mapping[str, ModelObject]
