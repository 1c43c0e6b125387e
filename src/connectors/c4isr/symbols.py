"""Military symbol codes: CoT type, MIL-STD-2525B/C letters, 2525D/APP-6D numbers.

The letters follow from the type; the numbers only carry identity and symbol set across, since their entities are
numbered anew.
"""

from unified.records import Affiliation, Dimension

AFFILIATIONS = {
    "p": Affiliation.PENDING,
    "u": Affiliation.UNKNOWN,
    "a": Affiliation.ASSUMED_FRIEND,
    "f": Affiliation.FRIEND,
    "n": Affiliation.NEUTRAL,
    "s": Affiliation.SUSPECT,
    "h": Affiliation.HOSTILE,
    "j": Affiliation.JOKER,
    "k": Affiliation.FAKER,
    "o": Affiliation.NONE,
}
DIMENSIONS = {
    "P": Dimension.SPACE,
    "A": Dimension.AIR,
    "G": Dimension.GROUND,
    "S": Dimension.SEA_SURFACE,
    "U": Dimension.SUBSURFACE,
    "X": Dimension.OTHER,
}
LENGTH = 15
_FUNCTION = slice(4, 10)

_IDENTITIES = {"0": "p", "1": "u", "2": "a", "3": "f", "4": "n", "5": "s", "6": "h"}
_EXERCISE_IDENTITIES = {**_IDENTITIES, "5": "j", "6": "k"}
_SETS = {"01": "A", "05": "P", "10": "G", "15": "G", "20": "G", "30": "S", "35": "U"}


def is_unit(cot_type: str) -> bool:
    """Whether the type is of an atom: a thing on the ground, at sea, in the air."""
    return cot_type.startswith("a-")


def affiliation(cot_type: str) -> Affiliation:
    parts = cot_type.split("-")
    return AFFILIATIONS.get(parts[1], Affiliation.UNKNOWN) if len(parts) > 1 else Affiliation.UNKNOWN


def dimension(cot_type: str) -> Dimension:
    parts = cot_type.split("-")
    return DIMENSIONS.get(parts[2], Dimension.OTHER) if len(parts) > 2 else Dimension.OTHER


def letters(cot_type: str) -> str | None:
    """`a-f-G-U-C-V-R-A` → `SFGPUCVRA------`; null for what is no atom with a dimension.

    Atoms of CoT's own (lower case, longer than a letter) end the function: 2525 does not know them.
    """
    parts = cot_type.split("-")
    if len(parts) < 3 or parts[0] != "a" or parts[1] not in AFFILIATIONS or parts[2] not in DIMENSIONS:
        return None
    function = ""
    for part in parts[3:9]:
        if len(part) != 1 or not ("A" <= part <= "Z"):
            break
        function += part
    return f"S{parts[1].upper()}{parts[2]}P{function}".ljust(LENGTH, "-")


def is_letters(code: str | None) -> bool:
    """Whether the text is a 2525B/C code of a unit."""
    return code is not None and len(code) == LENGTH and code[0] == "S" and code[1].lower() in AFFILIATIONS


def from_letters(code: str) -> str | None:
    """`SHSPCLDD-------` → `a-h-S-C-L-D-D`; null for what is no code of a unit."""
    if not is_letters(code) or code[2] not in DIMENSIONS:
        return None
    function = code[_FUNCTION].partition("-")[0]
    return "-".join(("a", code[1].lower(), code[2], *function))


def from_numbers(code: str) -> str | None:
    """`10031000001211000000` → `a-f-G`; null for other sets of symbols than units' and things'."""
    if len(code) != 20 or not (code.isascii() and code.isdigit()):
        return None
    identity = (_EXERCISE_IDENTITIES if code[2] == "1" else _IDENTITIES).get(code[3])
    of_set = _SETS.get(code[4:6])
    return f"a-{identity}-{of_set}" if identity and of_set else None


def numbers(cot_type: str) -> str | None:
    """`a-f-G` → `10031000000000000000`: identity and set only; null where numbers have none."""
    parts = cot_type.split("-")
    if len(parts) < 3 or parts[0] != "a":
        return None
    exercise = parts[1] in ("j", "k")
    known = {letter: digit for digit, letter in (_EXERCISE_IDENTITIES if exercise else _IDENTITIES).items()}
    ground = {"E": "15", "I": "20"}.get(parts[3] if len(parts) > 3 else "", "10")
    of_set = {"A": "01", "P": "05", "G": ground, "S": "30", "U": "35"}.get(parts[2])
    if parts[1] not in known or of_set is None:
        return None
    return f"10{int(exercise)}{known[parts[1]]}{of_set}".ljust(20, "0")
