"""What clients are told of errors: with codes and without secrets."""

import uuid
from collections.abc import Callable

from graphql import GraphQLError

from connectors.kit.errors import ConnectorError
from resolvers.errors import ClientError, extensions_of

Report = Callable[[str, BaseException], None]
"""Is told the id and the exception of an unexpected failure, for the log."""


def told(error: GraphQLError, report: Report) -> GraphQLError:
    """What a client may know of an error: ours as they are, any other as "Internal error" with an id."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, ConnectorError):
        message, extensions = cause.message, extensions_of(cause)
    elif isinstance(cause, ClientError):
        message, extensions = cause.message, cause.extensions
    elif cause is None or isinstance(cause, GraphQLError):
        message, extensions = error.message, {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    else:
        failure = uuid.uuid4().hex
        report(failure, cause)
        message, extensions = "Internal error", {"code": "INTERNAL_SERVER_ERROR", "id": failure}
    return GraphQLError(message, nodes=error.nodes, source=error.source, positions=error.positions,
                        path=error.path, extensions=extensions)  # fmt: skip
