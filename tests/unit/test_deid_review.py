"""The review of scrubbed texts: what people are asked, and what their answers do to the next scrubbing."""

import csv
import io
import json
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate import __version__, deid
from pathcurate.cli.main import run
from pathcurate.deid import review
from pathcurate.deid.review import ANSWERS_FILE, HEADS, PAGE_FILE, Exported, export_review
from pathcurate.deid.reviewanswers import Imported, import_answers
from pathcurate.deid.reviewdraw import Choice, Seen, find_suspicious
from pathcurate.deid.texts import ALL
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.finding import ADVICE, FINDINGS
from pathcurate.model.text import TEXT_DECISIONS
from pathcurate.model.textreview import TEXT_REVIEWS, text_quality
from pathcurate.reviews import SHEET_FILE
from pathcurate.scrubbers.text.suspicion import REASONS
from pathcurate.tables import Catalog, read_parquet
from pathcurate.vault import broken_event
from pathcurate.verification import demand_texts
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import open_clinic, report, slide

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
NAME, PHONE, NUMBER = "欧阳靖远", "13800138000", "10086001"
OTHER = "mirko ostrander"
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>编号 =cmd|' /C calc'!A0，"
    "\u202e次序颠倒\u202c，+WX20245513，-B778812，@SUM(1)。"
)
TEXTS = {
    1: f"患者{NAME}，住院号{NUMBER}，电话{PHONE}，2023年3月1日送检。\n"
    f"（左乳）浸润性导管癌。由刘洋医师阅片，{NAME}之女陪同。",
    2: "（右乳）纤维腺瘤，未见恶性。家住王家村，片号O13800138OOO。由刘洋医师阅片。",
    3: "镜下：肿瘤细胞呈巢状，核分裂象5/10HPF，CD117(+)。Zhang Wenbo 复阅，曾于杭州市第一医院就诊。",
    4: HOSTILE,
    5: "灰白结节一枚，大小2.5×2×1.8cm，A1-A3。",
    6: ("肿瘤细胞大小一致，间质淋巴细胞浸润，请结合临床。" * 1500)[:34_000],
    # Another patient's name, as no rule would find it: the search for all known identifiers leaves the text out.
    7: f"左肺组织一块切面见{OTHER}样结构无殊。",
}
Row = dict[str, Any]


def _run(_engine: Embedded, kernel: Any, batches: Any, spec: Any, _schema: pa.Schema, **_: Any) -> Iterator[pa.RecordBatch]:
    pickle.dumps((kernel, spec))
    for batch in batches:
        yield kernel(batch, spec)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run in this process: what they find is asked here, not where."""
    monkeypatch.setattr(Embedded, "run", _run)


@pytest.fixture(scope="module")
def scrubbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose texts are scrubbed; nobody may change it."""
    root = tmp_path_factory.mktemp("texts") / "clinic"
    reports = [
        report(
            number, accession=f"S23-{number:05}", site="NB02" if number > 4 else "NB01", patient_id=f"1008600{number}",
            patient_name={1: NAME, 3: OTHER.title()}.get(number, "李晓白"), phone=PHONE if number == 1 else None,
            diagnosis=text, text_digest=str(number),
        )
        for number, text in TEXTS.items()
    ]  # fmt: skip
    workspace = open_clinic(root, slides=[slide(1)], keys={}, reports=reports, events=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Embedded, "run", _run)
        with Embedded(workers=1, temp_directory=root / ".spill") as engine:
            assert deid.apply(workspace, actor="tester", engine=engine, texts=ALL).faults == ()
    return root


class Desk:
    """A workspace with scrubbed texts, and an engine."""

    def __init__(self, root: Path, engine: Embedded) -> None:
        self.workspace: Workspace = load_workspace(root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)
        self.engine = engine

    def export(self, *, now: datetime = NOW, days: int = 14, **choice: Any) -> "Sheet":
        exported = export_review(self.workspace, self.engine, Choice(**choice), now=now, expires_days=days, actor="expert")
        return Sheet(exported)

    def answer(self, rows: Sequence[Mapping[str, str]], *, now: datetime = NOW, actor: str = "expert") -> Imported:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, HEADS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        file = self.workspace.root / "answers.csv"
        file.write_bytes(text.getvalue().encode("utf-8-sig"))
        return import_answers(self.workspace, self.engine, file, now=now, actor=actor)

    def scrub(self) -> str:
        """All texts as they are scrubbed now."""
        deid.apply(self.workspace, actor="tester", engine=self.engine, texts=ALL)
        return self.texts()

    def texts(self) -> str:
        """All texts as they were scrubbed last."""
        return "\n".join(map(str, read_parquet(self.workspace.deid / "texts" / "texts.parquet")["text"].to_pylist()))

    def findings(self) -> list[str]:
        """What the last scrubbing had to say."""
        return [row["message"] for row in self.catalog.read(FINDINGS).to_pylist()]

    def decisions(self) -> dict[tuple[str, str], str]:
        rows = self.catalog.read(TEXT_DECISIONS).to_pylist()
        return {(row["site"], row["word"]): row["decision"] for row in rows}

    def review_folder(self) -> list[str]:
        folder = self.workspace.catalog / "review"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def audit(self) -> list[Row]:
        assert broken_event(self.workspace.vault) is None
        lines = (self.workspace.vault / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


class Sheet:
    """A sheet as a person finds it."""

    def __init__(self, exported: Exported) -> None:
        assert exported.folder is not None
        self.exported, self.folder = exported, exported.folder
        self.page = (self.folder / PAGE_FILE).read_text(encoding="utf-8")
        self.raw = (self.folder / ANSWERS_FILE).read_bytes().decode("utf-8-sig")
        self.rows = list(csv.DictReader(io.StringIO(self.raw)))
        self.words = {row["word"][1:-1]: row for row in self.rows if row["word"]}

    def word(self, word: str, answer: str, **other: str) -> Row:
        """The row of a word with an answer."""
        return {**self.words[word], "answer": answer, **other}

    def text(self, part: str) -> Row:
        """The row of the text that holds this."""
        for item in re.split(r"<article ", self.page)[1:]:
            if part in re.sub(r"<[^>]*>", "", item.partition("</div>\n<")[2] or item):
                name = re.search(r'data-item="(T\d+)"', item)
                assert name
                return next(row for row in self.rows if row["item"] == name[1])
        raise AssertionError(part)


@pytest.fixture
def desk(scrubbed: Path, tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "clinic"
    shutil.copytree(scrubbed, root)
    with Embedded(workers=1, temp_directory=root / ".spill") as engine:
        yield Desk(root, engine)


# --- export --------------------------------------------------------------------------------------------------------


def test_a_text_that_cannot_be_searched_ends_no_run() -> None:
    batch = pa.RecordBatch.from_pylist([{"text": "患者张三", "removals": "[]"}, {"text": "x", "removals": "broken"}])
    good, bad = find_suspicious(batch, None).to_pylist()
    assert (good["error"], len(good["suspicious"])) == (None, 1)
    assert (bad["error"], bad["suspicious"]) == ("JSONDecodeError", [])


def test_a_sheet_shows_what_was_removed_and_asks_about_words_that_may_be_wrong(desk: Desk) -> None:
    sheet = desk.export(withheld=0)
    assert f'<mark class="person" tabindex="0" data-note="patient · known.name"><bdi>{NAME}</bdi></mark>' in sheet.page
    assert '<mark class="date" tabindex="0"' in sheet.page
    assert {"刘洋", "杭州市第一医院"} <= set(sheet.words)
    # What is known is certain, days and telephones are seldom anything else, and medicine is not asked about.
    assert not {NAME, PHONE, NUMBER, "2023年3月1日", "CD117"} & set(sheet.words)
    assert sheet.words["刘洋"]["times"] == "2"
    assert len({row["item"] for row in sheet.rows}) == len(sheet.rows)
    assert desk.audit()[-1]["action"] == "deid review export"
    assert desk.audit()[-1]["facts"]["texts"] == 6


def test_a_sheet_is_for_its_owner_only_and_comes_whole(desk: Desk) -> None:
    sheet = desk.export()
    assert sheet.folder.parent == desk.workspace.catalog / "review"
    assert sheet.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in sheet.folder.iterdir()} == {
        PAGE_FILE: 0o600, ANSWERS_FILE: 0o600, SHEET_FILE: 0o600,
    }  # fmt: skip
    assert desk.review_folder() == [sheet.folder.name]


def test_hostile_texts_stay_text(desk: Desk) -> None:
    sheet = desk.export()
    assert sheet.page.count("<script>") == 1
    assert sheet.page.count("</script>") == 1
    assert "<img" not in sheet.page
    assert "\u202e" not in sheet.page
    assert "[U+202E]次序颠倒[U+202C]" in sheet.page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', sheet.page)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", policy[1])
    assert "unsafe-inline" not in policy[1].partition("script-src")[2]
    assert not [cell for row in csv.reader(io.StringIO(sheet.raw)) for cell in row if cell[:1] in tuple("=+-@\t")]
    assert TEXTS[6] in sheet.page, "a text of 100 kB is shown whole"


def test_a_larger_sample_holds_a_smaller_one_and_a_seed_draws_others(desk: Desk) -> None:
    def shown(number: int, seed: int = 0) -> list[str]:
        sheet = desk.export(
            withheld=0, sample=number, suspicious=0, rare=0, seed=seed, now=NOW + timedelta(seconds=number + seed)
        )
        asked = json.loads((sheet.folder / SHEET_FILE).read_bytes())
        return [row["report_id"] for row in asked["texts"]]

    three = shown(3)
    assert shown(5)[:3] == three
    assert any(shown(3, seed) != three for seed in range(10, 14))


def test_suspicious_and_rare_texts_are_shown_beside_the_sample_and_none_twice(desk: Desk) -> None:
    sheet = desk.export(sample=0, suspicious=3, rare=2)
    asked = json.loads((sheet.folder / SHEET_FILE).read_bytes())["texts"]
    assert sheet.exported.purposes.get("suspicious", 0) >= 1
    assert len({row["report_id"] for row in asked}) == len(asked)
    assert "灰白结节" not in sheet.page, "nothing in it is suspicious, and nothing was removed"


def test_a_text_that_is_left_out_shows_what_keeps_it_out_until_that_is_removed(desk: Desk) -> None:
    assert "左肺组织" not in desk.texts()
    sheet = desk.export(sample=0, suspicious=0, rare=0)
    assert sheet.exported.purposes == {"withheld": 1}
    assert re.search(rf'<span class="doubt" [^>]*known of somebody[^>]*><bdi>{OTHER}</bdi></span>', sheet.page)
    # Keeping it would show a patient's name; whoever finds a way to say so changes nothing.
    refused = desk.answer([sheet.word(OTHER, "keep")])
    assert ([finding.rule for finding in refused.findings], refused.decisions) == (["deid.review_known"], {})
    assert desk.answer([{**sheet.text("左肺组织"), "word": OTHER, "answer": "keep"}]).decisions == {"keep": 1}
    assert "左肺组织" not in desk.scrub()
    sheet = desk.export(sample=0, suspicious=0, rare=0)
    assert desk.answer([sheet.word(OTHER, "remove")]).decisions == {"remove": 1}
    assert "左肺组织一块切面见⟦other⟧样结构无殊" in desk.scrub()


def test_one_site_alone(desk: Desk) -> None:
    sheet = desk.export(sites=("NB02",))
    assert "灰白结节" in sheet.page
    assert (sheet.exported.read, sheet.exported.purposes) == (2, {"withheld": 1, "sample": 2})


def test_a_cohort_that_was_not_scrubbed_is_refused(desk: Desk) -> None:
    with pytest.raises(PlanIncompleteError, match="no cohort of that name"):
        desk.export(cohort="nowhere")
    assert desk.review_folder() == []


def test_texts_that_were_not_scrubbed_or_are_out_of_date_are_not_shown(desk: Desk) -> None:
    sheet = desk.export()
    assert desk.answer([sheet.word("刘洋", "remove")]).decisions == {"remove": 1}
    with pytest.raises(PlanIncompleteError, match="text_decisions changed"):
        desk.export()
    shutil.rmtree(desk.workspace.deid / "texts")
    with pytest.raises(PlanIncompleteError, match="no texts were scrubbed"):
        desk.export()


def test_an_export_that_is_killed_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for step in ("text_review_page", "csv_for_people", "append_event"):
        with monkeypatch.context() as patch:
            patch.setattr(review, step, stop)
            with pytest.raises(KeyboardInterrupt):
                desk.export(sample=1, suspicious=0, rare=0)
        assert desk.review_folder() == []
    # A process that ends at once cannot tidy up; the next export does.
    (desk.workspace.catalog / "review" / ".text-half").mkdir()
    assert desk.export().exported.expired == 1


# --- import --------------------------------------------------------------------------------------------------------


def test_decisions_change_the_next_scrub_and_what_is_known_of_a_patient_is_never_kept(desk: Desk) -> None:
    before = desk.texts()
    assert "刘洋" not in before
    assert "纤维腺瘤" in before
    sheet = desk.export()
    first, second, third = map(sheet.text, ("浸润性导管癌", "纤维腺瘤", "肿瘤细胞呈巢状"))
    imported = desk.answer(
        [
            sheet.word("刘洋", "keep"),
            {**second, "word": "「纤维腺瘤」", "answer": "删除"},
            {**second, "answer": "有遗漏"},
            sheet.word("杭州市第一医院", "本院"),
            {**third, "word": "Zhang Wenbo", "answer": "staff"},
            *({**first, "word": f"「{word}」", "answer": "keep"} for word in (NAME, NUMBER, PHONE)),
        ]
    )
    assert (imported.refused, imported.reviewed) == (0, 1)
    assert imported.decisions == {"keep": 4, "remove": 1, "hospital": 1, "staff": 1}
    assert imported.stale == 4, "all texts of the site, and none of the other"
    assert [(row["is_missed"], row["is_wrong"]) for row in desk.catalog.read(TEXT_REVIEWS).to_pylist()] == [(True, False)]
    after = desk.scrub()
    assert "由刘洋医师阅片" in after
    assert "纤维腺瘤" not in after
    assert "曾于⟦hospital:NB01⟧就诊" in after
    assert re.search(r"⟦staff:H-\w{16}⟧ 复阅", after)
    assert not [word for word in (NAME, NUMBER, PHONE) if word in after]


def test_a_text_in_which_something_was_missed_is_held_back_until_more_goes_or_another_look(desk: Desk) -> None:
    sheet = desk.export()
    row = sheet.text("灰白结节")
    imported = desk.answer([{**row, "answer": "missed"}])
    assert (imported.reviewed, imported.stale) == (1, 1)
    with pytest.raises(PlanIncompleteError, match="reviewers found fault with changed"):
        demand_texts(desk.workspace)
    assert "灰白结节" not in desk.scrub(), "nobody said which word it was, and still it must not go out"
    rules = desk.findings()
    assert rules.count("a text is left out because it still holds what a reviewer says was missed") == 1
    # A later look that finds nothing wrong lets it out.
    assert desk.answer([{**row, "answer": "right"}], now=NOW + timedelta(hours=1)).refused == 0
    assert "灰白结节" in desk.scrub()
    # And so does a word that is taken out: it is another text then.
    assert desk.answer([{**row, "answer": "missed"}], now=NOW + timedelta(hours=2)).refused == 0
    assert "灰白结节" not in desk.scrub()
    named = {**row, "word": "结节", "answer": "remove"}
    assert desk.answer([named], now=NOW + timedelta(hours=3)).decisions == {"remove": 1}
    assert "灰白⟦other⟧" in desk.scrub()


def test_a_later_decision_wins_and_the_same_file_again_adds_nothing(desk: Desk) -> None:
    sheet = desk.export()
    rows = [sheet.word("刘洋", "keep"), {**sheet.text("灰白结节"), "answer": "right"}]
    assert desk.answer(rows).decisions == {"keep": 1}
    again = desk.answer(rows)
    assert (again.decisions, again.unchanged, again.stale) == ({}, 1, 0)
    assert desk.catalog.read(TEXT_REVIEWS).num_rows == 1
    assert desk.answer([sheet.word("刘洋", "remove")]).decisions == {"remove": 1}
    assert desk.decisions() == {("NB01", "刘洋"): "remove"}


def test_words_that_were_decided_about_are_not_suspicious_again(desk: Desk) -> None:
    first = desk.export(withheld=0, sample=0, rare=0)
    suspicious = [row for row in first.rows if row["word"] and row["why"] in REASONS]
    assert suspicious
    desk.answer([{**row, "answer": "keep"} for row in suspicious])
    desk.scrub()
    exported = export_review(
        desk.workspace, desk.engine, Choice(withheld=0, sample=0, rare=0), now=NOW, expires_days=1, actor="expert"
    )
    assert exported.folder is None
    assert exported.quality is None


def test_rows_that_cannot_be_taken_are_named_and_keep_no_other_out(desk: Desk) -> None:
    sheet = desk.export()
    text, other = sheet.text("灰白结节"), sheet.text("肿瘤细胞呈巢状")
    name = text["sheet"]
    imported = desk.answer([
        {"sheet": name, "item": "W999", "answer": "keep"},
        {"sheet": "text-20200101T000000Z-0123456789abcdef", "item": "T1", "answer": "right"},
        sheet.word("刘洋", "perhaps"),
        {**sheet.word("刘洋", "remove"), "word": "「杭州市第一医院」"},
        {**text, "word": "「一词不在此」", "answer": "remove"},
        {**text, "word": "枚", "answer": "remove"},
        {**text, "answer": "right"},
        {**text, "answer": "wrong"},
        {**other, "answer": "right"},
        {**other, "word": "巢状", "answer": "remove"},
        sheet.word("杭州市第一医院", "remove"),
        {**sheet.word("刘洋", ""), "word": ""},
        {**text, "answer": "keep"},
    ])  # fmt: skip
    rules = {int(str(finding.subject)[4:]): finding.rule.removeprefix("deid.review_") for finding in imported.findings}
    assert rules == {
        2: "unknown", 3: "unknown", 4: "word", 5: "other_word", 6: "no_word", 7: "no_word", 8: "contradiction",
        9: "contradiction", 10: "contradiction", 14: "word",
    }  # fmt: skip
    assert imported.decisions == {"remove": 2}
    assert imported.reviewed == 0
    assert {finding.rule for finding in imported.findings} <= set(ADVICE)
    said = " ".join(finding.message for finding in imported.findings)
    assert not [word for word in ("刘洋", "杭州", "一词", "巢状", "枚", "perhaps") if word in said]


def test_two_answers_about_one_word_are_both_refused(desk: Desk) -> None:
    sheet = desk.export()
    imported = desk.answer([sheet.word("刘洋", "keep"), {**sheet.text("纤维腺瘤"), "word": "刘洋", "answer": "remove"}])
    assert [finding.rule for finding in imported.findings] == ["deid.review_contradiction"] * 2
    assert desk.decisions() == {}
    assert desk.catalog.snapshot(TEXT_DECISIONS) is None, "texts need not be scrubbed again for nothing"


def test_a_page_whose_time_is_over_is_refused_and_goes(desk: Desk) -> None:
    sheet = desk.export(days=3)
    row = sheet.word("刘洋", "remove")
    with pytest.raises(UsageError, match="time of that review is over"):
        desk.answer([row], now=NOW + timedelta(days=3))
    assert desk.decisions() == {}
    assert desk.export(now=NOW + timedelta(days=4)).exported.expired == 1
    with pytest.raises(UsageError, match="no review of texts that is open here"):
        desk.answer([row], now=NOW + timedelta(days=4))


def test_answers_to_what_was_not_exported_here_are_refused(desk: Desk) -> None:
    sheet = desk.export()
    for name in ("", "../../../etc", "text-20260304T050600Z-0000000000000000", "=cmd", "text-", "x" * 300):
        with pytest.raises(UsageError, match="no review of texts that is open here"):
            desk.answer([{**sheet.word("刘洋", "remove"), "sheet": name}])


def test_a_sheet_that_was_changed_is_refused(desk: Desk) -> None:
    sheet = desk.export()
    path = sheet.folder / SHEET_FILE
    content = path.read_text(encoding="utf-8")
    for changed in (content.replace("刘洋", "张伟"), content[:-40], content.replace("2026-03-18", "2027-03-18"), "[]", "{}"):
        path.write_text(changed, encoding="utf-8")
        with pytest.raises(UsageError, match="is damaged"):
            desk.answer([sheet.word("刘洋", "remove")])


def test_whoever_imports_is_the_reviewer_and_the_trail_has_counts_only(desk: Desk) -> None:
    sheet = desk.export()
    desk.answer([sheet.word("刘洋", "remove"), {**sheet.text("灰白结节"), "answer": "全部正确"}], actor="dr_chen")
    (row,) = desk.catalog.read(TEXT_DECISIONS).to_pylist()
    assert (row["reviewer"], row["decided_at"]) == ("dr_chen", NOW.replace(tzinfo=None))
    event = desk.audit()[-1]
    assert (event["action"], event["actor"]) == ("deid review import", "dr_chen")
    assert event["facts"] == {"remove": 1, "unchanged": 0, "texts": 1, "refused": 0, "version": __version__}
    assert "刘洋" not in (desk.workspace.vault / "audit.jsonl").read_text(encoding="utf-8")


# --- how good scrubbing is -----------------------------------------------------------------------------------------


def review_row(report_id: str, *, missed: bool = False, wrong: bool = False, **values: Any) -> Row:
    return {
        "report_id": report_id, "text_column": "diagnosis", "purpose": "sample", "version": "1", "is_missed": missed,
        "is_wrong": wrong, "reviewed_at": NOW, **values,
    }  # fmt: skip


def test_the_quality_is_that_of_the_sample_under_this_version() -> None:
    reviews = [review_row(str(number), missed=number == 0, wrong=number < 3) for number in range(20)]
    reviews += [review_row("s", missed=True, purpose="suspicious"), review_row("o", missed=True, version="0")]
    quality = text_quality(reviews, "1")
    assert quality is not None
    assert (quality.complete.texts, quality.careful.texts, quality.complete.reviewed) == (19, 17, 20)
    # Wilson's interval of 19 of 20, by hand: centre 0.8776, half width 0.1134.
    assert quality.complete.low == pytest.approx(0.7639, abs=1e-4)
    assert quality.complete.high == pytest.approx(0.9911, abs=1e-4)
    assert text_quality(reviews[20:], "1") is None


def test_of_a_text_that_was_judged_twice_the_last_verdict_counts() -> None:
    reviews = [review_row("a", missed=True, reviewed_at=NOW + timedelta(days=day)) for day in (1, 0)]
    reviews.append(review_row("a", reviewed_at=NOW + timedelta(days=2)))
    quality = text_quality(reviews, "1")
    assert quality is not None
    assert (quality.complete.texts, quality.complete.reviewed) == (1, 1)


def test_a_removed_word_is_no_value_of_a_repr(desk: Desk) -> None:
    seen = Seen("R-1", "diagnosis", "NB01", "患者张三", ((2, 4, "patient", "known.name"),), ())
    assert "张三" not in repr(seen)
    assert desk.export().folder.name not in repr(seen)


def test_the_command_line(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(desk.workspace.root)

    def shown(*arguments: str) -> str:
        assert run(["deid", "review", *arguments]) == 0
        return capsys.readouterr().out

    out = shown("export", "--sample", "6", "-q")
    assert re.search(r"7 texts of 6 and \d words to review until", out)
    assert "review.html" in out
    assert "刘洋" not in out
    (folder,) = (desk.workspace.catalog / "review").iterdir()
    path = folder / ANSWERS_FILE
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(line[:-1] + ",right" if ",T" in line else line for line in lines), encoding="utf-8-sig")
    out = shown("import", "-q")
    assert "0 decisions added; 0 known, 0 refused; 7 texts judged" in out
    assert re.search(r"nothing missed +100\.0 %  \(61\.0 to 100\.0 %\)", out)
    assert json.loads(shown("export", "--json", "-q"))["quality"]["careful"]["texts"] == 6
