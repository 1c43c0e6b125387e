"""Turns the tables of a settings file into structs and collects what is wrong instead of stopping at it."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from runtime import settings_model as model
from runtime.settings_model import Settings
from runtime.settings_values import WRONG, Values, loopback, nearest
from runtime.toml_source import KeyPath, TomlSource
from unified.keys import Subject
from unified.values import System

S = TypeVar("S", bound=msgspec.Struct)

HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The algorithms that go with a secret, and its shortest length."""
KEY_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_DEFAULT_STORE = "sqlite:///var/crossdock.db"
_TABLES = ("server", "store", "organisations", "integrations", "masters", "links", "auth", "limits", "documents")
_SUBJECTS = {each.value: each for each in Subject}
_SYSTEMS = {each.value: each for each in System}


class Reader(Values):
    """Reads one file once."""

    def __init__(self, source: TomlSource, environ: Mapping[str, str]) -> None:
        super().__init__(source, environ)
        # of all that is named, also where the table has faults: one mistake should not look like two
        self._organisations = _names(source.tables.get("organisations"), "key") or ["default"]
        self._owners: dict[str, str] = {}
        for each in _dicts(source.tables.get("integrations")):
            if isinstance(each.get("key"), str):
                self._owners.setdefault(each["key"], str(each.get("organisation", "default")))

    def settings(self) -> Settings | None:
        """All settings, or null when there is a fault."""
        tables = self.source.tables
        self.unknown((), tables, _TABLES)
        server = self._server()
        store = self._store()
        organisations = self._each(("organisations",), tables, self._organisation, unique="key")
        integrations = self._each(("integrations",), tables, self._integration, unique="key")
        masters = self._masters(self.table(("masters",), tables.get("masters", {})))
        links = self._each(("links",), tables, self._link)
        auth = self._auth(self.table(("auth",), tables["auth"])) if "auth" in tables else None
        limits = self.struct(("limits",), self.table(("limits",), tables.get("limits", {})), model.LimitsSettings)
        documents = self._documents(self.table(("documents",), tables.get("documents", {})))
        if server is None or store is None or limits is None or documents is None or self.faults:
            return None
        return Settings(
            path=self.source.path,
            source=self.source,
            server=server,
            store=store,
            organisations=tuple(organisations) or (model.OrganisationSettings(key="default", name="Default"),),
            integrations=tuple(integrations),
            masters=masters,
            links=tuple(links),
            auth=auth,
            limits=limits,
            documents=documents,
        )

    def _documents(self, table: dict[str, Any]) -> model.DocumentsSettings | None:
        found = self.struct(("documents",), table, model.DocumentsSettings, folder=self.folder)
        if found is not None and found.only_trusted and found.folder is None:
            self.fault(("documents", "only_trusted"), "refuses everything without a folder", 'folder = "documents"')
        return found

    def _server(self) -> model.ServerSettings | None:
        path: KeyPath = ("server",)
        table = dict(self.table(path, self.source.tables.get("server", {})))
        if (host := self.environ.get("CROSSDOCK_HOST")) is not None:
            table["host"] = host
        if (port := self.environ.get("CROSSDOCK_PORT")) is not None:
            table.pop("port", None)
            if port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535:
                table["port"] = int(port)
            else:
                example = "a port from 1 to 65535, like 8000"
                self.fault(("CROSSDOCK_PORT",), f"{port!r} is no port", example, where="environment")
        found = self.struct(path, table, model.ServerSettings, cursor_key=self.secret)
        shown = table.get("host", "127.0.0.1")
        if isinstance(shown, str) and shown and not loopback(shown) and "auth" not in self.source.tables:
            self.fault(
                ("CROSSDOCK_HOST",) if host is not None else (*path, "host"),
                f"{shown} is reachable from other machines, and without [auth] everyone there may do everything",
                "127.0.0.1, or add [auth],",
                where="environment" if host is not None else None,
            )
        return found

    def _store(self) -> model.StoreSettings | None:
        table = self.table(("store",), self.source.tables.get("store", {}))
        self.unknown(("store",), table, ["url", "inbox_retention_days"])
        more: dict[str, Any] = {}
        if "inbox_retention_days" in table:
            at: KeyPath = ("store", "inbox_retention_days")
            more["inbox_retention_days"] = self.converted(at, table["inbox_retention_days"], model.Days)
        override = self.environ.get("CROSSDOCK_DATABASE_URL")
        url = override if override is not None else table.get("url", _DEFAULT_STORE)
        scheme, _, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
        if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in ("", ":memory:"):
            return model.StoreSettings(url=f"sqlite:///{self.base / rest[1:]}", **more)
        if scheme == "postgresql" and rest.strip("/"):
            return model.StoreSettings(url=url, **more)
        self.fault(  # the address itself stays out of the message: it may hold a password
            ("CROSSDOCK_DATABASE_URL",) if override is not None else ("store", "url"),
            "is no address of a store",
            "sqlite:///var/crossdock.db or postgresql://user@host/database",
            where="environment" if override is not None else None,
        )
        return None

    def _organisation(self, path: KeyPath, table: dict[str, Any]) -> model.OrganisationSettings | None:
        return self.struct(path, table, model.OrganisationSettings)

    def _integration(self, path: KeyPath, table: dict[str, Any]) -> model.IntegrationSettings | None:
        def credentials(at: KeyPath, raw: Any) -> Any:
            if table.get("enabled") is False:
                return {}  # what is switched off needs no secrets
            found = {name: self.secret((*at, name), each) for name, each in self.table(at, raw).items()}
            return WRONG if WRONG in found.values() else found

        self._organisation_known(path, table)
        return self.struct(
            path,
            table,
            model.IntegrationSettings,
            system=lambda at, raw: self.choice(at, raw, _SYSTEMS, "system"),
            base_url=self.url,
            credentials=credentials,
            settings=self.table,
        )

    def _masters(self, table: dict[str, Any]) -> dict[str, dict[Subject, str]]:
        """Subjects at the top go to the organisation of their integration; tables are organisations."""
        found: dict[str, dict[Subject, str]] = {}
        for key, value in table.items():
            path: KeyPath = ("masters", key)
            if not isinstance(value, dict):
                self._master(found, path, key, value, None)
            elif key in self._organisations:
                for subject, master in value.items():
                    self._master(found, (*path, subject), subject, master, key)
            else:
                self.fault(path, f"there is no organisation {key!r}", nearest(key, self._organisations))
        return found

    def _master(
        self, found: dict[str, dict[Subject, str]], path: KeyPath, name: str, master: Any, organisation: str | None
    ) -> None:
        subject = self.choice(path, name, _SUBJECTS, "subject")
        if subject is not WRONG and self._integration_known(path, master, organisation):
            found.setdefault(organisation or self._owners[master], {})[subject] = master

    def _link(self, path: KeyPath, table: dict[str, Any]) -> model.LinkSettings | None:
        def same(at: KeyPath, raw: Any) -> Any:
            if not isinstance(raw, list) or len(raw) < 2:
                self.fault(at, "names fewer than two things", '[{ integration = "…", number = "…" }, …]')
                return WRONG
            things = self.tables(at, raw)
            for i, each in enumerate(things):
                if "integration" in each:
                    owner = table.get("organisation", "default")
                    self._integration_known((*at, i, "integration"), each["integration"], owner)
            found = [self.struct((*at, i), each, model.Named) for i, each in enumerate(things)]
            return WRONG if None in found else tuple(found)

        self._organisation_known(path, table)
        return self.struct(
            path,
            table,
            model.LinkSettings,
            subject=lambda at, raw: self.choice(at, raw, _SUBJECTS, "subject"),
            same=same,
        )

    def _auth(self, table: dict[str, Any]) -> model.AuthSettings | None:
        self.unknown(("auth",), table, ["api_keys", "jwt"])
        if not table.get("api_keys") and "jwt" not in table:
            self.fault(("auth",), "lets nobody in", "[[auth.api_keys]] or [auth.jwt]")
            return None
        keys = self._each(("auth", "api_keys"), table, self._api_key, unique="name")
        jwt = self._jwt(self.table(("auth", "jwt"), table["jwt"])) if "jwt" in table else None
        return model.AuthSettings(api_keys=tuple(keys), jwt=jwt)

    def _api_key(self, path: KeyPath, table: dict[str, Any]) -> model.ApiKeySettings | None:
        self._organisation_known(path, table)
        rest = {name: value for name, value in table.items() if name != "key"}
        if ("key" in table) == ("sha256" in table):
            self.fault(path, "needs either sha256 or key", 'key = { env = "NAME" }, or sha256 = "…",')
            return None
        if "key" not in table:
            return self.struct(path, rest, model.ApiKeySettings, hidden=["plain"])
        secret = self.secret((*path, "key"), table["key"])
        # a key that has a fault is stood in for, so that the faults of the other fields are found too
        rest["sha256"] = hashlib.sha256(b"" if secret is WRONG else secret.reveal().encode()).hexdigest()
        found = self.struct(path, rest, model.ApiKeySettings, hidden=["plain"])
        if found is None or secret is WRONG:
            return None
        return msgspec.structs.replace(found, plain=secret.plain)

    def _jwt(self, table: dict[str, Any]) -> model.JwtSettings | None:
        path: KeyPath = ("auth", "jwt")
        given = [name for name in ("secret", "jwks_url", "jwks_file") if name in table]
        if len(given) != 1:
            some = ", ".join(given) or "none"
            self.fault(path, f"needs exactly one of secret, jwks_url and jwks_file, and has {some}", "one of them")

        def algorithms(at: KeyPath, raw: Any) -> Any:
            # one family per kind of key: a public key that is taken for an HMAC secret lets anyone sign
            allowed = tuple(HMAC_BYTES) if "secret" in table else KEY_ALGORITHMS
            names = self.converted(at, raw, model.Texts)
            wrong = [] if names is WRONG else [each for each in names if each not in allowed]
            for each in wrong:
                self.fault(at, f"{each!r} does not go with {given[0] if given else 'the key'}", nearest(each, allowed))
            return WRONG if wrong else names

        return self.struct(
            path,
            table,
            model.JwtSettings,
            algorithms=algorithms,
            secret=lambda at, raw: self._jwt_secret(at, raw, table.get("algorithms")),
            jwks_url=self._jwks_url,
            jwks_file=self.file,
        )

    def _jwt_secret(self, path: KeyPath, raw: Any, algorithms: Any) -> Any:
        """A key that is shorter than the hash can be guessed more cheaply than it (RFC 7518, 3.2)."""
        found = self.secret(path, raw)
        names = algorithms if isinstance(algorithms, list) else []
        needed = max((HMAC_BYTES[each] for each in names if each in HMAC_BYTES), default=HMAC_BYTES["HS256"])
        if found is not WRONG and (size := len(found.reveal().encode())) < needed:
            self.fault(path, f"has {size} bytes and can be guessed", f"a random secret of at least {needed} bytes")
            return WRONG
        return found

    def _jwks_url(self, path: KeyPath, raw: Any) -> Any:
        found = self.url(path, raw)
        if found is WRONG:
            return WRONG
        scheme, _, rest = found.partition("://")
        host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
        if scheme == "https" or (scheme == "http" and loopback(host)):
            return found
        self.fault(path, "keys that come over an open line can be replaced by anyone on it", "an https:// address")
        return WRONG

    # --- names ----------------------------------------------------------------------------------------

    def _each(
        self,
        path: KeyPath,
        around: Mapping[str, Any],
        read: Callable[[KeyPath, dict[str, Any]], S | None],
        *,
        unique: str | None = None,
    ) -> list[S]:
        """The good tables of an array of tables. Two with the same `unique` field are a fault."""
        raw = self.tables(path, around.get(str(path[-1]), []))
        seen: dict[Any, int] = {}
        for position, table in enumerate(raw):
            name = table.get(unique) if unique is not None else None
            if isinstance(name, str) and name in seen:
                first = self.source.line((*path, seen[name], str(unique)))
                what = f"{name!r} is taken (line {first})"
                self.fault((*path, position, str(unique)), what, "another one")
            elif isinstance(name, str):
                seen[name] = position
        found = [read((*path, position), table) for position, table in enumerate(raw)]
        return [each for each in found if each is not None]

    def _organisation_known(self, path: KeyPath, table: Mapping[str, Any]) -> None:
        name = table.get("organisation", "default")
        if isinstance(name, str) and name not in self._organisations:
            known = nearest(name, self._organisations)
            self.fault((*path, "organisation"), f"there is no organisation {name!r}", known)

    def _integration_known(self, path: KeyPath, key: Any, organisation: str | None) -> bool:
        """Whether there is such an integration, in the organisation if one is given."""
        known = [each for each, owner in self._owners.items() if organisation in (None, owner)]
        if isinstance(key, str) and key in known:
            return True
        if isinstance(key, str) and key in self._owners:
            what = f"the integration {key!r} belongs to the organisation {self._owners[key]!r}, not {organisation!r}"
        else:
            what = f"there is no integration {key!r}"
        self.fault(path, what, nearest(str(key), known))
        return False


def _dicts(raw: Any) -> list[dict[str, Any]]:
    return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []


def _names(raw: Any, field: str) -> list[str]:
    return [each[field] for each in _dicts(raw) if isinstance(each.get(field), str)]
