# `make run` and `make test` need nothing but Python 3.11+; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := src

.PHONY: run test check format peers conformance mutations bench scaffold web schema lock clean

.venv/.installed: pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit("Crossdock needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo "Crossdock installs what it needs into .venv, about a minute with a good network; later runs start at once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

run: .venv/.installed web ## everything up on the sandbox, GraphiQL in the browser
	$(BIN)/python -m sandbox.start

test: .venv/.installed ## the whole suite but the heavy peers
	$(BIN)/python -m pytest -m "not peers" -n 2

peers: .venv/.installed web ## third-party peers and the browser
	$(BIN)/python -m pytest -m peers --timeout 600

conformance: .venv/.installed web ## public GraphQL suites
	$(BIN)/python -m tests.conformance $(only)

mutations: .venv/.installed ## whether those suites find seeded faults; `make mutations only=socket` for some
	$(BIN)/python -m tests.conformance.mutations $(only)

bench: .venv/.installed ## figures, each beside its target; `make bench only="cold_start"` for some
	$(BIN)/python -m bench $(only)

scaffold: .venv/.installed ## a new vendor system: make scaffold system=acme-wms [title="Acme WMS"] [kind=orders]
	$(BIN)/python -m server.cli scaffold $(system) $(if $(title),--title "$(title)") $(if $(kind),--kind $(kind))

web: .venv/.installed
	$(BIN)/python web/build.py

check: .venv/.installed ## lint, types, layers, dependencies, schema, pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests sandbox bench
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/deptry . --no-ansi
	$(BIN)/python -m server.cli schema diff
	$(BIN)/python -m server.cli catalogue check

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format src tests sandbox bench

schema: .venv/.installed ## renews schema.graphql and the made part of docs/systems
	$(BIN)/python -m server.cli schema export
	$(BIN)/python -m server.cli catalogue write

lock: ## renews the locks; needs uv
	uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --group dev --group web --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header --no-annotate -o requirements-dev.lock

clean:
	rm -rf .venv var src/server/static
