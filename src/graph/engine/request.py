"""What a client asks, of whatever transport."""

from typing import Any

import msgspec


class GraphQLRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose shape is checked."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    document_id: str | None = None
