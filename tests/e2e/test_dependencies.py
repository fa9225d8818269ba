"""The wheel, installed outside of the checkout, works with the lowest versions that are allowed; here are the highest."""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from pathcurate import __version__

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = {
    match[1]: (match[2], match[3])
    for text in PROJECT["dependencies"]
    if (match := re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+),<([0-9.]+)", text))
}


EXTRAS = [
    re.split("[<>=[]", text)[0]
    for name, texts in PROJECT["optional-dependencies"].items()
    if name != "dev"
    for text in texts
]


def pip(*arguments: str, python: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """This environment's pip, for another environment if one is named. Nothing is compiled."""
    where = ["--python", str(python)] if python else []
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [sys.executable, "-m", "pip", *where, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built as ``pipx install .`` builds it."""
    directory = tmp_path_factory.mktemp("wheel")
    probe = pip("download", "--no-deps", "--dest", str(directory / "probe"), "click")
    if probe.returncode:
        pytest.skip(f"no package index can be reached: {(probe.stderr.strip().splitlines() or ['no pip'])[-1]}")
    built = pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(CHECKOUT))
    assert built.returncode == 0, built.stderr
    return next(directory.glob("*.whl"))


@contextmanager
def environment(wheel: Path, *constraints: str) -> Iterator[Path]:
    """The Python of an environment that holds the wheel, and is gone after the test: it is half a gigabyte."""
    with tempfile.TemporaryDirectory(prefix="pathcurate-dependencies-") as directory:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
        python = Path(directory) / "bin" / "python"
        # Nearly all of what is installed is never imported, so there is no use in compiling it.
        done = pip("install", "--no-compile", "--only-binary", ":all:", *constraints, str(wheel), python=python)
        assert done.returncode == 0, done.stderr
        yield python


def installed(python: Path) -> dict[str, str]:
    """Version of each distribution."""
    program = (
        "import importlib.metadata as m\nfor d in m.distributions():\n    print(d.name.lower().replace('-', '_'), d.version)"
    )
    done = subprocess.run([str(python), "-I", "-c", program], capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


def numbers(version: str) -> list[int]:
    """A version for comparison; trailing zeros do not matter."""
    parts = [int(part) for part in re.findall(r"\d+", version)]
    while parts and not parts[-1]:
        parts.pop()
    return parts


_LOOKS = """
import json, sys
from pathcurate.cli.main import run
from pathcurate.contracts import contracts
from pathcurate.resources import shipped
for command in json.loads(sys.argv[1]):
    if code := run(command):
        sys.exit(code)
folder = shipped("schemas")
same = all((folder / name).read_bytes() == content for name, content in contracts().items())
print(json.dumps([str(folder), same]))
"""


def smoke(python: Path, directory: Path) -> None:
    """The installed command makes a hospital and a registered product, with nothing of the checkout in reach."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PATHCURATE"))}
    command = str(python.parent / "pathcurate")
    looks = [
        ["--version"],
        ["validate", "hospital/releases/demo_he_2023/1.0.0"],
        ["cohort", "hospital/recipes/cases_by_organ.yaml", "-w", "hospital", "--dry-run"],
    ]
    for arguments in (
        [command, "init", "--demo", "hospital"],
        [command, "run", "hospital/recipes/demo_he_2023.yaml", "-w", "hospital", "--workers", "1"],
        # What only looks at what is there is done in one process; so is whether what it ships beside its code is there,
        # and its own declarations still render it.
        [str(python), "-c", _LOOKS, json.dumps(looks)],
    ):
        done = subprocess.run(arguments, cwd=directory, env=clean, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"
    folder, is_same = json.loads(done.stdout.splitlines()[-1])
    assert python.parents[1] in Path(folder).parents
    assert is_same, "the schemas of this installation are not what its declarations render"


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    assert len(RANGES) == len(PROJECT["dependencies"])


def test_every_import_is_declared() -> None:
    distributions = packages_distributions()
    imported = set()
    for path in (CHECKOUT / "pathcurate").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    # Parts of Jinja2 and of pydantic, which set their versions.
    foreign = imported - set(sys.stdlib_module_names) - {"pathcurate", "markupsafe", "pydantic_core"}
    # What boto3 is made of; an optional feature imports it where it is used.
    declared = {name.lower().replace("-", "_") for name in (*RANGES, *EXTRAS)} | {"botocore"}
    missing = {name for name in foreign if not declared & {dist.lower().replace("-", "_") for dist in distributions[name]}}
    assert missing == set()


@pytest.mark.slow
def test_the_lowest_versions_work(wheel: Path, tmp_path: Path) -> None:
    constraints = tmp_path / "lowest.txt"
    constraints.write_text("".join(f"{name}=={low}\n" for name, (low, _) in RANGES.items()))
    with environment(wheel, "--constraint", str(constraints)) as python:
        there = installed(python)
        assert there["pathcurate"] == __version__
        for name, (low, _) in RANGES.items():
            assert numbers(there[name.lower().replace("-", "_")]) == numbers(low), name
        smoke(python, tmp_path)


def test_the_versions_here_are_allowed() -> None:
    """A new environment has the highest that are allowed: it is all other tests that show that these work."""
    for name, (low, high) in RANGES.items():
        assert numbers(low) <= numbers(version(name)) < numbers(high), name
