"""Reading configs: TOML, overrides, and errors that name everything at once.

The reader works on dictionaries of tables; the class that they become is handed to it.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pairs_bt.common.paths import expanded
from pairs_bt.common.periods import UNIT_DAYS, split_period
from pairs_bt.config.hedge_rule_names import FILTER_RULES
from pairs_bt.errors import ConfigError, PairsError

Model = TypeVar("Model", bound=BaseModel)

MAX_CONFIG_BYTES = 1_000_000
_BORROW = (("data", "path"), ("execution", "borrow_table"))
#: Keys whose value may be a path: two configs that name files of one name and content are one.
PATH_KEYS = (("data", "path"), ("universe", "membership"), ("universe", "pairs"), ("execution", "borrow_table"))


_NO_TABLE = ("model_type", "model_attributes_type")
_EXAMPLES = {"hedge.variants": "dynamic", "hedge.rehedge": "never", "selection.tests": "engle_granger"}


def builtin(name: str) -> Path:
    """Path of a config that travels with the package: `configs/` of a clone, or the wheel's copy."""
    root = Path(str(files("pairs_bt")))
    for folder in (root / "assets" / "configs", root.parent / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"The built-in config {name!r} is missing from this installation: install pairs-bt again.")


def load_config(
    model: type[Model], path: str | Path | None, overrides: Sequence[str] = (), *, own_prices: bool = False
) -> Model:
    """Read, override and check a config file as a `model` (see :meth:`pairs_bt.Config.load`).

    With `own_prices` the prices are given in memory: without a file, the demo's dates are not theirs.
    """
    overrides = as_list(overrides)
    prices = None if path is None else price_source(path)
    if prices is not None:
        # A price file where a config stands: the demo's method on it.
        path, overrides, own_prices = None, [f"data.path={json.dumps(str(prices))}", *overrides], True
    source = builtin("demo.toml") if path is None else Path(expanded(path))
    tables = _anchor(_read_toml(source), source.resolve().parent)
    if path is None:
        _forget_the_demos_prices(tables, overrides, own_prices)
    return config_from_dict(model, apply_overrides(tables, overrides))


def _forget_the_demos_prices(tables: dict[str, Any], overrides: Sequence[str], own_prices: bool) -> None:
    """Drop what the built-in demo says of its own prices where others take their place."""
    changed = {tuple(part.strip() for part in item.partition("=")[0].split("."))[:2] for item in overrides}
    other = {("data", "path"), ("data", "synthetic")} & changed
    if other or own_prices:
        for key in ("start", "end"):
            tables["data"].pop(key, None)
    if ("data", "synthetic") in other:
        tables["data"].pop("path", None)


# Endings of files that hold prices (:mod:`pairs_bt.data.formats.price_folders` reads them); no config has one.
_PRICE_ENDINGS = (
    ".csv", ".tsv", ".txt", ".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".xls", ".gz", ".zip", ".pkl", ".pickle",
    ".json",  # refused by the reader of prices, with the way out
)  # fmt: skip


def price_source(path: str | Path) -> Path | None:
    """Return the file or folder of prices that stands where a config does; None for a config, or a run's folder."""
    file = Path(expanded(path))
    if file.is_dir():
        from pairs_bt.data.formats.price_folders import list_files

        runs_own = any((file / name).exists() for name in ("manifest.json", "config.toml", "parts"))
        return None if runs_own or not list_files(file) else file
    return file if file.name.lower().endswith(_PRICE_ENDINGS) else None


def run_name(path: str | Path | None, prices: str) -> str:
    """Name of a run's folder: that of the config, of prices of one's own, or ``demo``."""
    name = Path(expanded(path)).name if path is not None else Path(prices).name
    if path is None and (not name or Path(prices) == _demo_prices()):
        return "demo"
    while name.lower().endswith((*_PRICE_ENDINGS, ".toml")) and Path(name).stem != name:
        name = Path(name).stem
    return name or "prices"


def _demo_prices() -> Path:
    source = builtin("demo.toml")
    return Path(_anchor(_read_toml(source), source.resolve().parent)["data"]["path"])


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            inside = f" The run in it has one: {path / 'config.toml'}." if (path / "config.toml").exists() else ""
            raise ConfigError(f"{path} is a folder, not a config: give the path of a .toml file.{inside}")
        with path.open("rb") as stream:
            raw = stream.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"There is no config file {path}. Give the path of a .toml file, or none for the built-in demo."
        ) from None
    except OSError as error:
        raise ConfigError(f"The config {path} cannot be read: {error.strerror or error}.") from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} has more than {MAX_CONFIG_BYTES:,} bytes, the most a config may have. Is it data?")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}): save the config as UTF-8.") from None
    except RecursionError:
        raise ConfigError(f"{path} is not valid TOML: it nests thousands of brackets. Close what is open.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Text values need quotes.") from None


def _anchor(tables: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths of a config absolute, taken from `folder`."""
    out = {name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()}
    for table, key in PATH_KEYS:
        section = out.get(table)
        if isinstance(section, dict) and is_path(table, key, section.get(key)):
            section[key] = os.path.abspath(folder / expanded(section[key]))
    return out


def is_path(table: str, key: str, value: Any) -> bool:
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    return (table, key) != ("universe", "pairs") or value != "all"


def apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` assignments; a value that is not TOML is taken as text."""
    out = _copy(tables)
    for item in as_list(overrides):
        key, sign, text = item.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not sign or not all(parts):
            raise ConfigError(f"The override {item!r} is not of the form table.key=value, such as signal.entry=1.5.")
        node = out
        for part in parts[:-1]:
            child = node.get(part)
            node[part] = child if isinstance(child, dict) else {}
            node = node[part]
        value = toml_value(text.strip())
        if len(parts) == 2 and is_path(parts[0], parts[1], value) and tuple(parts) in PATH_KEYS:
            value = os.path.abspath(expanded(value))
        node[parts[-1]] = value
    return out


def as_list(overrides: Sequence[str] | str) -> list[str]:
    """Overrides as a list; one text is one override, not its letters."""
    return [overrides] if isinstance(overrides, str) else list(overrides)


def _copy(node: Any) -> Any:
    return {key: _copy(value) for key, value in node.items()} if isinstance(node, dict) else node


def toml_value(text: str) -> Any:
    """Read one TOML value; what is not TOML is text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def config_from_dict(model: type[Model], tables: dict[str, Any], base: str | Path | None = None) -> Model:
    """Check a dictionary of tables and return the config, or name every error at once."""
    if base is not None:
        tables = _anchor(tables, Path(base).resolve())
    problems: list[str] = []
    config = None
    try:
        config = model.model_validate(tables)
    except ValidationError as error:
        problems = [_say(model, item) for item in _once(error.errors(include_url=False, include_context=False))]
    problems += _rules_between_keys(model, tables)
    if problems or config is None:
        problems += _borrow_problems(tables)
        count = f"{len(problems)} errors" if len(problems) > 1 else "1 error"
        unique = list(dict.fromkeys(problems))
        raise ConfigError(f"The config has {count}: " + " | ".join(unique))
    return config


def _borrow_problems(tables: dict[str, Any]) -> list[str]:
    """What is wrong with the borrow table, which needs the prices: read here only to be told with other errors."""
    from pairs_bt.data.prices import read_prices
    from pairs_bt.data.reference_tables import read_borrow

    sections = {name: tables.get(name) for name in ("data", "execution")}
    paths = [str(part.get(key) or "") for (name, key) in _BORROW if isinstance(part := sections[name], dict)]
    if len(paths) < len(_BORROW) or not all(paths):
        return []
    try:
        _, problem = read_borrow(paths[1], [str(name) for name in read_prices(paths[0]).prices.columns])
    except PairsError:
        # What cannot be read is told by the run, once the config itself is right.
        return []
    return [f"{problem}."] if problem else []


def _once(errors: Sequence[Any]) -> list[Any]:
    """One error for a value that fits no member of a union, in place of one a member."""
    kept = []
    for item in errors:
        place, last = item["loc"][:-1], str(item["loc"][-1]) if item["loc"] else ""
        others = [other for other in errors if other is not item and other["loc"][: len(place)] == place]
        if _is_internal(last) and others:
            # A table is judged by its keys, anything else by what is not a table.
            if item["type"] in _NO_TABLE or any(len(other["loc"]) > len(item["loc"]) for other in others):
                continue
            if any(other["type"] in _NO_TABLE for other in others):
                item = {**item, "msg": item["msg"] + ", or a table"}
        kept.append(item)
    return kept


def _say(model: type[BaseModel], item: Any) -> str:
    """One pydantic error as 'path = value: rule' in the config's own words."""
    # Members of unions and internal validator names are noise in a location.
    # The last part of an unknown key's location is the user's own, whatever it looks like.
    unknown = item["type"] == "extra_forbidden"
    last = len(item["loc"]) - 1
    keys = [str(part) for k, part in enumerate(item["loc"]) if (unknown and k == last) or not _is_internal(str(part))]
    where = ".".join(keys)
    if item["type"] == "extra_forbidden":
        names = _names_at(model, keys[:-1])
        near = difflib.get_close_matches(keys[-1], names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}."
        return f"{where}: unknown key; {hint}"
    if item["type"] in _NO_TABLE:
        return f"{where} = {_short(item['input'])}: a table is expected here ([{where}])."
    if item["type"] == "tuple_type":
        example = json.dumps([_EXAMPLES.get(where, "KO")])
        return f"{where} = {_short(item['input'])}: a list is expected here, such as {example}."
    if item["type"].startswith("date_"):
        return f"{where} = {_short(item['input'])}: a date is expected here, written YYYY-MM-DD without quotes."
    message = item["msg"].removeprefix("Value error, ")
    return f"{where} = {_short(item['input'])}: {message[:1].lower()}{message[1:]}."


def _is_internal(part: str) -> bool:
    return "[" in part or part in {"str", "PairGroups", "Band", "SyntheticUniverse", "Smooth", "literal"}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _names_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    for key in keys:
        field = model.model_fields.get(key)
        annotation = field.annotation if field else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        tables = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not tables:
            return []
        model = tables[0]
    return sorted(model.model_fields)


def _rules_between_keys(model: type[BaseModel], tables: dict[str, Any]) -> list[str]:
    """Rules that join two keys, checked on raw values so that they are told together with the rest."""
    problems = []

    def get(table: str, key: str) -> Any:
        section = tables.get(table)
        default = getattr(model.model_fields[table].default, key)
        return section.get(key, default) if isinstance(section, dict) else default

    def number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    entry, leave, stop = get("signal", "entry"), get("signal", "exit"), get("signal", "stop")
    if number(entry) and number(leave) and entry <= leave:
        problems.append(
            f"signal.entry = {entry}: must be above signal.exit = {leave}, or a trade would close as it opens."
        )
    if number(entry) and number(stop) and stop <= entry:
        problems.append(f"signal.stop = {stop}: must be beyond signal.entry = {entry}, or every entry is a stop.")
    if number(entry) and number(get("signal", "exit_short")) and entry <= get("signal", "exit_short"):
        problems.append(
            f"signal.entry = {entry}: must be above signal.exit_short = {get('signal', 'exit_short')}, or a short "
            "trade would close as it opens."
        )
    problems += _optimal_rules(get, model)
    start, end = get("data", "start"), get("data", "end")
    if isinstance(start, date) and isinstance(end, date) and end <= start:
        problems.append(f"data.end = {end}: must be after data.start = {start}.")
    tests = get("selection", "tests")
    with_pvalues = [name for name in ("engle_granger", "partial") if isinstance(tests, (list, tuple)) and name in tests]
    if get("selection", "multiplicity") in ("bh", "by") and not with_pvalues:
        problems.append(
            "selection.multiplicity: needs p-values, which 'engle_granger' and 'partial' give; add one to "
            "selection.tests."
        )
    if tests in ([], ()) and get("universe", "pairs") == "all" and get("selection", "method") == "cointegration":
        problems.append(
            "selection.tests = []: trades every pair that universe.pairs names, and that is 'all'. Name pairs, such as "
            'universe.pairs = [["PEP", "KO"]], or tests.'
        )
    if get("data", "path") and get("data", "synthetic") is not None:
        problems.append("data.path and data.synthetic: give one of the two.")
    problems += _form_rules(get)
    problems += _period_rules(get)
    problems += _double_entries(get)
    return problems


def _optimal_rules(get: Any, model: type[BaseModel]) -> list[str]:
    """What does not go with levels that each pair finds for itself."""
    if get("signal", "entry") != "optimal":
        return []
    problems = []
    leave, z = get("signal", "exit"), get("signal", "z")
    if leave != model.model_fields["signal"].default.exit:
        problems.append(
            f"signal.exit = {leave}: signal.entry = 'optimal' finds the exit of every pair with its entry. Leave "
            "signal.exit out, or give signal.entry as a number."
        )
    if get("signal", "exit_short") is not None:
        problems.append(
            f"signal.exit_short = {get('signal', 'exit_short')}: signal.entry = 'optimal' finds every pair's exit. "
            "Leave signal.exit_short out, or give signal.entry as a number."
        )
    rules = get("hedge", "variants")
    if z == "auto" and isinstance(rules, (list, tuple)) and "residual" in rules and get("signal", "window") == "own":
        problems.append(
            "signal.z = 'auto': under hedge.variants 'residual' it is the s-score, for which signal.entry = 'optimal' "
            "finds no level. Take signal.z = 'rolling' or 'stationary', or give signal.entry as a number."
        )
    if z in _FORMS:
        problems.append(
            f"signal.z = {z!r}: signal.entry = 'optimal' finds levels of the spread, and this z-score is no distance "
            "of the spread from the mean it reverts to. Take 'auto', 'rolling' or 'stationary'."
        )
    if get("signal", "optimal") == "sharpe" and get("signal", "stop") is not None:
        problems.append(
            "signal.optimal = 'sharpe': the variance of a trade with signal.stop has no formula here. Take 'return' or "
            "'two_sided', or leave signal.stop out."
        )
    return problems


# z-scores that are another thing than the spread's own, and the rules that they are made for.
_FORMS = {
    "innovation": (FILTER_RULES, "it is the filter's surprise, so the ratio must come from the filter"),
    "formation": (("dollar", "one_to_one"), "it is the gap between two indexed prices, one unit against one"),
    "s_score": (("residual",), "it is measured on the residual of that rule's regression"),
}


def _form_rules(get: Any) -> list[str]:
    """Spreads and z-scores that need each other."""
    problems = []
    chosen, rules = get("signal", "z"), get("hedge", "variants")
    if isinstance(chosen, str) and chosen in _FORMS and isinstance(rules, (list, tuple)):
        allowed, why = _FORMS[chosen]
        others = [rule for rule in rules if rule not in allowed]
        if others:
            problems.append(
                f"signal.z = {chosen!r}: cannot be had for hedge.variants {others}; {why}. "
                f"Take some of {list(allowed)}."
            )
    window = get("signal", "window")
    if chosen in _FORMS and window != "own":
        problems.append(
            f"signal.window = {window!r}: it is the window of the rolling z-score, and signal.z = {chosen!r} has none. "
            'Leave signal.window = "own", or take signal.z = "rolling".'
        )
    return problems


def _period_rules(get: Any) -> list[str]:
    def days(text: Any) -> float | None:
        try:
            number, unit = split_period(text)
        except (ValueError, TypeError):
            return None
        return number * UNIT_DAYS[unit]

    trade, within = days(get("windows", "trade")), days(get("windows", "entry_within"))
    if trade is not None and within is not None and within > trade + 1:
        return [
            f"windows.entry_within = {get('windows', 'entry_within')!r}: cannot be longer than "
            f"windows.trade = {get('windows', 'trade')!r}."
        ]
    return []


def _double_entries(get: Any) -> list[str]:
    problems = []
    for table, key in (("hedge", "variants"), ("hedge", "rehedge"), ("selection", "tests")):
        values = get(table, key)
        if isinstance(values, (list, tuple)) and len({repr(v) for v in values}) < len(values):
            problems.append(f"{table}.{key} = {_short(list(values))}: lists the same entry twice.")
    return problems
