"""Every error and every check of the doctor says what to do next."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pathcurate

PACKAGE = Path(pathcurate.__file__).parent
MODULES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes()) for path in sorted(PACKAGE.rglob("*.py"))}


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def errors_of_ours() -> set[str]:
    """The errors that people are shown, by name."""
    found = {"PathcurateError"}
    classes = [node for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {one.name for one in classes if any(getattr(base, "id", "") in found for base in one.bases)} - found:
        found |= more
    return found


def silent(tree: ast.AST, errors: set[str]) -> Iterator[int]:
    """Lines where an error is made without a next step; click's own show how the command is used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in errors:
            if (
                isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "click"
            ):
                continue
            hints = [*node.args[1:2], *(word.value for word in node.keywords if word.arg in {"hint", None})]
            is_spread = any(isinstance(argument, ast.Starred) for argument in node.args)
            if not is_spread and (not hints or any(isinstance(hint, ast.Constant) and not hint.value for hint in hints)):
                yield node.lineno


def test_every_error_says_what_to_do() -> None:
    errors = errors_of_ours()
    assert {"UsageError", "LockedError", "EvidenceMissingError"} <= errors
    assert [f"{name}:{line}" for name, tree in MODULES.items() for line in silent(tree, errors)] == []


def silent_checks(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) == "Check" and len(node.args) > 1:
            status = node.args[1]
            is_ok = isinstance(status, ast.Constant) and status.value == "ok"
            if not is_ok and (len(node.args) < 4 or (isinstance(node.args[3], ast.Constant) and not node.args[3].value)):
                yield node.lineno


def test_every_check_of_the_doctor_says_what_to_do() -> None:
    found = [
        f"{name}:{line}" for name, tree in MODULES.items() if name.startswith("doctor/") for line in silent_checks(tree)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('UsageError("a")', [1]),
        ('UsageError("a", "")', [1]),
        ('UsageError("a", hint="")', [1]),
        ('UsageError("a", "b")', []),
        ('UsageError("a", hint=b)', []),
        ("UsageError(*args)", []),
        ('click.UsageError("a")', []),
        ('other.UsageError("a")', [1]),
        ('ValueError("a")', []),
    ],
)
def test_what_is_silent(source: str, lines: list[int]) -> None:
    assert list(silent(ast.parse(source), {"UsageError"})) == lines
