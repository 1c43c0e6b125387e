"""The crosswalk: which numbers of which integrations mean the same thing.

An index in memory per organisation, filled from what each integration knows (`identities`), what passes by
(`meet`), and the links of the configuration; kept in the store between restarts. A number that no link names gets
the canonical key of its subject's normalising rule.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.kit.protocols import Identity
from unified import records
from unified.keys import Subject, canonical
from unified.records import Record

_ITEM, _VEHICLE, _EQUIPMENT = Subject.ITEM, Subject.VEHICLE, Subject.EQUIPMENT
NUMBERS: dict[type[Record], Callable[[Any], tuple[tuple[Subject, str | None], ...]]] = {
    records.Item: lambda item: ((_ITEM, item.number),),
    records.Vehicle: lambda vehicle: ((_VEHICLE, vehicle.plate), (_VEHICLE, vehicle.fleet_number)),
    records.Unit: lambda unit: ((_VEHICLE, unit.callsign), (_VEHICLE, unit.uid)),
    records.Equipment: lambda machine: (
        (_EQUIPMENT, machine.fleet_number),
        (_EQUIPMENT, machine.serial_number),
        (_EQUIPMENT, machine.name),
        (_VEHICLE, machine.fleet_number),
    ),
}
"""The kinds that join across systems, and under which numbers others know them, the best first. A mobile machine is
also a vehicle, to those who track it."""

MET_MOST = 100_000
"""Records of an integration that are remembered as met; beyond it only the index teaches."""


@dataclass(frozen=True)
class Link:
    """Numbers that are the same thing although no rule makes them equal: (integration, number) pairs."""

    subject: Subject
    same: tuple[tuple[str, str], ...]


class Crosswalk:
    """Of one organisation. Look-ups cost a dictionary access."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._linked: dict[tuple[Subject, str, str], str] = {}
        self._spelt: dict[tuple[Subject, str, str], str] = {}
        self._known: dict[tuple[Subject, str], dict[tuple[str, str, str | None], Identity]] = defaultdict(dict)
        self._integrations: dict[str, set[tuple[Subject, str]]] = defaultdict(set)
        self._keys: dict[tuple[Subject, str, str], dict[str, None]] = defaultdict(dict)
        self._met: dict[str, dict[str, tuple[tuple[Subject, str | None], ...]]] = defaultdict(dict)
        for link in links:
            # a key that no normalising rule can produce, so that a link never meets a stranger by chance
            key = "=" + "|".join(sorted(f"{integration}:{number}" for integration, number in link.same))
            for integration, number in link.same:
                self._linked[link.subject, integration, canonical(link.subject, number)] = key
                self._spelt[link.subject, key, integration] = number

    def key(self, subject: Subject, integration: str, number: str | None) -> str | None:
        """The canonical key of `number` as `integration` spells it; null for no number."""
        if not number:
            return None
        bare = canonical(subject, number)
        return self._linked.get((subject, integration, bare), bare) or None

    # --- learning

    def learn(self, integration: str, identities: Iterable[Identity]) -> int:
        """Adds what an integration knows; gives how many were new."""
        new = 0
        for identity in identities:
            key = self.key(identity.subject, integration, identity.number)
            if key is None:
                continue
            known = self._known[identity.subject, key]
            place = (integration, identity.number, identity.external_id)
            if place not in known:
                new += 1
                known[place] = identity
                self._integrations[integration].add((identity.subject, key))
                if identity.external_id is not None:
                    self._keys[identity.subject, integration, identity.external_id][key] = None
        return new

    def meet(self, record: Record) -> None:
        """Learns from a record that is read or arrives live, so that joins need not wait for the index.

        Costs a dictionary access for a record that is known already or of a kind that does not join.
        """
        numbers_of = NUMBERS.get(type(record))
        if numbers_of is None:
            return
        source, numbers = record.source, numbers_of(record)
        met = self._met[source.integration]
        before = met.get(record.id)
        if before == numbers or (before is None and len(met) >= MET_MOST):
            return
        met[record.id] = numbers
        for each in before or ():
            if each not in numbers:  # a plate that was moved to another vehicle must not lead to this one
                self._forget(*each, source.integration, source.external_id)
        self.learn(
            source.integration,
            [
                Identity(subject=subject, kind=record.kind, number=number, external_id=source.external_id)
                for subject, number in numbers
                if number
            ],
        )

    def replace(self, integration: str, identities: Iterable[Identity]) -> None:
        """What an integration knows now, instead of what it knew."""
        for place in self._integrations.pop(integration, set()):
            rest = {each: identity for each, identity in self._known[place].items() if each[0] != integration}
            if rest:
                self._known[place] = rest
            else:
                del self._known[place]
        for gone in [each for each in self._keys if each[1] == integration]:
            del self._keys[gone]
        self._met.pop(integration, None)
        self.learn(integration, identities)

    def _forget(self, subject: Subject, number: str | None, integration: str, external_id: str) -> None:
        key = self.key(subject, integration, number)
        if key is not None:
            self._known.get((subject, key), {}).pop((integration, str(number), external_id), None)
            self._keys.get((subject, integration, external_id), {}).pop(key, None)

    # --- asking

    def identities(self, subject: Subject, key: str) -> Mapping[tuple[str, str, str | None], Identity]:
        """All that is known under the key: (integration, number, external id) → identity."""
        return self._known.get((subject, key), {})

    def siblings(self, subject: Subject, key: str | None) -> list[tuple[str, Identity]]:
        """(integration, identity) of all that is known under the key, and under the thing's other numbers.

        A vehicle has several numbers; one system knows the plate, another the call sign, and the master both.
        Machines are told by their own number only: their names are not unique between systems.
        """
        if key is None:
            return []
        found: list[tuple[str, Identity]] = []
        seen, todo = {key}, [key]
        while todo:
            for (at, _, external), identity in self.identities(subject, todo.pop()).items():
                found.append((at, identity))
                if external is None or identity.kind is None or subject is Subject.EQUIPMENT:
                    continue
                for other in self.keys_of(subject, at, external):
                    if other not in seen:
                        seen.add(other)
                        todo.append(other)
        return found

    def keys_of(self, subject: Subject, integration: str, external_id: str) -> list[str]:
        """All keys of one thing: a vehicle has its plate and its fleet number."""
        return list(self._keys.get((subject, integration, external_id), ()))

    def numbers(self, subject: Subject, key: str, integration: str) -> list[str]:
        """The spellings of the key at one integration: first that of a link, then in the order they were learnt."""
        linked = self._spelt.get((subject, key, integration))
        known = (number for at, number, _ in self.identities(subject, key) if at == integration)
        return list(dict.fromkeys([linked, *known] if linked is not None else known))

    def all_identities(self) -> list[tuple[str, str, Identity]]:
        """(integration, key, identity) of everything, to keep it in the store."""
        return [
            (integration, key, identity)
            for (_, key), known in self._known.items()
            for (integration, _, _), identity in known.items()
        ]
