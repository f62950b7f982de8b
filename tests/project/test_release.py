"""What a release is made of agrees with itself, and the files that only a server runs are checked here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def call(*command: str | Path, **how: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


def test_the_scientific_python_guide_finds_nothing_to_mend() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "repo_review", str(ROOT), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    checks = json.loads(text)["checks"]
    assert len(checks) > 40
    assert [name for name, check in checks.items() if check["result"] is False] == []
    # A reason stands beside every check that is left out.
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    ignored = PROJECT["tool"]["repo-review"]["ignore"]
    assert all(any(f'"{name}",  # ' in line for line in lines) for name in ignored)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_files_for_servers_follow_their_schema(schema: str, files: list[Path], tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    call(*check, *files)
    broken = tmp_path / files[0].name
    broken.write_text("jobs: {a: {steps: 3}}\nversion: x\n", encoding="utf-8")
    assert subprocess.run([*check, str(broken)], capture_output=True, check=False).returncode != 0


def steps(text: str) -> list[str]:
    return [step["run"] for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"] if "run" in step]


def test_workflows_call_targets_that_exist_and_wait_for_jobs_that_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"\bmake (\w+)", "\n".join(steps(text)))) <= targets, path.name
        jobs = yaml.safe_load(text)["jobs"]
        assert {job["needs"] for job in jobs.values() if "needs" in job} <= set(jobs), path.name


def test_every_system_and_python_that_is_promised_is_tested() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    promised = {c.split(" :: ")[-1] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)}
    assert set(matrix["python-version"]) == promised
    assert PROJECT["project"]["requires-python"] == f">={min(promised, key=lambda v: int(v.split('.')[1]))}"
    nox = re.search(r"PYTHONS = (\[.*\])", (ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert nox is not None
    assert set(json.loads(nox[1])) == promised


def test_only_the_job_that_publishes_has_rights_and_no_job_has_a_token() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}, path.name
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "wheel.yml").read_text(encoding="utf-8"))["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    used = [step.get("uses", "").partition("@")[0] for step in jobs["publish"]["steps"]]
    assert used == [
        "actions/download-artifact", "actions/attest-build-provenance", "pypa/gh-action-pypi-publish",
    ]  # fmt: skip


def bounds(lines: list[str]) -> dict[str, str]:
    """Lower bound of every requirement."""
    found = (re.fullmatch(r"([\w.-]+?)(?:\[.*\])?\s*>=\s*([\d.]+)", line) for line in lines)
    return {match[1].lower(): match[2] for match in found if match}


def test_the_conda_recipe_asks_for_what_the_wheel_asks_for() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    wheel = bounds(PROJECT["project"]["dependencies"])
    assert len(wheel) == len(PROJECT["project"]["dependencies"])
    conda = bounds(recipe["requirements"]["run"])
    assert conda.pop("python") == PROJECT["project"]["requires-python"].removeprefix(">=")
    assert {name.removesuffix("-base"): bound for name, bound in conda.items()} == wheel
    scripts = [f"{name} = {where}" for name, where in PROJECT["project"]["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_every_file_has_the_version() -> None:
    version = PROJECT["project"]["version"]
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == citation["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_page_of_lowest_versions_is_the_projects() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([\w.-]+)` \| ([\d.]+) \|", page, re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    users = [line for name in ("dask", "excel", "calendar", "notebook") for line in extras[name]]
    assert shown == bounds([*PROJECT["project"]["dependencies"], *users])


# ------------------------------------------------------------------------------------------------- sdist and wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, as `python -m build` and a server build it."""
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    assert len(list(out.glob("*.tar.gz"))) == 1
    return next(iter(out.glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    home = next((tmp_path / "env").glob("[Ll]ib/**/site-packages"))
    # The dependencies of this environment, behind what is installed in the new one: no network is needed.
    (home / "dependencies.pth").write_text(str(Path(yaml.__file__).parents[1]) + "\n", encoding="utf-8")
    scripts = next(path for name in ("bin", "Scripts") if (path := tmp_path / "env" / name).is_dir())
    call(scripts / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel)
    there = {"cwd": tmp_path, "env": {"PATH": str(scripts), "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}}
    place = call(scripts / "python", "-c", "import pairs_bt; print(pairs_bt.__file__)", **there).stdout
    assert Path(place.strip()).is_relative_to(home)
    said = call(scripts / "pairs-bt", "run", "--set", "data.end=2008-06-30", **there).stdout
    assert "candidates in" in said
    assert "<html" in (tmp_path / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
