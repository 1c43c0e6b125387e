"""Regular expressions of the settings that are run on names which vendors give: no name may take long."""

import re
from collections.abc import Sequence
from typing import Final

_PATTERN_LONGEST: Final = 200
_NAME_LONGEST: Final = 160
_REPEATS_MOST: Final = 4
_WAYS_EACH: Final = 22
"""What a repeat without a bound counts for; measured: four of them take as long as 18 times `?`, about a second."""
_WAYS_MOST: Final = 4 * _WAYS_EACH**_REPEATS_MOST
_ESCAPED_OR_CLASS: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_GROUP_KIND: Final = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|[:=!>]|<[=!])")
_REPEATED_GROUP: Final = re.compile(r"\)(?:[*+]|\{)")
_REPEAT: Final = re.compile(r"(?:([*+])|(\?)|\{(\d*)(,?)(\d*)\})[?+]?")


class NamePattern:
    """Finds parts of a name: `setting` is what the pattern is called in the settings, `groups` are those of which it
    must have one.

    Bounded, since a pattern that somebody wrote in haste must not hold up a server: the pattern may hold few repeats
    and no repeated group, and only the first 160 characters of a name are looked at.

    Raises `ValueError` with what is wrong with the pattern.
    """

    __slots__ = ("_pattern",)

    def __init__(self, text: str, *, setting: str, groups: Sequence[str]) -> None:
        if len(text) > _PATTERN_LONGEST:
            raise ValueError(f"{setting} has {len(text)} characters; at most {_PATTERN_LONGEST} are allowed")
        bare = _GROUP_KIND.sub("(", _ESCAPED_OR_CLASS.sub("x", text))
        if _REPEATED_GROUP.search(bare):
            raise ValueError(f"{setting} repeats a group, which may take for ever; repeat a character class instead")
        if _ways(bare) > _WAYS_MOST:
            raise ValueError(
                f"{setting} has more than {_REPEATS_MOST} repeats that may be long, or as much in short ones: "
                "unbounded repeats (`*`, `+`), `{n,m}` and `?` multiply the time that a name may take"
            )
        try:
            self._pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{setting} is no regular expression: {error}") from None
        if not set(groups) & self._pattern.groupindex.keys():
            named = " nor ".join(f"`{each}`" for each in groups)
            raise ValueError(
                f"{setting} has {'no' if len(groups) == 1 else 'neither a'} group {named}: "
                f"write (?P<{groups[-1]}>...) around it"
            )

    def find(self, name: str, group: str) -> str | None:
        """What the group finds in the name; null when there is no such group, or it finds nothing."""
        if group not in self._pattern.groupindex:
            return None
        found = self._pattern.search(name[:_NAME_LONGEST])
        return found[group] if found else None


def _ways(bare: str) -> int:
    """In how many ways the repeats of a pattern may end, all together."""
    ways = 1
    for unbounded, optional, least, comma, most in _REPEAT.findall(bare):
        if optional:
            ways *= 2
        elif unbounded or (comma and not most):
            ways *= _WAYS_EACH
        elif comma:
            ways *= max(1, min(_WAYS_EACH, int(most) - int(least or 0) + 1))
    return ways
