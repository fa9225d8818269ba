"""Link review: what people may say of links, what stands of it, and that nothing of it is forged."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import csv
import io
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.link.review import _standing, judged, standing_decisions
from pathcurate.link.reviewanswers import Imported
from pathcurate.link.reviewsheet import HEADS
from pathcurate.model.link import LINK_DECISIONS
from pathcurate.peoplecsv import csv_for_people, without_prefix
from pathcurate.reviews import remove_expired
from pathcurate.tables import column_values, from_rows
from tests.reviewdesk import NOW, RULES, Desk, Row, Sheet, as_csv, link, name, report


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, engine: Embedded) -> Desk:
    return Desk(tmp_path / "w", engine)


# --- What they say ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(desk: Desk) -> tuple[Desk, Sheet]:
    """Four slides were shown: of two cases, a conflict of them, and one without any."""
    desk.fill([link(1), link(2), link(3, "conflict", losing_candidates=["S24-1 barcode", "S24-2 folder"]),
               link(4, "none", losing_candidates=["S24-404 barcode"])],
              reports=[report(1), report(2), report(9, site="NB02", accession="S24-9")])  # fmt: skip
    return desk, desk.sheet()


def refused(imported: Imported) -> dict[str, str]:
    return {str(finding.subject): finding.rule for finding in imported.findings}


@pytest.mark.parametrize(
    ("heads", "separator", "encoding"),
    [
        (HEADS, ",", "utf-8-sig"), (HEADS, ";", "utf-8"), (HEADS, ";", "gb18030"), (HEADS[::-1], "\t", "utf-16"),
        (("Decision", "SLIDE_ID", "sheet", "reviewer"), ",", "utf-8"),
    ],
)  # fmt: skip
def test_a_sheet_comes_back_as_programs_save_it(
    asked: tuple[Desk, Sheet], heads: tuple[str, ...], separator: str, encoding: str
) -> None:
    desk, sheet = asked
    rows = sheet.answers((1, "confirm", ""), (2, "reject", ""), (3, "unsure", ""), reviewer="李伟")
    rows = [{**row, **{head: row[head.lower()] for head in heads}} for row in rows]
    empty = separator * (len(heads) - 1) + "\r\n"
    text = as_csv(rows, heads, separator, "utf-8").decode()
    lines = text.splitlines(keepends=True)
    imported = desk.answer((lines[0] + empty + "".join(lines[1:]) + empty + empty).encode(encoding))
    assert (imported.decisions, imported.refused) == ({"confirm": 1, "reject": 1, "unsure": 1}, 0)
    assert sorted(desk.decisions()) == [
        (name(1), "confirm", "S24-1"), (name(2), "reject", "S24-2"), (name(3), "unsure", None),
    ]  # fmt: skip
    stored = desk.catalog.read(LINK_DECISIONS)
    assert set(column_values(stored, "reviewer")) == {"李伟"}
    assert set(column_values(stored, "purpose")) == {"sample", "uncertain"}
    assert set(column_values(stored, "rule_set_sha")) == {RULES}


@pytest.mark.parametrize(
    ("words", "decision"),
    [
        (("confirm", "YES", "y", "是", "确认", "Ｙ", " confirm. "), "confirm"),
        (("reject", "No", "n", "否", "错误"), "reject"),
        (("unsure", "不确定", "?", "？"), "unsure"),
    ],
)  # fmt: skip
def test_words_for_a_decision(asked: tuple[Desk, Sheet], words: tuple[str, ...], decision: str) -> None:
    desk, sheet = asked
    for place, word in enumerate(words):
        imported = desk.answer(as_csv(sheet.answers((1, word, ""), reviewer=f"reviewer {place}")))
        assert imported.decisions == {decision: 1}, word


def test_a_case_is_named_in_any_spelling_and_for_this_site_only(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    said = {1: "s24-00002", 2: "Ｓ２４－１", 3: "S24-00001-A1", 4: "S24-9"}
    imported = desk.answer(as_csv(sheet.answers(*((n, "confirm", accession) for n, accession in said.items()))))
    assert sorted(desk.decisions()) == [(name(n), "confirm", case) for n, case in ((1, "S24-2"), (2, "S24-1"), (3, "S24-1"))]
    assert list(refused(imported).values()) == ["link.review_case"]
    assert "S24" not in imported.findings[0].message


def test_a_row_that_cannot_be_taken_keeps_no_other_out(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    shown = {row["slide_id"]: row for row in sheet.rows}

    def row(number: int, decision: str, accession: str = "", **more: str) -> Row:
        return {**shown[name(number)], "decision": decision, "accession": accession, **more}

    rows = [
        row(1, "confirm"),
        {**row(2, "confirm"), "slide_id": name(77)},
        {**row(2, "confirm"), "sheet": "link-20200101T000000Z-00000000"},
        row(2, "perhaps"),
        row(2, "", "S24-1"),
        row(2, "confirm", "S24-31337"),
        row(2, "reject", "S24-1"),
        row(3, "confirm"),
        row(3, "reject", "S24-1"),
        row(2, "confirm", reviewer="王\x1b[2J五"),
        row(4, ""),
        row(2, "confirm"),
    ]  # fmt: skip
    imported = desk.answer(as_csv(rows) + b"a,b,c,d,e,f,g,h,i,j,k,l,m\r\n")
    assert refused(imported) == {
        "row 3": "link.review_unknown", "row 4": "link.review_unknown", "row 5": "link.review_word",
        "row 6": "link.review_word", "row 7": "link.review_case", "row 8": "link.review_other_case",
        "row 9": "link.review_case", "row 10": "link.review_other_case", "row 11": "link.review_reviewer",
        "row 14": "link.review_misfit",
    }  # fmt: skip
    assert (imported.decisions, imported.refused, imported.unanswered) == ({"confirm": 2}, 10, 1)
    assert not any(text in finding.message for finding in imported.findings for text in ("S24", "31337", "perhaps", "王"))
    event = desk.audit()[-1]
    assert event["action"] == "link review import"
    assert (event["facts"]["decisions"], event["facts"]["refused"], event["facts"]["unanswered"]) == (2, 10, 1)


def test_a_sheet_of_another_workspace_is_refused_whole(asked: tuple[Desk, Sheet], tmp_path: Path) -> None:
    _, sheet = asked
    other = Desk(tmp_path / "other", asked[0].engine).fill([link(1)])
    other.sheet()
    for content in (as_csv(sheet.answers((1, "confirm", ""))), as_csv([]), as_csv(sheet.rows, ("slide_id", "decision"))):
        with pytest.raises(UsageError):
            other.answer(content)
    assert other.decisions() == []


def test_answers_are_taken_when_the_folder_is_gone(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    content = as_csv(sheet.answers((1, "confirm", "")))
    shutil.rmtree(sheet.folder)
    assert desk.answer(content, now=NOW + timedelta(days=40)).decisions == {"confirm": 1}


def test_answers_in_a_folder_whose_time_is_over_are_taken_before_it_goes(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    file = sheet.folder / "decisions.csv"
    imported = desk.answer(as_csv(sheet.answers((1, "confirm", ""))), now=NOW + timedelta(days=40), file=str(file))
    assert (imported.expired, imported.decisions) == (1, {"confirm": 1})
    assert not sheet.folder.exists()


def test_a_reviewer_is_named_by_row_then_option_then_user(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    rows = [*sheet.answers((1, "confirm", ""), reviewer="A"), *sheet.answers((2, "confirm", ""))]
    desk.answer(as_csv(rows), reviewer="B")
    desk.answer(as_csv(sheet.answers((3, "unsure", ""))))
    assert sorted(column_values(desk.catalog.read(LINK_DECISIONS), "reviewer")) == ["A", "B", "expert"]


def test_the_same_file_adds_nothing_and_a_changed_mind_wins(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    first = as_csv(sheet.answers((1, "confirm", ""), (2, "confirm", "")))
    second = as_csv(sheet.answers((1, "reject", ""), (2, "confirm", "")))
    assert desk.answer(first).decisions == {"confirm": 2}
    again = desk.answer(first)
    assert (again.decisions, again.unchanged) == ({}, 2)
    # The clock was put back in between.
    assert desk.answer(second, now=NOW - timedelta(days=1)).decisions == {"reject": 1}
    assert desk.standing() == [(name(1), "reject", "S24-1"), (name(2), "confirm", "S24-2")]
    assert desk.answer(first).decisions == {"confirm": 1}
    assert desk.standing() == [(name(1), "confirm", "S24-1"), (name(2), "confirm", "S24-2")]
    assert desk.answer(first).decisions == {}
    times = column_values(desk.catalog.read(LINK_DECISIONS), "decided_at")
    assert len(set(times)) == len(times) == 4


def test_two_reviewers_do_not_undo_each_other_by_repetition(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    mine, yours = (as_csv(sheet.answers((1, word, ""), reviewer=who)) for word, who in (("confirm", "A"), ("reject", "B")))
    desk.answer(mine)
    desk.answer(yours)
    assert desk.answer(mine).decisions == {}
    assert desk.standing() == [(name(1), "reject", "S24-1")]


def test_a_file_that_contradicts_itself_is_not_believed_there(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    rows = [*sheet.answers((1, "confirm", "")), *sheet.answers((1, "reject", "")), *sheet.answers((2, "confirm", ""))]
    imported = desk.answer(as_csv([*rows, *rows[2:]]))
    assert refused(imported) == {"row 2": "link.review_contradiction", "row 3": "link.review_contradiction"}
    assert desk.decisions() == [(name(2), "confirm", "S24-2")]


def test_no_file_is_too_broken_to_be_refused(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    whole = as_csv(sheet.answers((1, "confirm", ""), (2, "reject", ""), (3, "unsure", ""), reviewer="李伟"))
    rng, taken, messages = random.Random(11), Counter[str](), list[str]()
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 3, 30))):
            at = rng.randrange(len(content))
            content[at : at + rng.choice((0, 1, 40))] = rng.choice(
                (b"", b'"', b"\x00", b"\xff", b"\r", b";", b",,", rng.randbytes(5))
            )
        try:
            taken["taken"] += sum(desk.answer(bytes(content)).decisions.values())
        except (UsageError, InputOutputError) as error:
            taken["refused"] += 1
            messages.append(str(error))
    assert min(taken["taken"], taken["refused"]) > 2
    assert "李伟" not in "".join(messages)
    stored = desk.catalog.read(LINK_DECISIONS).to_pylist()
    assert {(row["slide_id"], row["sheet"]) for row in stored} <= {(name(n), sheet.folder.name) for n in (1, 2, 3)}


def test_a_rejection_is_of_one_case_or_of_all(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    desk.answer(as_csv(sheet.answers((1, "reject", "S24-00001"), (2, "reject", "＊"), (3, "reject", ""))))
    assert sorted(desk.decisions(), key=str) == [
        (name(1), "reject", "S24-1"), (name(2), "reject", None), (name(3), "reject", None),
    ]  # fmt: skip


def test_what_a_spreadsheet_program_would_run_comes_back_as_it_was() -> None:
    cells = ["=1+1", "+1", "-1", "@a", "\ta", "'=quoted", "plain", "", "O'Neil", "1-2"]
    content = csv_for_people(["head"], [[cell] for cell in cells]).decode("utf-8-sig")
    read = [row[0] if row else "" for row in csv.reader(io.StringIO(content, newline=""))][1:]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in read)
    assert [without_prefix(cell) for cell in read] == [cell if cell != "'=quoted" else "=quoted" for cell in cells]


# --- What stands -----------------------------------------------------------------------------------------------------

Said = tuple[str, str | None]


def decisions(said: Sequence[Said]) -> list[Row]:
    """Decisions about one slide, one after the other."""
    return [
        {"decision_id": f"{place:04d}", "slide_id": name(1), "site": "NB01", "decision": decision, "accession": accession,
         "decided_at": datetime(2026, 1, 1) + timedelta(seconds=place)}
        for place, (decision, accession) in enumerate(said)
    ]  # fmt: skip


def stands(said: Sequence[Said]) -> list[Said]:
    return [(row["decision"], row["accession"]) for row in _standing(decisions(said))]


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ([], set()),
        ([("unsure", None)], set()),
        ([("confirm", "A"), ("confirm", "B")], {("confirm", "B")}),
        ([("confirm", "A"), ("reject", "A")], {("reject", "A")}),
        ([("reject", "A"), ("confirm", "A")], {("confirm", "A")}),
        ([("reject", "A"), ("confirm", "B"), ("unsure", None)], {("reject", "A")}),
        ([("reject", "A"), ("reject", "B")], {("reject", "A"), ("reject", "B")}),
        ([("confirm", "A"), ("reject", "B")], {("confirm", "A"), ("reject", "B")}),
        ([("confirm", "A"), ("reject", None)], {("reject", None)}),
        ([("reject", None), ("confirm", "A")], {("confirm", "A")}),
        ([("reject", "A"), ("unsure", None)], {("reject", "A")}),
        ([("reject", "A"), ("reject", None), ("confirm", "B")], {("reject", "A"), ("confirm", "B")}),
    ],
)  # fmt: skip
def test_what_stands_of_decisions(said: list[Said], standing: set[Said]) -> None:
    found = stands(said)
    assert set(found) == standing
    assert len(found) == len(standing)


def test_what_stands_does_not_depend_on_the_order_of_rows(desk: Desk) -> None:
    rows = decisions([("reject", "A"), ("confirm", "A"), ("reject", "B"), ("unsure", None), ("confirm", "C")])
    rows += [{**row, "slide_id": name(2), "decision_id": f"x{row['decision_id']}"} for row in rows[:3]]
    # Of one moment, the greater identifier is later.
    rows += [{**rows[0], "slide_id": name(3), "decision_id": key, "decision": said}
             for key, said in (("a", "reject"), ("b", "confirm"))]  # fmt: skip
    random.Random(2).shuffle(rows)
    desk.catalog.replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, rows))
    assert standing_decisions(desk.catalog).column_names == ["slide_id", "site", "accession", "decision", "decided_at"]
    assert desk.standing() == [
        (name(1), "reject", "B"), (name(1), "confirm", "C"), (name(2), "confirm", "A"), (name(2), "reject", "B"),
        (name(3), "confirm", "A"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(("confirm", "reject", "unsure")), st.sampled_from(("A", "B", None))), max_size=7))
@settings(max_examples=40)
def test_what_stands_never_contradicts_itself(said: list[Said]) -> None:
    said = [(decision, None if decision == "unsure" else accession or ("A" if decision == "confirm" else None))
            for decision, accession in said]  # fmt: skip
    found = set(stands(said))
    confirmed = {accession for decision, accession in found if decision == "confirm"}
    assert len(confirmed) <= 1
    assert not confirmed & {accession for decision, accession in found if decision == "reject"}
    assert not (confirmed and ("reject", None) in found)
    if said and said[-1][0] != "unsure":
        assert said[-1] in found


def test_a_sampled_answer_is_not_replaced_by_that_of_a_doubtful_link(desk: Desk) -> None:
    rows = [
        {"decision_id": f"d{place}", "slide_id": name(1), "site": "NB01", "decision": decision, "tier": tier,
         "proposed_accession": "A", "purpose": purpose, "rule_set_sha": RULES,
         "decided_at": datetime(2026, 1, 1) + timedelta(days=place)}
        for place, (decision, tier, purpose) in enumerate([
            ("confirm", "exact", "sample"), ("reject", "exact", "sample"), ("unsure", "none", "uncertain"),
            ("confirm", "none", "uncertain")])
    ]  # fmt: skip
    desk.catalog.replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, rows[::-1]))
    found = judged(desk.catalog)
    assert [(row["purpose"], row["tier"], row["decision"]) for row in found.to_pylist()] == [
        ("sample", "exact", "reject"), ("uncertain", "none", "confirm"),
    ]  # fmt: skip
    assert judged(Desk(desk.workspace.root.parent / "empty", desk.engine).catalog).num_rows == 0


# --- What ends -------------------------------------------------------------------------------------------------------


def test_what_is_in_review_ends_when_its_time_is_over(asked: tuple[Desk, Sheet]) -> None:
    desk, sheet = asked
    review = sheet.folder.parent
    outside = desk.workspace.root / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    (review / "link-elsewhere").symlink_to(outside, target_is_directory=True)
    (review / "find-20200101T000000Z-0.txt").write_text("x")
    (review / "reidentify-20200101T000000Z-0.csv").write_text("x")
    (review / "notes of mine.txt").write_text("x")
    (review / "labels-20200101").mkdir()
    (review / "link-broken").mkdir()
    (review / "link-broken" / "sheet.json").write_text('{"expires_at": "soon"}')
    made = datetime.fromtimestamp((review / "link-broken").stat().st_mtime, UTC)
    assert remove_expired(desk.workspace, NOW + timedelta(days=13, hours=23)) == 0
    remove_expired(desk.workspace, made + timedelta(days=13))
    assert (review / "find-20200101T000000Z-0.txt").exists()
    assert (review / "reidentify-20200101T000000Z-0.csv").exists()
    assert (review / "link-broken").exists()
    assert remove_expired(desk.workspace, max(made, NOW) + timedelta(days=15)) in {3, 4}
    assert {path.name for path in review.iterdir()} == {"link-elsewhere", "notes of mine.txt", "labels-20200101"}
    assert (outside / "kept").exists()
    assert remove_expired(Desk(desk.workspace.root.parent / "bare", desk.engine).workspace, NOW) == 0
