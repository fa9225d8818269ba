"""Help without a network: the manual by topic, and completion in a shell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pathcurate.errors import UsageError
from pathcurate.manual import topic, topics
from tests.commandline import pathcurate

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_section_has_a_name_of_its_own_and_its_whole_text() -> None:
    found = topics()
    assert len({one.name for one in found}) == len(found)
    text = README.read_text(encoding="utf-8")
    chapters = [one for one in found if one.depth == 2]
    assert all(one.text in text for one in found)
    # Chapters one behind the other are the manual, but for its head.
    assert "\n\n".join(one.text for one in chapters) == text[text.index(chapters[0].text) :].rstrip()


def test_what_stands_in_an_example_is_no_heading() -> None:
    titles = {one.title for one in topics()}
    shell_comments = {line[3:] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("## ")}
    assert {one.title for one in topics() if one.depth == 2} <= shell_comments
    assert "Exit codes" in titles


def test_an_unknown_topic_has_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean `exit-codes`"):
        topic("exit-code")


def test_the_command_lists_and_shows() -> None:
    listed = json.loads(pathcurate("docs", "--json").stdout)["topics"]
    assert [one["topic"] for one in listed] == [one.name for one in topics()]
    assert pathcurate("docs", "exit-codes").stdout.rstrip("\n") == topic("exit-codes").text
    assert pathcurate("docs", "nothing").returncode == 2


@pytest.mark.parametrize(
    ("words", "wanted"), [("cata", "catalog"), ("catalog comp", "compact"), ("scan --wor", "--workers")]
)
def test_bash_completes(words: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(pathcurate("completion", "bash").stdout)
    typed = ["pathcurate", *words.split()]
    script = (
        f"source completion; COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; "
        '_pathcurate_completion pathcurate; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert wanted in run.stdout.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_theirs(shell: str) -> None:
    said = pathcurate("completion", shell).stdout
    assert "_PATHCURATE_COMPLETE" in said
    assert f"{shell}_complete" in said
    assert "%(" not in said
