"""A sheet of questions becomes a sealed evaluation: questions go out, answers stay, and nothing tells one from the other."""

import csv
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.product.questionsets import seal_questions
from pathcurate.questionsheet import QuestionSheet, read_question_sheet
from pathcurate.sealedsets import SealedSet, read_sealed_set
from pathcurate.sealing import open_labels
from pathcurate.vault import create_vault, open_vault, read_events
from pathcurate.workspace import load_workspace
from tests.commandline import Done, pathcurate
from tests.products import tree

HEADS = ("题号", "科目", "题干", "A", "选项B", "option_c", "答案", "解析")
Lines = Sequence[Sequence[str]]


def questions(count: int = 60) -> list[list[str]]:
    draw = random.Random(7)
    return [
        [f"QX{number:03}", draw.choice(["胃", "肺"]), f"第{number}例的诊断？", "腺癌", "鳞癌", "良性", draw.choice("ABC"),
         f"EXPLAINED{number}"]
        for number in range(count)
    ]  # fmt: skip


def sheet(path: Path, rows: Lines | None = None, heads: Sequence[str] = HEADS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *(rows or questions())])
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("questions") / "w"
    root.mkdir()
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: quiz\nsites: [{code: NB01}]\n")
    create_vault(root / "vault")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "w")
    return tmp_path / "w"


def sealed(root: Path, given: QuestionSheet, target: Path, version: str = "1.0.0", **parts: Any) -> tuple[SealedSet, bool]:
    return seal_questions(load_workspace(root / "pathcurate.yaml"), given, "quiz", version, target, actor="lab", **parts)


def answers(root: Path, target: Path) -> dict[str, str]:
    at = read_sealed_set(target)
    labels = open_labels(open_vault(root / "vault"), "quiz", at.task.version, at.commitment)
    return dict(zip(labels["unit_id"].to_pylist(), labels["truth"].to_pylist(), strict=True))


# --- Sealing -------------------------------------------------------------------------------------------------------------


def test_questions_go_out_and_answers_stay(root: Path, tmp_path: Path) -> None:
    at, is_new = sealed(root, read_question_sheet(sheet(tmp_path / "q.csv")), tmp_path / "quiz")
    assert is_new
    assert (at.task.task, at.task.rows, at.task.classes, at.task.has_topics) == ("choice", 60, ("A", "B", "C"), True)
    items = pq.read_table(tmp_path / "quiz" / "items.parquet")
    assert items.column_names == ["item_id", "topic", "question", "options"]
    assert items["options"].to_pylist()[0][1] == {"answer": "B", "text": "鳞癌"}
    told = b"".join(tree(tmp_path / "quiz").values())
    assert b"EXPLAINED" not in told
    assert b"QX0" not in told
    by_text = {row[2]: row[6] for row in questions()}
    shown = dict(zip(items["item_id"].to_pylist(), items["question"].to_pylist(), strict=True))
    assert {shown[code]: answer for code, answer in answers(root, tmp_path / "quiz").items()} == by_text


def test_other_answers_change_nothing_but_the_commitment(root: Path, tmp_path: Path) -> None:
    """Nor does the order of the sheet say anything, which may be one by answers."""
    rows = questions()
    others = sorted([[*row[:6], "ABC"[("ABC".index(row[6]) + 1) % 3], *row[7:]] for row in rows], key=lambda row: row[6])
    other = shutil.copytree(root, tmp_path / "w2")
    sealed(root, read_question_sheet(sheet(tmp_path / "q.csv", rows)), tmp_path / "a")
    sealed(other, read_question_sheet(sheet(tmp_path / "q2.csv", others)), tmp_path / "b")
    first, second = tree(tmp_path / "a"), tree(tmp_path / "b")
    assert {name for name in first if first[name] != second[name]} == {"evaluation/commitment.json", "sha256sums.txt"}
    commitments = [json.loads(one["evaluation/commitment.json"]) for one in (first, second)]
    assert {name for name in commitments[0] if commitments[0][name] != commitments[1][name]} == {"commitment"}


def test_the_same_sheet_again_is_the_same_and_another_is_refused(root: Path, tmp_path: Path) -> None:
    given = read_question_sheet(sheet(tmp_path / "q.csv"))
    sealed(root, given, tmp_path / "quiz")
    before = tree(tmp_path / "quiz")
    assert not sealed(root, given, tmp_path / "quiz")[1]
    sealed(root, given, tmp_path / "again")
    assert tree(tmp_path / "quiz") == before == tree(tmp_path / "again")
    rows = questions()
    rows[5][6] = "B" if rows[5][6] == "A" else "A"
    with pytest.raises(DigestMismatchError, match="other labels"):
        sealed(root, read_question_sheet(sheet(tmp_path / "q2.csv", rows)), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    sealed(root, read_question_sheet(tmp_path / "q2.csv"), tmp_path / "other", version="1.0.1")
    actions = [event.action for event in read_events(root / "vault")]
    assert actions == ["product seal"] * 3


def test_columns_that_are_named_go_out_too(root: Path, tmp_path: Path) -> None:
    given = read_question_sheet(sheet(tmp_path / "q.csv"), ["解析"])
    assert given.withheld == ()
    sealed(root, given, tmp_path / "quiz")
    assert "EXPLAINED7" in pq.read_table(tmp_path / "quiz" / "items.parquet")["解析"].to_pylist()
    with pytest.raises(UsageError, match="no other column"):
        read_question_sheet(tmp_path / "q.csv", ["答案"])


@pytest.mark.parametrize(
    ("name", "version"), [("Quiz", "1.0.0"), ("../x", "1.0.0"), ("quiz", "1"), ("quiz", "../1.0.0"), ("quiz", "1.0.0\n")]
)
def test_names_and_versions_of_another_form_are_refused(root: Path, tmp_path: Path, name: str, version: str) -> None:
    given = read_question_sheet(sheet(tmp_path / "q.csv"))
    with pytest.raises(UsageError):
        seal_questions(load_workspace(root / "pathcurate.yaml"), given, name, version, tmp_path / "quiz", actor="lab")
    assert not (tmp_path / "quiz").exists()
    assert not (root / "vault" / "sealed").exists()


# --- Sheets --------------------------------------------------------------------------------------------------------------


def test_a_workbook_json_lines_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = questions(12)
    expected = read_question_sheet(sheet(tmp_path / "q.csv", rows))
    book = openpyxl.Workbook()
    for row in (HEADS, *rows):
        book.active.append(list(row))
    book.save(tmp_path / "q.xlsx")
    lines = [
        {"id": row[0], "topic": row[1], "question": row[2], "options": row[3:6], "answer": row[6], "解析": row[7]}
        for row in rows
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    assert read_question_sheet(tmp_path / "q.xlsx") == expected
    assert read_question_sheet(tmp_path / "q.jsonl") == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [("A", ("A",)), ("a", ("A",)), ("C;A", ("A", "C")), ("A、C", ("A", "C")), ("AC", ("A", "C")), ("A, A", ("A",))],
)
def test_several_answers_in_the_ways_they_are_written(tmp_path: Path, written: str, meant: tuple[str, ...]) -> None:
    rows = questions(3)
    rows[1][6] = written
    assert read_question_sheet(sheet(tmp_path / "q.csv", rows)).questions[1].answer == meant


def test_every_fault_is_named_by_its_question(tmp_path: Path) -> None:
    rows = questions(40)
    rows[1][0] = rows[0][0]
    rows[2][0] = ""
    rows[3][2] = ""
    rows[4][6] = ""
    rows[5][6] = "E"
    rows[6][2] = "诊断？（答案：B）"
    rows[7][3] = "Correct answer: this"
    for row in rows[10:35]:
        row[2] = ""
    with pytest.raises(InputOutputError) as caught:
        read_question_sheet(sheet(tmp_path / "q.csv", rows))
    told = caught.value.message
    assert "an item_id that another row has: question 2\n" in told
    assert "no item_id of 1 to 200 characters: question 3\n" in told
    assert "no answer: question 5" in told
    assert "none of its options: question 6" in told
    assert "an answer written into the question: question 7, 8" in told
    assert "no question: question 4, 11, 12" in told
    assert "and 6 more" in told
    assert "QX" not in told
    assert "诊断" not in told


def test_a_sheet_without_answers_says_how_to_name_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column answer") as caught:
        read_question_sheet(sheet(tmp_path / "q.csv", heads=("题号", "科目", "题干", "A", "B", "C", "key", "解析")))
    assert "正确答案" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 1}\n[]', b"PAR1", b"\x00" * 100])
def test_files_that_are_no_sheet_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "q").write_bytes(content)
    with pytest.raises((InputOutputError, UsageError)):
        read_question_sheet(tmp_path / "q")


# --- From sealing to unsealing -------------------------------------------------------------------------------------------


def ran(root: Path, *words: str | Path) -> Done:
    return pathcurate(*words, "-w", root)


def answered(path: Path, said: dict[str, str]) -> Path:
    return sheet(path, list(said.items()), ("item_id", "answer"))


def test_questions_from_sealing_to_unsealing(root: Path, tmp_path: Path) -> None:
    quiz = tmp_path / "quiz"
    done = ran(root, "product", "seal", sheet(tmp_path / "q.csv"), "--name", "quiz", "--version", "1.0.0", "--to", quiz)
    assert done.returncode == 0, done.stderr
    assert "60 questions are sealed" in done.stdout
    assert "not in it: column 解析" in done.stdout
    right = answers(root, quiz)
    said = dict.fromkeys(right, "A")
    done = ran(root, "evaluate", quiz, answered(tmp_path / "a.csv", said), "--drawings", "20", "--json")
    assert done.returncode == 0, done.stderr
    (exact,) = [one["value"] for one in json.loads(done.stdout)["overall"]["scores"] if one["metric"] == "exact"]
    assert exact == pytest.approx(list(right.values()).count("A") / 60, abs=1e-4)
    assert ran(root, "evaluate", quiz, answered(tmp_path / "peeked.csv", right), "--drawings", "20").returncode == 13
    assert ran(root, "product", "unseal", quiz, "--found", tmp_path / "peeked.csv").returncode == 4
    assert ran(root, "product", "unseal", quiz, "--to", tmp_path / "key", "--reason", "over").returncode == 0
    assert ran(root, "product", "unseal", quiz, "--found", tmp_path / "peeked.csv").returncode == 0
    shutil.rmtree(root)
    assert pathcurate("product", "unseal", quiz, "--check", tmp_path / "key").returncode == 0
    out = pathcurate("evaluate", quiz, tmp_path / "peeked.csv", "--labels", tmp_path / "key", "--drawings", "20",
                     "--to", tmp_path / "out")  # fmt: skip
    assert out.returncode == 0, out.stderr
    (quiz / "items.parquet").write_bytes(b"other")
    assert pathcurate("product", "unseal", quiz, "--check", tmp_path / "key").returncode == 4
