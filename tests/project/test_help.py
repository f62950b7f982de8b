"""What `help()` says of every public name: sections in their places, and an example that runs as it is printed."""

from __future__ import annotations

import doctest
import inspect
import re

import pytest

import pairs_bt

NAMES = sorted(pairs_bt.__all__)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
# Made by a function whose own help has the example.
MADE_ELSEWHERE = {"PairStudy", "Run"}


def public(name: str) -> object:
    """What a name stands for; a package that is called stands for its function."""
    thing = getattr(pairs_bt, name)
    return thing.__wrapped__ if inspect.ismodule(thing) else thing


def sections(text: str) -> list[str]:
    return re.findall(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_public_name_has_its_sections(name: str) -> None:
    text = inspect.getdoc(public(name)) or ""
    found = sections(text)
    summary = text.split("\n\n")[0].strip()
    assert summary.endswith("."), summary
    assert {"Parameters", "Attributes"} & set(found), found
    assert "See Also" in found
    if not inspect.isclass(public(name)):
        assert {"Returns", "Raises"} <= set(found), found
    assert "Examples" in found or name in MADE_ELSEWHERE


def test_sections_are_told_from_prose() -> None:
    assert sections("Sum.\n\nReturns\n-------\nfloat\n") == ["Returns"]
    assert sections("Sum.\n\nReturns ------- float") == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MADE_ELSEWHERE])
def test_the_example_runs_as_it_is_printed(name: str) -> None:
    thing = public(name)
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    assert examples
    case = doctest.DocTest(examples, {"pairs_bt": pairs_bt, name: thing}, name, None, None, None)
    said: list[str] = []
    found = doctest.DocTestRunner(optionflags=FLAGS).run(case, out=said.append)
    assert found.failed == 0, "".join(said)
