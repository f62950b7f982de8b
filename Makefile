# Each target is enough alone on a machine that has Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test slow lint bench ggr scoreboard clean

demo: $(VENV)/.installed
	$(BIN)/pairs-bt run

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow"

slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

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
	$(BIN)/python benchmarks/ggr.py

# SCOREBOARD=--quick takes two or three minutes instead of ten.
scoreboard: $(VENV)/.installed-test
	$(BIN)/python benchmarks/scoreboard.py $(SCOREBOARD)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/.installed-test $(VENV)/.installed
