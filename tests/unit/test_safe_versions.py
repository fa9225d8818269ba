"""No version with a vulnerability that is known to us may be installed, by pyproject.toml or here."""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"(?P<name>[a-z0-9-]+) (?P<version>[0-9.]+)  (CVE|GHSA)-\S+.*")


def _safe() -> dict[str, str]:
    lines = (CHECKOUT / ".ci" / "safe-versions.txt").read_text(encoding="utf-8").splitlines()
    found = [LINE.fullmatch(line) for line in lines if not line.startswith("#")]
    return {match["name"]: match["version"] for match in found if match is not None}


SAFE = _safe()


def parts(text: str) -> tuple[int, ...]:
    """A version as numbers, without zeros at its end."""
    numbers = [int(part) for part in re.findall(r"[0-9]+", text.split("+", maxsplit=1)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def too_low(requirements: Iterable[str]) -> list[str]:
    """The requirements that let in a version which is not safe."""
    wrong = []
    for text in requirements:
        name = re.split(r"[<>=!~\[; ]", text)[0].lower()
        bound = re.search(r">=\s*([0-9.]+)", text)
        if name in SAFE and (bound is None or parts(bound[1]) < parts(SAFE[name])):
            wrong.append(text)
    return wrong


def test_each_line_of_the_list_is_read() -> None:
    lines = (CHECKOUT / ".ci" / "safe-versions.txt").read_text(encoding="utf-8").splitlines()
    assert len(SAFE) == sum(not line.startswith("#") for line in lines)
    assert len(SAFE) >= 10


def test_no_lower_bound_lets_in_what_is_not_safe() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert too_low(project["dependencies"]) == []
    for texts in project["optional-dependencies"].values():
        assert too_low(texts) == []


@pytest.mark.parametrize("name", SAFE)
def test_what_is_installed_is_safe(name: str) -> None:
    try:
        installed = version(name)
    except PackageNotFoundError:
        return
    assert parts(installed) >= parts(SAFE[name])


@pytest.mark.parametrize("text", ["pillow>=12.3,<14", "pillow", "Jinja2>=3.1.5", "pydicom[extra]>=3.0.1"])
def test_a_bound_that_is_too_low_is_found(text: str) -> None:
    assert too_low([text, "pillow>=13,<14", "click>=1"]) == [text]
