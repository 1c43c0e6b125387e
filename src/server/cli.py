"""The command line: `crossdock serve`, `schema`, `decode`, `doctor`, `db`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
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


def _fail(text: str) -> typer.Exit:
    print(text, file=sys.stderr)
    return typer.Exit(2)


@app.command()
def serve(config: _Config = DEFAULT) -> None:
    """Starts the server; prints its address when it is ready; Ctrl-C stops it cleanly."""
    import uvicorn

    from runtime.settings import SettingsError, load
    from runtime.telemetry import configure_logging
    from server.app import create_app
    from server.wiring import ConfigurationFault

    configure_logging(stream=sys.stderr)
    try:
        settings = load(config, os.environ)
        application = create_app(settings)
    except (SettingsError, ConfigurationFault) as fault:
        raise _fail(str(fault)) from None
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host=settings.server.host,
            port=settings.server.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            ws="websockets-sansio",
            ws_max_size=settings.server.max_body_bytes,
        )
    )
    if settings.auth is None:
        print("No [auth] in the configuration: everybody on this machine may ask (loopback only).", file=sys.stderr)

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        if server.started:
            host = f"http://{settings.server.host}:{settings.server.port}"
            print(f"Crossdock is ready: {host}/graphiql", flush=True)
        await serving

    with contextlib.suppress(KeyboardInterrupt):
        _run(run)


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs under uvloop where it is installed (there is none for Windows)."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())


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
    """Says in plain words what of the configuration works, what not, and what to do."""
    from connectors.kit.errors import ConnectorError
    from connectors.kit.services import Services
    from runtime.settings import SettingsError, load
    from server.wiring import ConfigurationFault, connect

    try:
        settings = load(config, os.environ)
        organisations = connect(settings, Services())
    except (SettingsError, ConfigurationFault) as fault:
        raise _fail(str(fault)) from None
    print(f"{config}: can be read, {len(settings.integrations)} integrations")
    for place in settings.plain_secrets():
        print(f'warning: {place} stands in the file itself; write {{ env = "NAME" }} instead')

    async def check() -> int:
        failures = 0
        for sources in organisations.values():
            for handle in sources:
                try:
                    print(f"{handle.key}: works ({await handle.connector.check()})")
                except ConnectorError as error:
                    failures += 1
                    print(f"{handle.key}: does not work: {error.message}\n  {error.hint}")
                finally:
                    await handle.connector.aclose()
        return failures

    if asyncio.run(check()):
        raise typer.Exit(1)


@db_commands.command("upgrade")
def db_upgrade(config: _Config = DEFAULT, revision: str = "head") -> None:
    """Brings the tables up to date."""
    from runtime.settings import load
    from runtime.store import upgrade

    asyncio.run(upgrade(load(config, os.environ).store.url, revision))


@db_commands.command("downgrade")
def db_downgrade(revision: str, config: _Config = DEFAULT) -> None:
    """Takes the tables back to a revision (`base` removes them)."""
    from runtime.settings import load
    from runtime.store import downgrade

    asyncio.run(downgrade(load(config, os.environ).store.url, revision))


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
