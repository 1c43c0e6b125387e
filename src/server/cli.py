"""The command line: `crossdock serve`, `schema`, `decode`, `doctor`, `scaffold`, `db`."""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="One GraphQL graph over the vendor systems that run physical operations.", no_args_is_help=True)
schema_commands = typer.Typer(help="The schema as text.", no_args_is_help=True)
db_commands = typer.Typer(help="The store's tables.", no_args_is_help=True)
app.add_typer(schema_commands, name="schema")
catalogue_commands = typer.Typer(help="What Crossdock can do with each vendor system.", no_args_is_help=True)
app.add_typer(db_commands, name="db")
app.add_typer(catalogue_commands, name="catalogue")

_Config = Annotated[Path, typer.Option("--config", help="The configuration file.", envvar="CROSSDOCK_CONFIG")]
DEFAULT = Path("crossdock.toml")
OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""Few enough that one collection holds up nobody: of 50,000 objects that a flood has left, it takes 80 ms."""


def _fail(text: str) -> typer.Exit:
    print(text, file=sys.stderr)
    return typer.Exit(2)


@contextlib.contextmanager
def _made_to_last() -> Iterator[None]:
    """What is made inside lives as long as the process: the collector does not look at it, now or later.

    Looking through it again and again costs a fifth of the start, and a quarter of each large answer.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    finally:
        gc.enable()


@app.command()
def serve(config: _Config = DEFAULT) -> None:
    """Starts the server; prints its address when it is ready; Ctrl-C stops it cleanly."""
    with _made_to_last():
        from runtime.settings import SettingsError, load
        from runtime.telemetry import configure_logging, logger
        from server import serving
        from server.app import create_app
        from server.wiring import ConfigurationFault

        configure_logging(stream=sys.stderr)
        try:
            settings = load(config, os.environ)
            application = create_app(settings)
        except (SettingsError, ConfigurationFault) as fault:
            raise _fail(str(fault)) from None

    def ready(address: str) -> None:
        if settings.auth is None:
            print("No [auth] in the configuration: everybody on this machine may ask (loopback only).", file=sys.stderr)
        print(f"Crossdock is ready: {address}/graphiql", flush=True)

    try:
        serving.run(lambda: serving.serve(application, settings, log=logger(), ready=ready))
    except serving.CannotServe as fault:
        raise _fail(str(fault)) from None


def _schema_text() -> str:
    from graph.schema import make_schema

    return make_schema().as_str().rstrip() + "\n"


@schema_commands.command("export")
def schema_export(into: Annotated[Path, typer.Argument(help="File to write.")] = Path("schema.graphql")) -> None:
    """Writes the schema."""
    into.write_text(_schema_text())


@schema_commands.command("diff")
def schema_diff(
    against: Annotated[Path, typer.Argument(help="File to compare with.")] = Path("schema.graphql"),
) -> None:
    """Compares the schema with a file; exit status 1 and the differing lines when they differ."""
    import difflib

    kept = against.read_text() if against.exists() else ""
    lines = list(
        difflib.unified_diff(kept.splitlines(), _schema_text().splitlines(), str(against), "the code", lineterm="")
    )
    if lines:
        print("\n".join(lines))
        raise typer.Exit(1)


_Pages = Annotated[Path, typer.Argument(help="Folder of the systems' pages.")]


@catalogue_commands.command("write")
def catalogue_write(folder: _Pages = Path("docs/systems")) -> None:
    """Renews the generated part of the systems' pages."""
    from server import catalogue_docs

    for path in catalogue_docs.renew(folder, write=True):
        print(f"{path}: written")


@catalogue_commands.command("check")
def catalogue_check(folder: _Pages = Path("docs/systems")) -> None:
    """Compares the systems' pages with the connectors; exit status 1 when one is out of date."""
    from server import catalogue_docs

    stale = catalogue_docs.renew(folder, write=False)
    for path in stale:
        print(f"{path}: not what the connector says; run `crossdock catalogue write`")
    if stale:
        raise typer.Exit(1)


@app.command()
def decode(
    system: Annotated[str, typer.Argument(help="The vendor system, such as `traccar`.")],
    file: Annotated[str, typer.Argument(help="The payload; `-` for standard input.")] = "-",
    as_kind: Annotated[str | None, typer.Option("--as", help="What kind of payload it is; see --list.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="A header of the answer: 'Content-Type: text/xml'.")] = None,
    status: Annotated[int, typer.Option(help="HTTP status of the answer.")] = 200,
    list_kinds: Annotated[bool, typer.Option("--list", help="Lists the kinds of payload.")] = False,
) -> None:
    """Shows what Crossdock makes of a vendor's payload, one JSON object per line."""
    from connectors.kit.registry import connector_class
    from server import decoding
    from unified.values import System

    try:
        manifest = connector_class(System(system)).manifest
    except ValueError:
        raise _fail(f"there is no system {system!r}; write one of {', '.join(each.value for each in System)}") from None
    except ModuleNotFoundError:
        raise _fail(f"the connector of {system} is not part of this installation") from None
    if list_kinds:
        for decoder in manifest.decoders:
            print(f"{decoder.name:32} {decoder.description}")
        return
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as fault:
        raise _fail(f"{file}: cannot be read ({fault.strerror})") from None
    lines, readable = decoding.decode(manifest, body, as_kind=as_kind, headers=header or [], status=status)
    for line in lines:
        print(line)
    if not readable:
        raise typer.Exit(2)


@app.command()
def doctor(config: _Config = DEFAULT) -> None:
    """Says in plain words what of the configuration works, what not, and what to do; status 1 when something fails."""
    from runtime.settings import load
    from server.doctor import examine

    def show(line: str) -> None:
        print(line, flush=True)

    if not asyncio.run(examine(lambda: load(config, os.environ), show, name=str(config))):
        raise typer.Exit(1)


@app.command()
def scaffold(
    name: Annotated[str, typer.Argument(help="Name of the vendor system, such as `acme-fleet`.")],
    title: Annotated[str | None, typer.Option(help="Its name for people; default: made from NAME.")] = None,
    kind: Annotated[str, typer.Option(help="What it has: `vehicles`, `orders`, `items`, `equipment`, …")] = "vehicles",
) -> None:
    """Makes a connector for a new vendor system, with stand-in, tests, samples and docs. Needs a checkout."""
    from server.scaffold import ScaffoldFault
    from server.scaffold import scaffold as make

    try:
        files = make(name, title=title, kind=kind)
    except ScaffoldFault as fault:
        raise _fail(str(fault)) from None
    print("\n".join(str(each) for each in files))
    package = name.replace("-", "_")
    print(
        f"\n{name} works against its stand-in: run `make run`, `make check`, and\n"
        f"  python -m pytest tests/connectors/test_{package}.py tests/connectors/test_{package}_samples.py "
        f"tests/sandbox/test_{package}.py\n"
        f"Then read docs/adding-a-system.md, and bend what `grep -rn Bend src/connectors/{package} sandbox/{package} "
        f"tests` shows."
    )


@db_commands.command("upgrade")
def db_upgrade(config: _Config = DEFAULT, revision: str = "head") -> None:
    """Brings the tables up to date."""
    from runtime.store import upgrade

    _migrate(config, revision, upgrade)


@db_commands.command("downgrade")
def db_downgrade(revision: str, config: _Config = DEFAULT) -> None:
    """Takes the tables back to a revision (`base` removes them)."""
    from runtime.store import downgrade

    _migrate(config, revision, downgrade)


def _migrate(config: Path, revision: str, way: Callable[[str, str], Coroutine[Any, Any, None]]) -> None:
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    from runtime.settings import SettingsError, load
    from runtime.store import current

    async def migrate(url: str) -> str | None:
        await way(url, revision)
        return await current(url)

    try:
        reached = asyncio.run(migrate(load(config, os.environ).store.url))
    except (SettingsError, CommandError) as fault:
        raise _fail(str(fault)) from None
    except (DBAPIError, OSError) as fault:
        raise _fail(f"the database cannot be opened: {getattr(fault, 'orig', None) or fault}") from None
    print(f"the tables are at revision {reached}" if reached else "there are no tables any more")


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
