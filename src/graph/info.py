"""The `info` of our resolvers."""

import strawberry

from resolvers.context import Context

Info = strawberry.Info[Context, None]
