"""`python -m tests.conformance.products`: Crossdock's server, without any integration, over the tests' schema."""

import sys
import tempfile
from pathlib import Path

from runtime.settings import load
from runtime.telemetry import configure_logging, logger
from sandbox.elsewhere import free_ports
from server import app, serving
from tests.conformance.products.schema import make_schema

configure_logging(stream=sys.stderr)
with tempfile.TemporaryDirectory() as folder:
    config = Path(folder) / "crossdock.toml"
    [port] = free_ports(1)
    config.write_text(f'[server]\nport = {port}\nfederated_tracing = true\n[store]\nurl = "sqlite:///crossdock.db"\n')
    settings = load(config, {})
    app.make_schema = make_schema
    application = app.create_app(settings, live=False)

    def ready(address: str) -> None:
        print(f"ready {address}/graphql", flush=True)

    serving.run(lambda: serving.serve(application, settings, log=logger(), ready=ready))
