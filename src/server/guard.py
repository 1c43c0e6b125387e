"""Who may ask here: known to the authenticator, of an organisation of this server, with the scope that it takes."""

from collections.abc import Collection

from starlette.requests import HTTPConnection

from runtime.identity import Authenticator, Credentials, Principal, Unauthenticated, lacking


def credentials_of(connection: HTTPConnection) -> Credentials:
    """What the headers of a request say."""
    headers = connection.headers
    return Credentials(authorization=headers.get("authorization"), api_key=headers.get("x-api-key"))


class Guard:
    """`open`: nobody has to say who they are, for no authenticator is configured."""

    def __init__(self, authenticator: Authenticator, organisations: Collection[str], *, open: bool) -> None:
        self.authenticator = authenticator
        self.open = open
        self._organisations = frozenset(organisations)

    async def admit(self, credentials: Credentials, scope: str) -> Principal:
        """The principal. Raises `Unauthenticated`."""
        principal = await self.authenticator.authenticate(credentials)
        if principal.organisation not in self._organisations:
            raise Unauthenticated("invalid_token", "the caller's organisation is not known here", "")
        if scope not in principal.scopes:
            raise lacking(principal, scope)
        return principal

    async def visitor(self, credentials: Credentials, scope: str) -> Principal | None:
        """The principal; null for who does not say who they are. Raises `Unauthenticated` for who says it wrongly."""
        if not self.open and not credentials.authorization and not credentials.api_key:
            return None
        return await self.admit(credentials, scope)
