"""Finds the stand-ins by name and puts them together into one application."""

import contextlib
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

import sandbox
from sandbox.control import Control
from sandbox.standin import StandIn
from sandbox.world import World

MODULES: Final = tuple(
    sorted(found.name for found in pkgutil.iter_modules(sandbox.__path__) if found.ispkg and found.name != "world")
)
"""The packages beside this module. Each has `create(world, **options)`, which gives a stand-in or a list of them."""


def load(
    world: World,
    options: Mapping[str, Mapping[str, Any]],
    *,
    modules: Sequence[str] = MODULES,
    missing: Callable[[str], None] | None = None,
) -> list[StandIn]:
    """`options[""]` goes to every module, `options["tak"]` to that one only.

    A module that does not exist is told to `missing` and left out; one that fails to import raises.
    """
    found: list[StandIn] = []
    for name in modules:
        full = f"sandbox.{name}"
        try:
            module = importlib.import_module(full)
        except ModuleNotFoundError as exc:
            if exc.name != full or missing is None:
                raise
            missing(name)
            continue
        made: StandIn | list[StandIn] = module.create(world, **{**options.get("", {}), **options.get(name, {})})
        found += made if isinstance(made, list) else [made]
    return found


def application(stand_ins: Sequence[StandIn]) -> Starlette:
    """Every stand-in under its prefix, with the control endpoints; its lifespan starts and stops them.

    Raises:
        ValueError: two stand-ins have the same name.
    """
    names = [one.name for one in stand_ins]
    if len(set(names)) != len(names):
        raise ValueError(f"stand-ins with the same name: {', '.join(sorted(names))}")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for one in stand_ins:
                stack.push_async_callback(one.stop)
                await one.start()
            yield

    routes: list[BaseRoute] = [*Control(stand_ins).routes]
    routes += [Mount(f"/{one.name}", one.app) for one in stand_ins if one.mounted]
    return Starlette(routes=routes, lifespan=lifespan)
