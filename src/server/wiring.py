"""Puts the parts together: settings become connectors, sources and live planes, one set per organisation."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import httpx
import msgspec

from connectors.kit.integration import Integration, Secret
from connectors.kit.registry import connector_class
from connectors.kit.services import Services
from graph.engine.limits import Limits
from graph.engine.persisted import BadManifest, PersistedDocuments, read_folder
from resolvers.crosswalk import Link
from resolvers.errors import ClientError
from resolvers.sources import Handle, Sources
from runtime.bus import Bus, topic
from runtime.settings import IntegrationSettings, Settings
from runtime.store import LatestState, StoreDown
from unified.events import Event
from unified.records import Kind, Record


class ConfigurationFault(Exception):
    """An integration's credentials or settings do not fit its connector; says where, and what to write instead."""


def integration(given: IntegrationSettings, settings: Settings) -> Integration:
    """The kit's integration. Raises `ConfigurationFault` for what the connector does not take."""
    manifest = connector_class(given.system).manifest
    known = {each.name for each in manifest.credentials}
    whose = f"integration {given.key!r}"

    def fault(what: str, *path: str | int) -> ConfigurationFault:
        return ConfigurationFault(f"{settings.place_in(given.key, *path)}: {whose}: {what}")

    if "*" not in known:
        for name in given.credentials:
            if name not in known:
                raise fault(
                    f"there is no credential {name!r}; {given.system.value} takes {', '.join(sorted(known))}",
                    "credentials",
                    name,
                )
    for each in manifest.credentials:
        if each.required and each.name != "*" and each.name not in given.credentials:
            raise fault(f"the credential {each.name!r} is missing ({each.description})", "credentials")
    if manifest.needs_base_url and not given.base_url.startswith(("http://", "https://")):
        raise fault('write base_url = "https://…", the address of the vendor system', "base_url")
    try:
        msgspec.convert(given.settings, manifest.settings)
    except msgspec.ValidationError as error:
        raise fault(str(error), "settings", *_path_in(str(error))) from None
    return Integration(
        key=given.key,
        system=given.system,
        organisation=given.organisation,
        base_url=given.base_url,
        credentials={name: Secret(secret.reveal()) for name, secret in given.credentials.items()},
        settings=given.settings,
        deadline_seconds=given.deadline_seconds,
        rate_per_second=given.rate_per_second,
        poll_seconds=given.poll_seconds,
        masters=settings.masters_of(given.key),
    )


def _path_in(message: str) -> tuple[str | int, ...]:
    """The keys that msgspec's message ends with: ``… - at `$.machines[0].url` ``; of a field that there is not, it."""
    found = re.search(r" - at `\$([^`]*)`$", message)
    parts = re.findall(r"[.](\w+)|\[(\d+)\]", found[1]) if found else []
    unknown = re.match(r"Object contains unknown field `([^`]+)`", message)
    return (*(name or int(number) for name, number in parts), *((unknown[1],) if unknown else ()))


def connect(
    settings: Settings, services: Services, transports: Mapping[str, httpx.AsyncBaseTransport] | None = None
) -> dict[str, Sources]:
    """Organisation → its sources. `transports` (by integration key) stand in for the network in tests.

    Raises `ConfigurationFault` naming the first integration that cannot be made.
    """
    made: dict[str, Sources] = {}
    for organisation in settings.organisations:
        handles = []
        for position, given in enumerate(settings.integrations_of(organisation.key)):
            transport = (transports or {}).get(given.key)
            own = services if transport is None else replace(services, transport=transport)
            one = integration(given, settings)
            try:
                connector = connector_class(given.system)(one, own)
            except ValueError as fault:  # what a connector says of settings that fit its struct and still make no sense
                raise ConfigurationFault(
                    f"{settings.place_in(given.key)}: integration {given.key!r}: {fault}"
                ) from None
            handles.append(Handle(one, connector, position))
        links = [
            Link(link.subject, tuple((each.integration, each.number) for each in link.same))
            for link in settings.links
            if link.organisation == organisation.key
        ]
        made[organisation.key] = Sources(organisation.key, handles, links)
    return made


class StoreAway(ClientError):
    """What is kept cannot be read now. Vendors can still be asked."""

    code = "ERR_DATABASE"


class LivePlane:
    """The live plane of one organisation, over the store and the bus."""

    def __init__(self, organisation: str, state: LatestState, bus: Bus) -> None:
        self._organisation, self._state, self._bus = organisation, state, bus

    async def snapshot(self, kind: Kind, ids: Sequence[str] | None) -> list[Record]:
        """Raises `StoreAway`."""
        try:
            return await self._state.read(self._organisation, kind, ids)
        except StoreDown:
            raise StoreAway("the store cannot be reached now; try again") from None

    def subscribe(self, kinds: Sequence[Kind]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._bus.subscribe([topic(self._organisation, kind) for kind in kinds])


def limits_of(settings: Settings) -> Limits:
    """The engine's limits."""
    return Limits(**msgspec.structs.asdict(settings.limits))


def documents_of(settings: Settings) -> PersistedDocuments:
    """The documents that clients may name. Raises `ConfigurationFault` for a folder that cannot be used."""
    given = settings.documents
    try:
        trusted = read_folder(given.folder) if given.folder else {}
    except BadManifest as fault:
        raise ConfigurationFault(f"documents: {fault}") from None
    return PersistedDocuments(trusted, only_trusted=given.only_trusted, automatic=given.automatic)
