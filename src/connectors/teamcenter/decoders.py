"""The kinds of answers that Teamcenter gives, each with its reader; the live path uses the same mapping."""

import re
from collections.abc import Callable, Iterable

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.kit.reading import reading
from connectors.teamcenter import mapping, values, wire

ITEMS = "service-data"
"""Name of the decoder that polled changes are read with."""
_QNAME = re.compile(rb'"\.QName"\s*:\s*"[^"]*/([^"/]*)"')


def named(*names: str) -> Callable[[Payload], bool]:
    """Recognises answers by the end of their `.QName`: `StructureManagement.ExpandPSAllLevelsResponse`."""
    wanted = {name.encode() for name in names}

    def recognises(payload: Payload) -> bool:
        found = _QNAME.search(payload.body)
        return found is not None and found[1] in wanted

    return recognises


def failures(answer: wire.Answer | wire.BareData) -> list[values.PartialFailure]:
    """What of an answer failed; the rest of it is valid."""
    return [
        values.PartialFailure(uid=each.uid or None, code=value.code, message=value.message)
        for each in answer.data.partial_errors
        for value in each.values
    ]


def _login(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    info = decode.json(payload.body, wire.Login).server_info
    # Headers are a mapping here: several cookies stand in one line, of which the names are shown only
    lines = payload.headers.get("set-cookie", "")
    cookies = tuple(re.findall(r"(?:^|, ?)([^\s=;,]+)=[^;,]*", lines))
    yield values.Session(
        server_version=info.version, display_version=info.display_version, locale=info.locale, cookies=cookies
    )


def _session(answer: wire.SessionInfo, _origin: Origin) -> Iterable[Decoded]:
    yield values.Session(server_version=answer.server_version)


def _service_data(answer: wire.BareData, origin: Origin) -> Iterable[Decoded]:
    yield from mapping.items(answer.objects, origin, at=answer.at)
    yield from failures(answer)


def _items_found(answer: wire.ItemsFound, origin: Origin) -> Iterable[Decoded]:
    latest = mapping.latest_of(answer.output)
    yield from mapping.items(answer.data.objects, origin, at=answer.at, latest=latest)
    yield from failures(answer)


def _searched(answer: wire.Searched, origin: Origin) -> Iterable[Decoded]:
    yield from mapping.items(answer.data.objects, origin, at=answer.at)
    yield from failures(answer)


def _expansion(answer: wire.Expansion, origin: Origin) -> Iterable[Decoded]:
    tree = mapping.Tree.of(answer)
    for top in tree.tops():
        found = mapping.bom(top, tree, origin)
        if found is not None:
            yield found
    yield from failures(answer)


def _where_used(answer: wire.WhereUsed, origin: Origin) -> Iterable[Decoded]:
    for each in answer.output:
        yield from mapping.where_used(each, answer.data.objects, origin, at=answer.at)
    yield from failures(answer)


def _queries(answer: wire.QueriesFound, _origin: Origin) -> Iterable[Decoded]:
    names = [wire.value(each, "query_name") for each in answer.data.objects.values()]
    yield values.SavedQueries(
        uids=tuple(each.uid for each in answer.queries), names=tuple(name for name in names if name)
    )


def _described(answer: wire.QueriesDescribed, _origin: Origin) -> Iterable[Decoded]:
    for each in answer.lists:
        yield values.QueryFields(
            entries=tuple(
                values.QueryEntry(attribute=field.attribute, entry=field.entry, operation=field.operation)
                for field in each.fields
            )
        )


def _executed(answer: wire.QueriesExecuted, _origin: Origin) -> Iterable[Decoded]:
    for each in answer.results:
        yield values.QueryResult(uids=tuple(each.uids))


def _rules(answer: wire.RevisionRules, _origin: Origin) -> Iterable[Decoded]:
    objects = answer.data.objects
    for each in answer.output:
        name = wire.value(objects.get(each.rule.uid, wire.ModelObject()), "object_name")
        yield values.RevisionRule(uid=each.rule.uid, name=name)


def _windows(answer: wire.WindowsCreated, _origin: Origin) -> Iterable[Decoded]:
    for each in answer.output:
        yield values.BomWindow(uid=each.window.uid, line=each.line.uid)
    yield from failures(answer)


def _closed(answer: wire.Answer, _origin: Origin) -> Iterable[Decoded]:
    yield from failures(answer)


DECODERS = (
    Decoder(
        name="expansion",
        description="answer of expandPSAllLevels or expandPSOneLevel: structures",
        read=reading(wire.Expansion, _expansion),
        recognises=named(
            "StructureManagement.ExpandPSAllLevelsResponse", "StructureManagement.ExpandPSOneLevelResponse"
        ),
    ),
    Decoder(
        name=ITEMS,
        description="answer of getProperties: the items in it, and what could not be read",
        read=reading(wire.BareData, _service_data),
        recognises=named("Base.ServiceData"),
    ),
    Decoder(
        name="items-found",
        description="answer of getItemFromId or getItemFromAttribute: items with their newest revisions",
        read=reading(wire.ItemsFound, _items_found),
        recognises=named("DataManagement.GetItemFromIdResponse", "DataManagement.GetItemFromAttributeResponse"),
    ),
    Decoder(
        name="search-page",
        description="answer of performSearch: one page of items",
        read=reading(wire.Searched, _searched),
        recognises=named("Finder.SearchResponse2", "Finder.SearchResponse"),
    ),
    Decoder(
        name="where-used",
        description="answer of whereUsed: the users of each item",
        read=reading(wire.WhereUsed, _where_used),
        recognises=named("DataManagement.WhereUsedResponse"),
    ),
    Decoder(
        name="query-results",
        description="answer of executeSavedQueries: uids per query",
        read=reading(wire.QueriesExecuted, _executed),
        recognises=named("SavedQuery.ExecuteSavedQueriesResponse", "SavedQuery.SavedQueriesResponse"),
    ),
    Decoder(
        name="query-fields",
        description="answer of describeSavedQueries: localised entries per query",
        read=reading(wire.QueriesDescribed, _described),
        recognises=named("SavedQuery.DescribeSavedQueriesResponse"),
    ),
    Decoder(
        name="saved-queries",
        description="answer of findSavedQueries: queries by name",
        read=reading(wire.QueriesFound, _queries),
        recognises=named("SavedQuery.FindSavedQueriesResponse"),
    ),
    Decoder(
        name="revision-rules",
        description="answer of getRevisionRules: rules with their uids",
        read=reading(wire.RevisionRules, _rules),
        recognises=named("StructureManagement.GetRevisionRulesResponse"),
    ),
    Decoder(
        name="bom-windows",
        description="answer of createBOMWindows: windows with their top lines",
        read=reading(wire.WindowsCreated, _windows),
        recognises=named("StructureManagement.CreateBOMWindowsResponse"),
    ),
    Decoder(
        name="windows-closed",
        description="answer of closeBOMWindows: windows that could not be closed",
        read=reading(wire.Answer, _closed),
        recognises=named("StructureManagement.CloseBOMWindowsResponse"),
    ),
    Decoder(
        name="login",
        description="answer to a log-in: the server's version, and the names of the cookies",
        read=_login,
        recognises=named("Session.LoginResponse"),
    ),
    Decoder(
        name="session-info",
        description="answer of getTCSessionInfo: the server's version",
        read=reading(wire.SessionInfo, _session),
        recognises=named("Session.GetTCSessionInfoResponse"),
    ),
)
