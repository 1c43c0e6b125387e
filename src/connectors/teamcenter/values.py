"""What Teamcenter tells that is no record: sessions, queries, rules, windows. Given by `crossdock decode`."""

from unified.values import Value


class Session(Value, frozen=True, kw_only=True):
    """A log-in, or what the server says of the running session. The session itself is a cookie, of which only the
    name is shown."""

    server_version: str | None = None
    display_version: str | None = None
    locale: str | None = None
    cookies: tuple[str, ...] = ()


class QueryResult(Value, frozen=True, kw_only=True):
    """Uids that a saved query found; their properties are read apart."""

    uids: tuple[str, ...]


class QueryEntry(Value, frozen=True, kw_only=True):
    """A condition of a saved query. `entry` is its name in the session's locale."""

    attribute: str
    entry: str
    operation: str = ""


class QueryFields(Value, frozen=True, kw_only=True):
    """The conditions of one saved query."""

    entries: tuple[QueryEntry, ...]


class SavedQueries(Value, frozen=True, kw_only=True):
    """Saved queries by name, where the answer has names."""

    uids: tuple[str, ...]
    names: tuple[str, ...] = ()


class RevisionRule(Value, frozen=True, kw_only=True):
    uid: str
    name: str | None = None


class BomWindow(Value, frozen=True, kw_only=True):
    """An open window; its line is what is expanded."""

    uid: str
    line: str


class PartialFailure(Value, frozen=True, kw_only=True):
    """One object that failed in an answer that is otherwise good."""

    uid: str | None = None
    code: int | None = None
    message: str | None = None
