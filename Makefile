# `make run` and `make test` need nothing but Python 3.11+; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := src

.PHONY: run test check format peers web schema clean

.venv/.installed: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("Crossdock needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

run: .venv/.installed web ## everything up on the sandbox, GraphiQL in the browser
	$(BIN)/python -m sandbox.start

test: .venv/.installed ## the whole suite but the heavy peers
	$(BIN)/python -m pytest -m "not peers" -n 2

peers: .venv/.installed web ## third-party peers and the browser
	$(BIN)/python -m pytest -m peers --timeout 600

web: .venv/.installed
	$(BIN)/python web/build.py

check: .venv/.installed ## lint, types, layers, schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests sandbox
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m server.cli schema diff

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format src tests sandbox

schema: .venv/.installed
	$(BIN)/python -m server.cli schema export

clean:
	rm -rf .venv var src/server/static
