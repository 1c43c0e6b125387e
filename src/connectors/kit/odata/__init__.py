"""OData as SAP's gateways speak it, V2 and V4: what every connector to one needs, whichever services it reads.

`asking` makes conditions and orders, `reading` follows pages, `session` signs in and fetches the CSRF token, `answers`
says what an answer means, `values` reads times and keys, `shapes` tells payloads apart, `merging` makes one list
of two.
"""

from connectors.kit.odata.answers import CSRF_REQUIRED, explain, said
from connectors.kit.odata.asking import (
    LONGEST_FILTER,
    Asked,
    Column,
    all_of,
    any_of,
    at_v2,
    at_v4,
    blocks,
    day_v2,
    either,
    item_spellings,
    literal,
    order_by,
    spellings,
)
from connectors.kit.odata.merging import Part, merged
from connectors.kit.odata.reading import (
    Expanded,
    OData,
    Params,
    Results,
    Rows,
    V2Entity,
    V2Page,
    V4Page,
    encoded,
)
from connectors.kit.odata.session import BasicSession, BearerSession, Csrf, logged_out
from connectors.kit.odata.shapes import Shape, decoders_of
from connectors.kit.odata.values import UNITS, clock_time, day, joined, local_time, mass_kg, moment, parts

__all__ = [
    "CSRF_REQUIRED", "LONGEST_FILTER", "UNITS", "Asked", "BasicSession", "BearerSession", "Column", "Csrf",
    "Expanded", "OData", "Params", "Part", "Results", "Rows", "Shape", "V2Entity", "V2Page", "V4Page", "all_of",
    "any_of", "at_v2", "at_v4", "blocks", "clock_time", "day", "day_v2", "decoders_of", "either", "encoded",
    "explain", "item_spellings", "joined", "literal", "local_time", "logged_out", "mass_kg", "merged", "moment",
    "order_by", "parts", "said", "spellings",
]  # fmt: skip
