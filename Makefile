# Each target is enough alone on a machine that has Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test slow lint bench ggr scoreboard lowest docs clean

demo: $(VENV)/.installed
	$(BIN)/pairs-bt run

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow"

slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow
	$(BIN)/python benchmarks/mutants.py
	$(MAKE) lowest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/bench.py --markdown --out bench.json

# Fetches two public sets of prices (the one target that needs the network beside pip), then tests and prints on them.
ggr: $(VENV)/.installed-test
	$(BIN)/python -m pip download --quiet --no-deps universal-portfolios --dest build/universal-portfolios
	UNIVERSAL_PORTFOLIOS="$$(ls -d "$$PWD"/build/universal-portfolios/*.whl | tail -n 1)" && \
	export UNIVERSAL_PORTFOLIOS && $(BIN)/python -m pytest -n 0 tests/models/test_distance.py && \
	$(BIN)/python benchmarks/published/ggr.py

# SCOREBOARD=--quick takes two or three minutes instead of ten.
scoreboard: $(VENV)/.installed-test
	$(BIN)/python benchmarks/scoreboard.py $(SCOREBOARD)

# The tests at the lowest versions that pyproject.toml allows, in an environment of their own; TESTS=tests/runs/test_run.py for some.
LOWEST := build/lowest
lowest: $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	mkdir -p build
	$(BIN)/uv pip compile --quiet pyproject.toml --extra test --resolution lowest-direct \
		--python-version "$$($(BIN)/python -c 'import platform; print(platform.python_version())')" --output-file build/lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --requirement build/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --no-deps --editable .
	$(LOWEST)/bin/python -m pytest -m "not slow" $(TESTS)

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs site

clean:
	rm -rf $(VENV) build dist site jupyter_execute docs/api docs/gallery docs/notebooks .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@ $(VENV)/.installed-docs $(VENV)/.installed

$(VENV)/.installed-docs: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/.installed-docs $(VENV)/.installed-test $(VENV)/.installed
