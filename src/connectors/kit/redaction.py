"""Keeps secrets and personal data out of logs and messages."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

MASK: Final = "***"
_LONGEST: Final = 500
_LOOKED_AT: Final = 5_000
_NAMES: Final = (
    r"pass(?:word|wd|phrase)|secret|token|api[-_]?key|authorization|cookie|session|signature|credential|jwt"
    r"|private[-_]?key"
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_SECRET_TEXT = re.compile(
    rf"""(?ix)
    # a header line: all of it is secret
    (?P<header> \b (?:proxy-)?authorization \s{{0,5}} [:=] \s{{0,5}} | \b (?:set-)?cookie \s{{0,5}} [:=] \s{{0,5}} )
      (?!["']) [^\r\n]+
    # a scheme and its credential
    | (?P<scheme> \b (?:bearer|basic|apikey) \s{{1,5}} ) [a-z0-9+/=._~-]{{6,}}
    # user and password before a host
    | (?P<user> :// ) [^/\s@"'?\#]* @
    # name=value of queries and forms, "name": "value" of JSON, name: value of headers
    | (?P<name> (?:{_NAMES}) [\w.-]{{0,40}} \\{{0,3}}["']? \s{{0,5}} [=:] \s{{0,5}} | [?&] (?:code|key|sig) = )
      (?P<quote> \\{{0,3}}["']? )
      (?: (?<=["']) (?:\\.|[^"'\\])* | [^\s"'&,;)}}\]]+ )
    # a JSON Web Token, wherever it stands
    | \b eyJ [\w-]{{5,400}} \. [\w-]+ (?: \. [\w-]* )?
    """
)
_PATH_PARAMETER = re.compile(r";[^/;]*")


def text(value: str) -> str:
    """The text with credentials in URLs, headers, forms and JSON masked, at most 500 characters."""
    masked = _SECRET_TEXT.sub(_masked, value[:_LOOKED_AT])
    return masked if len(masked) <= _LONGEST and len(value) <= _LOOKED_AT else masked[: _LONGEST - 3] + "..."


def _masked(hit: re.Match[str]) -> str:
    if hit["user"]:
        return f"{hit['user']}{MASK}@"
    return f"{hit['header'] or hit['scheme'] or hit['name'] or ''}{hit['quote'] or ''}{MASK}"


def mapping(values: Mapping[str, object]) -> dict[str, object]:
    """The mapping with the values of secret-sounding names masked, in what is nested in it too."""
    return {name: MASK if _SECRET_NAME.search(name) else _inside(value) for name, value in values.items()}


def _inside(value: object) -> object:
    match value:
        case Mapping():
            return mapping({str(name): each for name, each in value.items()})
        case list() | tuple():
            return [_inside(each) for each in value]
        case str():
            return text(value)
        case bytes() | bytearray():
            return text(value.decode(errors="replace"))
    return value


def url(value: str) -> str:
    """Scheme, host and path: the query may hold tokens, ids and personal data, a path parameter the session."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(an address that cannot be read)"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{text(_PATH_PARAMETER.sub('', parts.path))}"
