"""The crosswalk: which numbers of which integrations mean the same thing.

An index in memory per organisation, filled from what each integration knows (`identities`), what passes by,
and the links of the configuration; kept in the store between restarts. A number that no link names gets the
canonical key of its subject's normalising rule.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.kit.protocols import Identity
from unified.keys import Subject, canonical


@dataclass(frozen=True)
class Link:
    """Numbers that are the same thing although no rule makes them equal: (integration, number) pairs."""

    subject: Subject
    same: tuple[tuple[str, str], ...]


class Crosswalk:
    """Of one organisation. Look-ups cost a dictionary access."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._linked: dict[tuple[Subject, str, str], str] = {}
        self._known: dict[tuple[Subject, str], dict[tuple[str, str, str | None], Identity]] = defaultdict(dict)
        self._integrations: dict[str, set[tuple[Subject, str]]] = defaultdict(set)
        self._keys: dict[tuple[Subject, str, str], dict[str, None]] = defaultdict(dict)
        for link in links:
            # a key that no normalising rule can produce, so that a link never meets a stranger by chance
            key = "=" + "|".join(sorted(f"{integration}:{number}" for integration, number in link.same))
            for integration, number in link.same:
                self._linked[link.subject, integration, canonical(link.subject, number)] = key

    def key(self, subject: Subject, integration: str, number: str | None) -> str | None:
        """The canonical key of `number` as `integration` spells it; null for no number."""
        if not number:
            return None
        bare = canonical(subject, number)
        return self._linked.get((subject, integration, bare), bare) or None

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

    def replace(self, integration: str, identities: Iterable[Identity]) -> None:
        """What an integration knows now, instead of what it knew."""
        for place in self._integrations.pop(integration, set()):
            self._known[place] = {
                each: identity for each, identity in self._known[place].items() if each[0] != integration
            }
        for gone in [each for each in self._keys if each[1] == integration]:
            del self._keys[gone]
        self.learn(integration, identities)

    def identities(self, subject: Subject, key: str) -> Mapping[tuple[str, str, str | None], Identity]:
        """All that is known under the key: (integration, number, external id) → identity."""
        return self._known.get((subject, key), {})

    def keys_of(self, subject: Subject, integration: str, external_id: str) -> list[str]:
        """All keys of one thing: a vehicle has its plate and its fleet number."""
        return list(self._keys.get((subject, integration, external_id), ()))

    def numbers(self, subject: Subject, key: str, integration: str) -> list[str]:
        """The spellings of the key at one integration, in the order in which they were learnt."""
        return list(dict.fromkeys(number for at, number, _ in self.identities(subject, key) if at == integration))

    def all_identities(self) -> list[tuple[str, str, Identity]]:
        """(integration, key, identity) of everything, to keep it in the store."""
        return [
            (integration, key, identity)
            for (_, key), known in self._known.items()
            for (integration, _, _), identity in known.items()
        ]
