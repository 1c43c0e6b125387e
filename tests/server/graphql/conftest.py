"""One server in process, over the sandbox's Teamcenter; no authenticator, so everybody on this machine may ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from asgi_lifespan import LifespanManager
from starlette.applications import Starlette

from runtime.settings import load
from sandbox import teamcenter
from sandbox.world import World
from server.app import create_app

CONFIG = """
[server]
allowed_origins = ["https://front.example"]
[store]
url = "sqlite:///crossdock.db"
[[integrations]]
key = "plm"
system = "teamcenter"
base_url = "http://vendor"
[integrations.credentials]
user = "sandbox"
password = "sandbox-teamcenter"
[integrations.settings]
time_zone = "Africa/Lagos"
"""


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Starlette]:
    async with served(tmp_path, CONFIG) as made:
        yield made


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(app) as made:
        yield made


@asynccontextmanager
async def served(folder: Path, config: str) -> AsyncIterator[Starlette]:
    path = folder / "crossdock.toml"
    path.write_text(config)
    plm = teamcenter.create(World())
    made = create_app(load(path, {}), transports={"plm": httpx.ASGITransport(app=plm.app)}, live=False)
    async with LifespanManager(made):
        yield made


def asking(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")
