#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox"]
# ///
"""Tasks in environments of their own: `nox -s NAME`, or `nox` for lint and tests; `make` uses one environment."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Run ruff and mypy."""
    session.install("-e.[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, by default without the slow ones: `nox -s tests-3.13 -- tests/runs/test_run.py`."""
    session.install("-e.[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", "not slow"]))


@nox.session(python="3.11", venv_backend="uv", default=False)
def lowest(session: nox.Session) -> None:
    """Run the tests at the lowest versions that pyproject.toml allows."""
    session.install("-e.[test]", "--resolution=lowest-direct")
    session.run("python", "-m", "pytest", *(session.posargs or ["-m", "not slow"]))


@nox.session(python="3.11", default=False)
def docs(session: nox.Session) -> None:
    """Build the site; warnings are errors."""
    session.install("-e.[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "site")


@nox.session(python="3.11", default=False)
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/."""
    session.install("build")
    session.run("python", "-m", "build")


if __name__ == "__main__":
    nox.main()
