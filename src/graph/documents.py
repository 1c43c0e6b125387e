"""Documents that were parsed and found valid: the next operation with the same text costs neither again."""

from collections import OrderedDict
from typing import Any

from graphql import DocumentNode

Rules = tuple[type[Any], ...]


class Documents:
    """Of one schema. Bounded by characters, least recently used first out; a parsed document takes about 70 bytes
    per character of its text. Nothing of who asks is in it.

    The rules that a document was held to are part of its key: what is valid for one caller need not be for another.
    """

    def __init__(self, *, total: int = 256 << 10, largest: int = 16 << 10) -> None:
        self._total, self._largest = total, largest
        self._known: OrderedDict[tuple[str, Rules], DocumentNode] = OrderedDict()
        self._characters = 0

    def get(self, text: str, rules: Rules) -> DocumentNode | None:
        found = self._known.get((text, rules))
        if found is not None:
            self._known.move_to_end((text, rules))
        return found

    def put(self, text: str, rules: Rules, document: DocumentNode) -> None:
        """Keeps a document that all the rules allow, unless it is longer than `largest`."""
        if len(text) > self._largest or (text, rules) in self._known:
            return
        self._known[text, rules] = document
        self._characters += len(text)
        while self._characters > self._total:
            (oldest, _), _ = self._known.popitem(last=False)
            self._characters -= len(oldest)
