"""What a client asks, of whatever transport."""

from typing import Any

import msgspec


class GraphQLRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose shape is checked.

    `cost`: the answer's extensions say what it cost; `explain`: they say which field asked which vendor for what;
    `dry`: they say what would be asked, and nothing is.
    """

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    document_id: str | None = None
    cost: bool = False
    explain: bool = False
    dry: bool = False
