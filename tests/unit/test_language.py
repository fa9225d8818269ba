"""``--lang`` and the locale: what people read is translated, what machines read never is."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pathcurate.cli.language import language_of, said, speaking, spoken
from pathcurate.cli.main import run
from pathcurate.cli.session import count_lines, finding_lines
from pathcurate.errors import PlanIncompleteError
from pathcurate.model.finding import Finding, Severity
from tests.commandline import Done, pathcurate

CHINESE = {"LANG": "zh_CN.UTF-8"}


@pytest.mark.parametrize(
    ("environment", "encoding", "language"),
    [
        ({}, "utf-8", "en"),
        ({"LANG": ""}, "utf-8", "en"),
        ({"LANG": "C"}, "utf-8", "en"),
        ({"LANG": "POSIX"}, "ascii", "en"),
        ({"LANG": "en_GB.UTF-8"}, "utf-8", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.GB18030"}, "gb18030", "zh"),
        ({"LANG": "zh_CN.GB2312"}, "gb2312", "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_HK.Big5"}, "utf-8", "zh"),
        ({"LANG": "ZH-Hans"}, "utf-8", "zh"),
        ({"LANG": "zha_CN.UTF-8"}, "utf-8", "en"),
        ({"LANG": "zh_CN.GB18030"}, "ascii", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "latin-1", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "no-such-encoding", "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "utf-8", "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "utf-8", "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8", "LC_MESSAGES": "C"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, "utf-8", "zh"),
    ],
)
def test_the_locale_decides(environment: dict[str, str], encoding: str, language: str) -> None:
    assert language_of([], environment, encoding) == language


@pytest.mark.parametrize(
    ("arguments", "language"),
    [
        (["scan", "--lang", "zh"], "zh"),
        (["scan", "--lang=zh"], "zh"),
        (["scan", "--lang", "en"], "en"),
        (["scan", "--lang", "xx"], "en"),
        (["scan", "--lang"], "en"),
        (["find", "--", "--lang", "zh"], "en"),
        (["--language", "zh"], "en"),
    ],
)
def test_the_option_decides_over_the_locale(arguments: list[str], language: str) -> None:
    other = {} if language == "zh" else CHINESE
    if "--" in arguments or "--language" in arguments:
        other = {}
    assert language_of(arguments, other, "ascii") == language


def test_a_language_is_spoken_for_a_while() -> None:
    with speaking("zh"):
        assert spoken() == "zh"
        assert said("Wait until it ends.") == "请等待其结束。"
    assert said("Wait until it ends.") == "Wait until it ends."


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATHCURATE_WORKSPACE", raising=False)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_an_error_speaks_chinese(nowhere: Path) -> None:
    done = pathcurate("scan", "--lang", "zh")
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first == f"错误：在 {nowhere} 及其上级目录中没有 pathcurate.yaml"
    assert second == "  下一步：用 `pathcurate init` 新建工作区，或用 --workspace DIR 指定。"
    assert pathcurate("scan").stderr.startswith("error: no pathcurate.yaml")


def test_the_locale_is_asked(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_TW.UTF-8")
    assert pathcurate("scan").stderr.startswith("错误：")
    assert pathcurate("scan", "--lang", "en").stderr.startswith("error: ")
    monkeypatch.setenv("LC_ALL", "C")
    assert pathcurate("scan").stderr.startswith("error: ")
    assert spoken() == "en"


@pytest.mark.parametrize(
    ("arguments", "chinese"),
    [
        (["scan", "--no-such"], "没有该选项"),
        (["no-such"], "没有该命令"),
        (["validate"], "缺少参数"),
        (["scan", "--check", "xx"], "的值无效"),
        (["scan", "--workers", "many"], "的值无效"),
        (["scan", "--site"], "需要一个值"),
        (["doctor", "superfluous"], "多余的参数"),
    ],
)
def test_a_wrong_call_speaks_chinese(nowhere: Path, arguments: list[str], chinese: str) -> None:
    done = pathcurate(*arguments, "--lang=zh") if arguments[-1] != "--site" else pathcurate("scan", "--lang=zh", "--site")
    assert done.returncode == 2
    *_, error, hint = done.stderr.splitlines()
    assert error.startswith("错误：")
    assert chinese in error
    assert hint == "  下一步：加 --help 查看该命令的用法。"
    assert arguments[-1] == "--site" or "用法：pathcurate" in done.stderr


def test_json_is_the_same_in_every_language(nowhere: Path) -> None:
    for arguments in (["scan", "--json"], ["doctor", "--json"], ["validate", "--list-rules", "--json"]):
        english, chinese = (without_clock(pathcurate(*arguments, "--lang", language)) for language in ("en", "zh"))
        assert english == chinese
        assert "\u6ca1" not in english


def without_clock(done: Done) -> str:
    document = json.loads(done.stdout)
    for check in document.get("checks", []):
        if check["name"] in {"clock", "disk of temporary files"}:
            check["message"] = ""
    return json.dumps(document, ensure_ascii=False)


def test_rules_are_listed_in_chinese(nowhere: Path) -> None:
    english, chinese = pathcurate("validate", "--list-rules"), pathcurate("validate", "--list-rules", "--lang", "zh")
    rows = list(zip(english.stdout.splitlines(), chinese.stdout.splitlines(), strict=True))
    assert [one.split()[0] for one, _ in rows[::3]] == [other.split()[0] for _, other in rows[::3]]
    assert all(one != other for one, other in [*rows[::3], *rows[1::3]])


def test_the_doctor_speaks_chinese(nowhere: Path) -> None:
    chinese = pathcurate("doctor", "--lang", "zh").stdout.splitlines()
    assert any(line.startswith("正常    时钟: ") for line in chinese)
    assert chinese[-1].endswith("项正常")


def test_a_recipe_is_explained_in_the_language_that_is_spoken(nowhere: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "demo_he_2023.yaml"
    chinese = pathcurate("recipe", "explain", recipe, "--lang", "zh").stdout
    assert "每行为一张切片" in chinese
    assert chinese != pathcurate("recipe", "explain", recipe).stdout


def test_findings_and_counts_are_aligned() -> None:
    finding = Finding("scan.truncated", Severity.ERROR, "the file changed while it was read", "scan", count=3)
    with speaking("zh"):
        (line,) = finding_lines([finding], verbose=False)
        assert line == "  错误    scan.truncated                    3  文件在读取时被改动"
        assert list(count_lines({"slides": 3, "unheard of": 12})) == ["  切片                3", "  unheard of         12"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("encoding", ["ascii", "gb2312", "latin-1"])
def test_an_encoding_without_a_character_ends_no_command(nowhere: Path, encoding: str, stream: str) -> None:
    """As in a locale that is none of the system's, or through a pipe that is told to be ASCII."""
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    redirect = contextlib.redirect_stdout if stream == "stdout" else contextlib.redirect_stderr
    other = contextlib.redirect_stderr if stream == "stdout" else contextlib.redirect_stdout
    with redirect(narrow), other(io.StringIO()):  # type: ignore[arg-type]
        code = run(["doctor", "--lang", "zh"] if stream == "stdout" else ["scan", "--lang", "zh"])
        narrow.flush()
    assert code == (0 if stream == "stdout" else 2)
    shown = raw.getvalue()
    word = "正常" if stream == "stdout" else "错误"
    # Click takes a stream of ASCII for one of UTF-8.
    assert word.encode("utf-8" if encoding == "ascii" else encoding, "backslashreplace") in shown


def test_a_process_in_a_narrow_locale_speaks_english(nowhere: Path) -> None:
    environment = {**os.environ, "LANG": "zh_CN.GB18030", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "pathcurate", "scan"], env=environment, cwd=nowhere, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr[:7]) == (2, b"error: ")


def test_an_unknown_sentence_stays_english(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PlanIncompleteError("quite unheard of", "Wait until it ends.")

    monkeypatch.setattr("pathcurate.cli.main.root", click.Command("x", callback=fail))
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert pathcurate().stderr == "错误：quite unheard of\n  下一步：请等待其结束。\n"


def test_a_new_workspace_says_what_comes_next(nowhere: Path) -> None:
    english = pathcurate("init", "w")
    shutil.rmtree("w")
    chinese = pathcurate("init", "w", "--lang", "zh")
    assert english.stdout.splitlines()[-1].startswith("Next: ")
    assert chinese.stdout.splitlines()[-1].startswith("下一步：")
    assert "`pathcurate scan`" in chinese.stdout
