"""Bad input through the command line: one paragraph, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pairs_bt import load_run
from tests import bad_configs, bad_inputs
from tests.cli_tools import SHORT, call, is_one_paragraph

# Two days of prices are readable, and too few for a window.
TOO_SHORT = {"intraday stamps, several a day", "summer and winter time", "dates with dots are day.month.year"}
# What the prices' door takes as an argument is checked before, in the config.
IN_CONFIG = {"start after end", "start is not a date"}
FRAMES_ONLY = {"two levels of columns"}
PRICES = [case for case in bad_inputs.CASES if case.name not in FRAMES_ONLY]
RELIABILITY = (Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")


def config_of(case: bad_inputs.BadInput, folder: Path) -> Path:
    made = case.make(folder)
    if isinstance(made, pd.DataFrame):
        try:
            made.to_parquet(folder / "frame.parquet")
            made = folder / "frame.parquet"
        except (ValueError, TypeError, OSError):
            made.to_csv(folder / "frame.csv")
            made = folder / "frame.csv"
    keys = {key: value for key, value in case.options.items() if key != "today"}
    lines = [
        f"{key} = {value if key[:3] == 'max' or value[:2] == '20' else repr(value)}" for key, value in keys.items()
    ]
    path = folder / "config.toml"
    path.write_text(f'[data]\npath = "{made}"\n' + "\n".join(lines) + f"\n{SHORT}", encoding="utf-8")
    return path


@pytest.mark.parametrize("case", PRICES, ids=lambda case: case.name.replace("/", "_"))
def test_every_bad_price_input_ends_in_one_paragraph_or_in_a_run(case, tmp_path):
    out = tmp_path / "out" / "run"
    folder = tmp_path / "in"
    folder.mkdir()
    said = call("run", config_of(case, folder), "--out", out, "--no-report")
    if case.outcome == "refused" or case.name in TOO_SHORT:
        assert said.code == (2 if case.name in IN_CONFIG else 3), said
        assert is_one_paragraph(said.err)
        assert said.out == ""
        if case.name not in IN_CONFIG | TOO_SHORT:
            assert all(word in said.err for word in case.words), said.err
        assert not out.parent.exists()
        return
    assert said.code == 0, said.err
    assert load_run(out).returns["net"].notna().all()
    if case.outcome != "kept" and case.rule != "future":
        assert all(word in said.err for word in case.words), said.err


@pytest.mark.parametrize("case", bad_configs.CASES, ids=lambda case: case.name)
def test_every_bad_config_ends_in_one_paragraph_or_in_a_run(case, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out" / "run"
    folder.mkdir()
    bad_inputs.good_frame().to_csv(folder / "prices.csv")
    said = call("run", *case.make(folder), "--out", out, "--no-report")
    assert said.code == case.code, said
    assert all(word in said.err for word in case.words), said.err
    # `python -m tests.bad_configs` prints the table anew
    assert bad_configs.row(case, said.err, folder) in RELIABILITY
    if case.code:
        assert is_one_paragraph(said.err), said.err
        assert said.out == ""
        assert not out.parent.exists()
    else:
        run = load_run(out)
        assert run.returns["net"].notna().all()
        assert run.trades["net_pnl"].notna().all()


def test_the_catalogue_is_as_large_as_promised():
    assert len(PRICES) + len(bad_configs.CASES) >= 45
    names = [case.name for case in bad_configs.CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("command", ["validate", "scan", "verify"])
@pytest.mark.parametrize("name", ["missing file", "text in a price", "one ticker", "truncated Parquet"])
def test_the_other_commands_refuse_alike(command, name, tmp_path):
    case = next(case for case in PRICES if case.name == name)
    said = call(command, config_of(case, tmp_path))
    assert said.code == 3
    assert is_one_paragraph(said.err)


@pytest.mark.parametrize("command", ["report", "verify"])
@pytest.mark.parametrize("content", [None, "", "{}", "[]", "nonsense", '{"format": 2}', '{"format": 99}'])
def test_a_folder_that_is_no_run_is_refused(command, content, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    if content is not None:
        (folder / "manifest.json").write_text(content)
    said = call(command, folder)
    assert said.code == 3, said
    assert is_one_paragraph(said.err)


def test_validate_tells_everything_at_once(tmp_path):
    frame = bad_inputs.good_frame(200)
    frame.iloc[40:52, 0] = None
    frame.iloc[100:, 1] *= 0.25
    frame["D"] = 5.0
    frame["E"] = frame["C"]
    frame[::-1].to_csv(tmp_path / "prices.csv")
    path = tmp_path / "config.toml"
    path.write_text(f'[data]\npath = "prices.csv"\n{SHORT}')
    said = call("validate", path)
    assert said.code == 0, said.err
    for words in ("gap of", "x 0.2", "never changes", "'C' and 'E'", "sorted by date", "absent   A in", "GiB", "pairs"):
        assert words in said.out, said.out
    assert list(tmp_path.iterdir()).__len__() == 2


def test_dates_of_an_american_file_and_names_with_spaces_simply_work(tmp_path):
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "country_etfs_2016-2021.csv"
    if not path.exists():
        pytest.skip("the file is not here")
    config = tmp_path / "etfs.toml"
    config.write_text(f'[data]\npath = "{path}"\n[comparison]\ndraws = 100\n')
    said = call("run", config, "--out", tmp_path / "run", "--no-report")
    assert said.code == 0, said.err
    run = load_run(tmp_path / "run")
    assert len(run.windows) >= 10
    assert run.tests["s1"].str.contains(" ").any()


def test_the_docs_list_every_case():
    text = (Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert [case.name for case in bad_configs.CASES if f"| {case.name} | {case.code} |" not in text] == []
