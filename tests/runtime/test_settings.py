"""Settings: what a good file becomes, and how a wrong one is refused."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from runtime.settings import (
    ApiKeySettings,
    JwtSettings,
    LinkSettings,
    Named,
    OrganisationSettings,
    SecretText,
    ServerSettings,
    Settings,
    SettingsError,
    load,
)
from runtime.toml_source import TomlSource
from unified.keys import Subject
from unified.values import System

GOOD = """
[server]
port = 9000
cursor_key = { env = "CURSOR_KEY" }

[[organisations]]
key = "acme"
name = "Acme"

[[organisations]]
key = "zeta"
name = "Zeta"

[[integrations]]
key = "ewm-west"
system = "sap-ewm"
organisation = "acme"
base_url = "https://sap.example:44300"
deadline_seconds = 4
rate_per_second = 2.5

[integrations.credentials]
user = "reader"
password = { file = "secrets/password" }

[integrations.settings]
warehouses = ["1710"]

[[integrations]]
key = "plm"
system = "teamcenter"
organisation = "acme"
credentials = { password = { env = "PLM_PASSWORD" } }

[[integrations]]
key = "fleet"
system = "traccar"
organisation = "zeta"
enabled = false
credentials = { token = { env = "NOT_SET" } }

[masters]
ITEM = "plm"

[masters.zeta]
VEHICLE = "fleet"

[[links]]
subject = "ITEM"
organisation = "acme"
same = [
  { integration = "ewm-west", number = "000123" },
  { integration = "plm", number = "ASM-77120" },
]

[[auth.api_keys]]
name = "robot"
organisation = "acme"
key = { env = "ROBOT_KEY" }

[auth.jwt]
issuer = "https://id.example"
audience = "crossdock"
algorithms = ["RS256"]
jwks_url = "https://id.example/keys"
"""
ENVIRONMENT = {"CURSOR_KEY": "cursor", "PLM_PASSWORD": "plm-password", "ROBOT_KEY": "robot-key"}


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    file = tmp_path / "crossdock.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


def faults(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The faults, with the folder taken out."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, environ)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return [each.replace(f"{tmp_path}/", "") for each in caught.value.faults]


def test_without_a_file_there_are_defaults() -> None:
    settings = load(None, {})
    assert settings.server == ServerSettings(
        host="127.0.0.1", port=8_000, webhook_max_bytes=2**20, max_body_bytes=2**20
    )
    assert settings.store.url == f"sqlite:///{Path.cwd()}/var/crossdock.db"
    assert settings.organisations == (OrganisationSettings(key="default", name="Default"),)
    assert (settings.integrations, settings.masters, settings.links, settings.auth) == ((), {}, (), None)


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/password").write_text("from-file\n")
    settings = read(tmp_path, GOOD, ENVIRONMENT)
    assert settings.server == ServerSettings(port=9_000, cursor_key=SecretText("cursor"))
    assert [each.key for each in settings.organisations] == ["acme", "zeta"]
    west, plm, fleet = settings.integrations
    assert (west.system, west.base_url, west.deadline_seconds) == (System.SAP_EWM, "https://sap.example:44300", 4.0)
    assert (west.rate_per_second, west.poll_seconds) == (2.5, 15.0)
    assert west.credentials == {"user": SecretText("reader"), "password": SecretText("from-file")}
    assert west.settings == {"warehouses": ["1710"]}
    assert plm.credentials["password"].reveal() == "plm-password"
    assert (fleet.enabled, fleet.credentials) == (False, {})
    assert settings.integrations_of("acme") == (west, plm)
    assert settings.integrations_of("zeta") == ()
    assert settings.masters == {"acme": {Subject.ITEM: "plm"}, "zeta": {Subject.VEHICLE: "fleet"}}
    assert settings.masters_of("plm") == frozenset({"ITEM"})
    assert settings.masters_of("ewm-west") == frozenset()
    assert settings.links == (
        LinkSettings(
            subject=Subject.ITEM,
            organisation="acme",
            same=(Named(integration="ewm-west", number="000123"), Named(integration="plm", number="ASM-77120")),
        ),
    )
    assert settings.auth is not None
    robot = hashlib.sha256(b"robot-key").hexdigest()
    assert settings.auth.api_keys == (
        ApiKeySettings(name="robot", organisation="acme", scopes=("read",), sha256=robot),
    )
    assert settings.auth.jwt == JwtSettings(
        issuer="https://id.example", audience="crossdock", algorithms=("RS256",), jwks_url="https://id.example/keys"
    )
    assert settings.plain_secrets() == ["integrations.ewm-west.credentials.user"]


def test_secrets_show_themselves_nowhere(tmp_path: Path) -> None:
    text = """
store = { url = "postgresql://me:hidden-1@db.example/crossdock" }
[server]
cursor_key = "hidden-2"
[[auth.api_keys]]
name = "robot"
key = "hidden-3"
[auth.jwt]
issuer = "i"
audience = "a"
algorithms = ["HS256"]
secret = "hidden-4-of-at-least-32-bytes-long"
"""
    settings = read(tmp_path, text)
    assert "hidden" not in repr(settings)
    assert repr(settings.store) == "StoreSettings(url='postgresql://db.example/crossdock')"
    assert f"{settings.server.cursor_key}" == "SecretText(***)"
    assert settings.plain_secrets() == ["server.cursor_key", "auth.api_keys.robot.key", "auth.jwt.secret"]


def test_the_environment_has_the_last_word(tmp_path: Path) -> None:
    environ = {"CROSSDOCK_PORT": "81", "CROSSDOCK_HOST": "localhost", "CROSSDOCK_DATABASE_URL": "postgresql://me@db/x"}
    settings = read(tmp_path, '[server]\nport = 9\nhost = "::1"\n[store]\nurl = "sqlite:///a.db"', environ)
    assert (settings.server.port, settings.server.host) == (81, "localhost")
    assert settings.store.url == "postgresql://me@db/x"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, '[store]\nurl = "sqlite:///a/b.db"').store.url == f"sqlite:///{tmp_path}/a/b.db"
    assert read(tmp_path, '[store]\nurl = "sqlite:////a/b.db"').store.url == "sqlite:////a/b.db"
    (tmp_path / "keys.json").write_text("{}")
    jwt = '[auth.jwt]\nissuer="i"\naudience="a"\nalgorithms=["ES256"]\njwks_file="keys.json"'
    auth = read(tmp_path, jwt).auth
    assert auth is not None
    assert auth.jwt is not None
    assert auth.jwt.jwks_file == tmp_path / "keys.json"


def test_every_fault_is_listed_with_its_line_and_a_way_out(tmp_path: Path) -> None:
    text = """\
[server]
prot = 9
port = "x"
host = "0.0.0.0"
introspection = 1
[store]
url = "mysql://me:hidden@db/x"
[[integrations]]
key = "plm"
system = "teamcentre"
[integrations.credentials]
password = { env = "NOPE" }
token = { file = "absent" }
pin = ""
[[integrations]]
key = "plm"
system = "traccar"
organisation = "acme"
deadline_seconds = -1
base_url = "https://me:hidden@vendor.example"
[[integrations]]
key = "West"
[masters]
ITEM = "plmm"
TRUCK = "plm"
[masters.acme]
ITEM = "plm"
[[links]]
subject = "ITEM"
same = [
  { integration = "plm", number = "1" },
  { integration = "zzz", number = "" },
]
[[links]]
subject = "ITEM"
same = []
[unheard]
"""
    known = ", ".join(each.value for each in System)
    key = 'write 1 to 40 of a-z, 0-9 and -, starting with a letter, like "ewm-west" instead'
    form = '{ env = "NAME" } or { file = "/run/secrets/name" }'
    assert faults(tmp_path, text) == [
        "crossdock.toml:37: unheard: there is no such key; "
        "write one of server, store, organisations, integrations, masters, links, auth, limits, documents instead",
        "crossdock.toml:2: server.prot: there is no such key; "
        f"write port (known: {', '.join(ServerSettings.__struct_fields__)}) instead",
        "crossdock.toml:3: server.port: must be a number, not a text; write a port from 1 to 65535, like 8000 instead",
        "crossdock.toml:5: server.introspection: must be true or false, not a number; write true or false instead",
        "crossdock.toml:4: server.host: 0.0.0.0 is reachable from other machines, and without [auth] everyone there "
        "may do everything; write 127.0.0.1, or add [auth], instead",
        "crossdock.toml:7: store.url: is no address of a store; "
        "write sqlite:///var/crossdock.db or postgresql://user@host/database instead",
        "crossdock.toml:16: integrations[2].key: 'plm' is taken (line 9); write another one instead",
        "crossdock.toml:10: integrations[1].system: there is no system 'teamcentre'; "
        f"write teamcenter (known: {known}) instead",
        "crossdock.toml:12: integrations[1].credentials.password: the environment variable NOPE is not set; "
        "write export NOPE=…, or another name instead",
        "crossdock.toml:13: integrations[1].credentials.token: the file absent cannot be read (No such file or "
        "directory); write the path of a file instead",
        f"crossdock.toml:14: integrations[1].credentials.pin: the secret is empty; write {form} instead",
        "crossdock.toml:18: integrations[2].organisation: there is no organisation 'acme'; "
        "write one of default instead",
        "crossdock.toml:20: integrations[2].base_url: has credentials in it, and addresses are logged; "
        "write an address like https://vendor.example, with the rest in credentials instead",
        "crossdock.toml:19: integrations[2].deadline_seconds: must be a number > 0.0; write seconds above 0, like 10 "
        "instead",
        f"crossdock.toml:22: integrations[3].key: must be a text matching regex '^[a-z][a-z0-9-]{{0,39}}$'; {key}",
        "crossdock.toml:21: integrations[3]: system is missing; write system = … instead",
        "crossdock.toml:24: masters.ITEM: there is no integration 'plmm'; write plm (known: plm, West) instead",
        "crossdock.toml:25: masters.TRUCK: there is no subject 'TRUCK'; "
        "write one of ITEM, VEHICLE, ORDER, EQUIPMENT instead",
        "crossdock.toml:26: masters.acme: there is no organisation 'acme'; write one of default instead",
        "crossdock.toml:30: links[1].same[2].integration: there is no integration 'zzz'; "
        "write one of plm, West instead",
        "crossdock.toml:30: links[1].same[2].number: must be a text of length >= 1; "
        "write a text that is not empty instead",
        'crossdock.toml:36: links[2].same: names fewer than two things; write [{ integration = "…", number = "…" }, …] '
        "instead",
    ]


AUTH = '[auth.jwt]\nissuer = "i"\naudience = "a"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[auth]", "crossdock.toml:1: auth: lets nobody in; write [[auth.api_keys]] or [auth.jwt] instead"),
        (
            f'{AUTH}algorithms = ["HS256"]\nsecret = "short"',
            "crossdock.toml:5: auth.jwt.secret: has 5 bytes and can be guessed; "
            "write a random secret of at least 32 bytes instead",
        ),
        (
            f'{AUTH}algorithms = ["HS512"]\nsecret = "{"x" * 63}"',
            "crossdock.toml:5: auth.jwt.secret: has 63 bytes and can be guessed; "
            "write a random secret of at least 64 bytes instead",
        ),
        (
            f'{AUTH}algorithms = ["none"]\njwks_url = "https://id.example"',
            "crossdock.toml:4: auth.jwt.algorithms: 'none' does not go with jwks_url; "
            "write one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 instead",
        ),
        (
            f'{AUTH}algorithms = ["RS256"]\nsecret = "{"x" * 64}"',
            "crossdock.toml:4: auth.jwt.algorithms: 'RS256' does not go with secret; "
            "write HS256 (known: HS256, HS384, HS512) instead",
        ),
        (
            f'{AUTH}algorithms = ["RS256"]',
            "crossdock.toml:1: auth.jwt: needs exactly one of secret, jwks_url and jwks_file, and has none; "
            "write one of them instead",
        ),
        (
            f'{AUTH}algorithms = ["RS256"]\njwks_url = "http://id.example/keys"',
            "crossdock.toml:5: auth.jwt.jwks_url: keys that come over an open line can be replaced by anyone on it; "
            "write an https:// address instead",
        ),
        (
            f'{AUTH}algorithms = ["RS256"]\njwks_url = "https://id.example"\nleeway_seconds = 61',
            "crossdock.toml:6: auth.jwt.leeway_seconds: must be a number <= 60; write 0 to 60 seconds, like 30 instead",
        ),
        (
            '[[auth.api_keys]]\nname = "x"',
            'crossdock.toml:1: auth.api_keys[1]: needs either sha256 or key; write key = { env = "NAME" }, '
            'or sha256 = "…", instead',
        ),
        (
            '[[auth.api_keys]]\nname = "x"\nsha256 = "abc"',
            "crossdock.toml:3: auth.api_keys[1].sha256: must be a text matching regex '^[0-9a-f]{64}$'; "
            "write the SHA-256 of the key as 64 hexadecimal digits in lower case instead",
        ),
        (
            '[[auth.api_keys]]\nname = "x"\nkey = "k"\nplain = true',
            "crossdock.toml:4: auth.api_keys[1].plain: there is no such key; "
            "write one of name, organisation, scopes, sha256 instead",
        ),
        ("server = 7", "crossdock.toml:1: server: is a number, not a table; write a table instead"),
        (
            "[integrations]\nkey = 'x'",
            "crossdock.toml:1: integrations: is a table, not a list of tables; write [[integrations]] instead",
        ),
        (
            "[server]\ncursor_key = { en = 'X' }",
            "crossdock.toml:2: server.cursor_key: is a table, not a secret; "
            'write { env = "NAME" } or { file = "/run/secrets/name" } instead',
        ),
    ],
)
def test_a_fault_says_what_to_write(tmp_path: Path, text: str, expected: str) -> None:
    assert faults(tmp_path, text) == [expected]


def test_an_integration_of_another_organisation_cannot_be_named(tmp_path: Path) -> None:
    text = """\
organisations = [{ key = "acme", name = "A" }, { key = "zeta", name = "Z" }]
integrations = [
  { key = "plm", system = "teamcenter", organisation = "acme" },
  { key = "ewm", system = "sap-ewm", organisation = "zeta" },
]
masters = { acme = { ITEM = "ewm" } }
"""
    assert faults(tmp_path, text) == [
        "crossdock.toml:6: masters.acme.ITEM: the integration 'ewm' belongs to the organisation 'zeta', not 'acme'; "
        "write one of plm instead"
    ]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"CROSSDOCK_PORT": "http"},
            "CROSSDOCK_PORT: 'http' is no port; write a port from 1 to 65535, like 8000 instead",
        ),
        (
            {"CROSSDOCK_DATABASE_URL": "sqlite://"},
            "CROSSDOCK_DATABASE_URL: is no address of a store; "
            "write sqlite:///var/crossdock.db or postgresql://user@host/database instead",
        ),
        (
            {"CROSSDOCK_HOST": "0.0.0.0"},
            "CROSSDOCK_HOST: 0.0.0.0 is reachable from other machines, and without [auth] everyone there may do "
            "everything; write 127.0.0.1, or add [auth], instead",
        ),
    ],
)
def test_a_wrong_environment_is_refused(environ: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, environ)
    assert caught.value.faults == (f"environment: {expected}",)


def test_with_auth_the_server_may_be_reachable(tmp_path: Path) -> None:
    text = f'[server]\nhost = "0.0.0.0"\n[[auth.api_keys]]\nname = "x"\nsha256 = "{"a" * 64}"'
    assert read(tmp_path, text).server.host == "0.0.0.0"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "absent.toml", {})
    assert caught.value.faults == (
        f"{tmp_path}/absent.toml: cannot be read (No such file or directory); "
        "write the path of a crossdock.toml instead",
    )
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(SettingsError, match=r"is not UTF-8; save the file as UTF-8 instead$"):
        load(tmp_path / "latin.toml", {})


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "[server]\nport = \n")
    assert (
        fault == "crossdock.toml:2: is not TOML: Invalid value (at line 2, column 8); write key = value lines instead"
    )


def test_lines_are_found_past_comments_and_long_values() -> None:
    text = '''\
# [server]
a.b = """
c = 1
"""
list = [
  "]", # ]
  { x = 1 },
]
[[t]]
k = "# no [comment"
[t.u]
"v w" = 1
[[t]]
k = 2
'''
    source = TomlSource(Path("x.toml"), text)
    lines = {path: source.line(path) for path in [("a", "b"), ("c",), ("list", 1, "x"), ("t", 0, "k"), ("t", 1, "k")]}
    assert lines == {("a", "b"): 2, ("c",): 1, ("list", 1, "x"): 5, ("t", 0, "k"): 10, ("t", 1, "k"): 14}
    assert source.where(("t", 0, "u", "v w")) == "x.toml:12"
