"""What a person sees: each folder beside this file is one behaviour, named as a sentence.

``command`` is a command line, run in a fresh directory with a copy of ``in/``; lines before it prepare the directory.
``out/`` holds what it must show. ``base`` names what lies in the directory first: ``hospital`` (as ``init --demo`` makes it)
or ``run`` (after the whole path). PATHCURATE_REWRITE=1 accepts what is shown now; read the difference as a user would.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from pathcurate.cli.main import run
from pathcurate.permissions import import_permissions
from pathcurate.storage import locked
from pathcurate.workspace import load_workspace

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/command"))
_VARYING = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "[DIGEST]"),
    (re.compile(r"\b([SCPQRGE])-[0-9A-HJKMNP-TV-Z]{16}\b"), r"[\1-ID]"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "[TIME]"),
    (re.compile(r"\bkey [0-9a-f]{16}\b"), "key [KEY]"),
    (re.compile(r"find-\d{8}T\d{6}Z-[0-9a-f]{8}"), "find-[TIME]"),
    (re.compile(r" +\d+\.\d s "), " [TIME] "),
    (re.compile(r"\b(train|val|test) \d+( \([\d.]+%\))?"), r"\1 [N]"),  # groups go to sides by the workspace's key
    (re.compile(r"\(process \d+"), "(process [PID]"),
    (re.compile(r" by \S+$", re.MULTILINE), " by [USER]"),
)


def pathcurate(directory: Path, arguments: list[str]) -> dict[str, str]:
    """What one command shows, given there. In this process, because most of a short command's time is its start."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(directory), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    shown = {"stdout": out.getvalue(), "stderr": err.getvalue(), "exit_code": f"{code}\n"}
    return {name: normal(text, directory) for name, text in shown.items()}


def prepare(directory: Path, line: str, ending: ExitStack) -> None:
    """What happens before: another command, or something that somebody does to a file."""
    action, *arguments = shlex.split(line)
    *values, name = arguments
    path = directory / name
    match action:
        case "pathcurate":
            pathcurate(directory, arguments)
        case "chmod":
            path.chmod(int(values[0], 8))
        case "remove":
            path.unlink()
        case "replace":
            path.chmod(0o644)
            content = path.read_text(encoding="utf-8")
            assert values[0] in content
            path.write_text(content.replace(*values), encoding="utf-8")
        case "locked":
            ending.enter_context(locked(path, values[0]))
        case _:
            pytest.fail(f"no such action: {action}")


def copy_or_link(source: str, target: str) -> None:
    """Nobody writes to slides, and they are nearly all of a hospital's bytes."""
    (os.link if source.endswith((".svs", ".ndpi", ".tif", ".tiff", ".sdpc")) else shutil.copy2)(source, target)


def normal(text: str, directory: Path) -> str:
    """The text without what differs between two runs."""
    text = text.replace(str(directory), "[DIR]")
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return text


@pytest.fixture(scope="session")
def bases(pristine_hospital: Path, run_hospital: Path) -> dict[str, Path]:
    """Directories to begin with."""
    return {"hospital": pristine_hospital, "run": run_hospital}


@pytest.mark.usefixtures("kernels_here")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_transcript(folder: Path, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATHCURATE_WORKSPACE", "PATHCURATE_DEBUG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    directory = tmp_path / "dir"
    if (folder / "base").exists():
        base = (folder / "base").read_text().strip()
        shutil.copytree(bases[base], directory, copy_function=copy_or_link)
        if base == "run":
            # Which bytes of a list were imported is remembered by its place, and this is another.
            import_permissions(load_workspace(directory / "pathcurate.yaml"))
    directory.mkdir(exist_ok=True)
    if (folder / "in").exists():
        shutil.copytree(folder / "in", directory, dirs_exist_ok=True)
    *before, last = (folder / "command").read_text(encoding="utf-8").splitlines()
    with ExitStack() as ending:
        for line in before:
            prepare(directory, line, ending)
        shown = pathcurate(directory, shlex.split(last)[1:])
    if os.environ.get("PATHCURATE_REWRITE"):
        (folder / "out").mkdir(exist_ok=True)
        for name, text in shown.items():
            (folder / "out" / name).write_text(text)
    assert shown == {name: (folder / "out" / name).read_text() for name in shown}


def test_there_are_transcripts() -> None:
    assert len(FOLDERS) >= 20
