"""Concepts of recipes in the texts of reports: what is found where, and what is done again when something changes."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.concepts import build_concepts, concept_sha, plan_concepts, sought_concepts
from pathcurate.concepts.kernel import MENTIONS, Search, find_mentions, lost_report
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PlanIncompleteError, RecipeError
from pathcurate.model.concept import Concept
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here

HEAD = "recipe: 1\nname: {name}\nversion: 1.0.0\ntitle: Concepts\nunit: case\ncolumns: [case_id]\nconcepts:\n"


@pytest.fixture
def workspace(write: Callable[[str, str | bytes], Path]) -> Workspace:
    return load_workspace(write("pathcurate.yaml", "workspace: 1\nname: t\nsites: [{code: NB01}]\n"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Embedded]:
    with Here(workers=1, temp_directory=tmp_path / "spill") as opened:
        yield opened


def recipe(workspace: Workspace, concepts: str, name: str = "r") -> None:
    workspace.recipes.mkdir(exist_ok=True)
    (workspace.recipes / f"{name}.yaml").write_text(HEAD.format(name=name) + concepts, encoding="utf-8")


def reports(workspace: Workspace, texts: Mapping[str, str | Mapping[str, str]], digest: str | None = None) -> None:
    rows = [
        {"report_id": report, "site": "NB01", "accession": report, "report_type": "primary", "status": "final",
         "text_digest": digest or hashlib.sha256(repr(text).encode()).hexdigest(),
         **({"diagnosis": text} if isinstance(text, str) else text)}
        for report, text in texts.items()
    ]  # fmt: skip
    Catalog(workspace.catalog).replace(REPORTS, from_rows(REPORTS, rows))


def mentions(concept: Concept, language: str | None = None, **texts: str) -> list[dict[str, Any]]:
    row = {name: texts.get(name) for name in TEXT_COLUMNS} | {"report_id": "R1", "site": "NB01", "language": language}
    schema = pa.schema([(name, pa.string()) for name in row])
    output = find_mentions(pa.RecordBatch.from_pylist([row], schema=schema), Search((concept,)))
    assert output.schema == MENTIONS
    assert output["error"].to_pylist() == [None]
    return list(output["mentions"].to_pylist()[0])


def found(concept: Concept, language: str | None = None, **texts: str) -> list[str]:
    return [texts[one["text_column"]][one["start"] : one["end"]] for one in mentions(concept, language, **texts)]


def rows(workspace: Workspace) -> list[tuple[Any, ...]]:
    table = Catalog(workspace.catalog).read(REPORT_CONCEPTS).to_pylist()
    return [(row["report_id"], row["concept"], row["assertion"], row["start"], row["end"]) for row in table]


# --- What is found -----------------------------------------------------------------------------------------------


def test_a_mention_has_section_span_assertion_and_trigger() -> None:
    concept = Concept(any=("癌",))
    assert mentions(concept, gross="灰白", diagnosis="未见明确癌。见癌", clinical_diagnosis="癌？") == [
        {"concept": 0, "assertion": "possible", "section": "clinical", "text_column": "clinical_diagnosis", "start": 0,
         "end": 1, "trigger": "？"},
        {"concept": 0, "assertion": "negated", "section": "diagnosis", "text_column": "diagnosis", "start": 4, "end": 5,
         "trigger": "未见明确"},
        {"concept": 0, "assertion": "affirmed", "section": "diagnosis", "text_column": "diagnosis", "start": 7, "end": 8,
         "trigger": None},
    ]  # fmt: skip


def test_case_and_width_do_not_matter() -> None:
    concept = Concept(any=("（ＨＥＲ２：3\\+）",))
    assert found(concept, ihc="HER2（her２:３＋）；(HER2：3+)") == ["（her２:３＋）", "(HER2：3+)"]
    assert found(Concept(any=(r"\bAdeno\s?carcinoma\b",)), diagnosis="ADENO CARCINOMA, ａｄｅｎｏｃａｒｃｉｎｏｍａ") == [
        "ADENO CARCINOMA", "ａｄｅｎｏｃａｒｃｉｎｏｍａ"
    ]  # fmt: skip


def test_spans_count_characters_also_beyond_the_basic_plane() -> None:
    assert found(Concept(any=("癌",)), gross="𠀀é", diagnosis="𠀀𠀀见癌𠀀癌") == ["癌", "癌"]


def test_unless_drops_a_mention_that_it_touches_and_no_other() -> None:
    concept = Concept(any=(r"\badenocarcinoma\b",), unless=(r"adenocarcinoma\s+in\s+situ",))
    text = "Adenocarcinoma in situ; invasive adenocarcinoma"
    (one,) = mentions(concept, diagnosis=text)
    assert one["start"] == text.rindex("adenocarcinoma")


def test_no_match_reaches_from_one_column_into_the_next() -> None:
    concept = Concept(any=("癌[^x]*癌", "瘤"))
    assert found(concept, gross="癌瘤", diagnosis="癌") == ["瘤"]
    assert found(concept, gross="癌及癌", diagnosis="癌") == ["癌及癌"]


def test_a_cue_of_one_column_says_nothing_of_the_next() -> None:
    assert [one["assertion"] for one in mentions(Concept(any=("癌",)), gross="未见", diagnosis="癌")] == ["affirmed"]
    assert [one["assertion"] for one in mentions(Concept(any=("癌",)), gross="癌", diagnosis="阴性")] == ["affirmed"]


def test_an_anchor_is_the_begin_and_the_end_of_a_column() -> None:
    assert found(Concept(any=("^癌",)), gross="癌a", diagnosis="癌b癌") == ["癌", "癌"]
    assert found(Concept(any=("癌$",)), gross="癌a", diagnosis="癌b癌") == ["癌"]


def test_sections_restrict_by_column_and_in_a_text_by_its_heads() -> None:
    concept = Concept(any=("癌",), sections=("diagnosis",))
    assert [one["text_column"] for one in mentions(concept, gross="癌", diagnosis="癌", comment="癌")] == ["diagnosis"]
    whole = "肉眼所见：癌。\n病理诊断：癌。\n"
    (one,) = mentions(concept, text_raw=whole)
    assert (one["section"], one["start"]) == ("diagnosis", whole.rindex("癌"))
    # A text without heads may be of any section.
    assert [one["section"] for one in mentions(concept, text_raw="见癌")] == [None]


def test_reports_in_another_language_are_not_searched() -> None:
    concept = Concept(any=("carcinoma",), lang=("en",))
    counts = {language: len(mentions(concept, language, diagnosis="carcinoma")) for language in ("zh", "en", "mixed", None)}
    assert counts == {"zh": 0, "en": 1, "mixed": 1, None: 1}


def test_a_report_without_texts_has_no_mentions() -> None:
    assert mentions(Concept(any=("癌",))) == []


def test_a_report_that_kills_its_process_has_an_error_and_no_mentions() -> None:
    row = pa.RecordBatch.from_pylist([{"report_id": "R1", "site": "NB01"}])
    lost = lost_report(row, "timeout")
    assert lost.schema == MENTIONS
    assert lost.to_pylist() == [{"report_id": "R1", "site": "NB01", "error": "timeout", "mentions": []}]


def test_the_digest_changes_with_what_decides_mentions() -> None:
    base = Concept(any=("a", "b"))
    others = [Concept(any=("a",)), Concept(any=("a", "b"), unless=("c",)), Concept(any=("a", "b"), sections=("gross",)),
              Concept(any=("a", "b"), lang=("zh",))]  # fmt: skip
    assert len({concept_sha(one) for one in (base, *others)}) == 5
    assert concept_sha(Concept(any=("a", "b"), assertion="any")) == concept_sha(base)


# --- What is done again ------------------------------------------------------------------------------------------


def test_a_second_build_reads_nothing_and_changes_nothing(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n")
    reports(workspace, {"R1": "见癌", "R2": "未见癌", "R3": "炎"})
    first = build_concepts(workspace, engine)
    assert (first.reports, first.to_read, first.mentions) == (3, 3, 2)
    assert rows(workspace) == [("R1", "cancer", "affirmed", 1, 2), ("R2", "cancer", "negated", 2, 3)]
    state = Catalog(workspace.catalog).state(REPORT_CONCEPTS)
    second = build_concepts(workspace, engine)
    assert (second.to_read, second.to_read_again, second.mentions) == (0, 0, 2)
    assert Catalog(workspace.catalog).state(REPORT_CONCEPTS) == state


def test_only_changed_reports_are_read_and_lost_ones_go(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n")
    reports(workspace, {"R1": "见癌", "R2": "见癌", "R3": "见癌"})
    build_concepts(workspace, engine)
    reports(workspace, {"R1": "见癌", "R2": "炎", "R4": "癌"})
    assert build_concepts(workspace, engine).to_read == 2
    assert rows(workspace) == [("R1", "cancer", "affirmed", 1, 2), ("R4", "cancer", "affirmed", 0, 1)]


def test_the_digest_of_the_importer_decides_where_there_is_one(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n")
    reports(workspace, {"R1": "见癌"}, "aa")
    build_concepts(workspace, engine)
    assert plan_concepts(workspace).to_read == 0
    reports(workspace, {"R1": "见癌"}, "bb")
    assert plan_concepts(workspace).to_read == 1


def test_a_changed_pattern_is_stale_until_it_is_built(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n  other: {any: [炎]}\n")
    reports(workspace, {"R1": "见癌", "R2": "肉瘤", "R3": "炎"})
    build_concepts(workspace, engine)
    recipe(workspace, "  cancer: {any: [癌, 肉瘤]}\n  other: {any: [炎]}\n")
    plan = plan_concepts(workspace)
    assert [(one.name, one.state, one.mentions) for one in plan.concepts] == [("cancer", "stale", 1), ("other", "built", 1)]
    assert (plan.to_read, plan.to_read_again, plan.mentions) == (0, 3, None)
    assert build_concepts(workspace, engine).mentions == 3
    assert [(one.name, one.state, one.mentions) for one in plan_concepts(workspace).concepts] == [
        ("cancer", "built", 2), ("other", "built", 1)
    ]  # fmt: skip


def test_a_concept_that_no_recipe_has_goes(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n", "a")
    recipe(workspace, "  cancer: {any: [癌]}\n  none: {any: [无此词]}\n", "b")
    reports(workspace, {"R1": "见癌"})
    build_concepts(workspace, engine)
    assert [one.recipes for one in sought_concepts(workspace.recipes)] == [("a", "b"), ("b",)]
    (workspace.recipes / "b.yaml").unlink()
    assert [(one.name, one.state) for one in plan_concepts(workspace).concepts] == [("cancer", "built"), ("none", "removed")]
    assert build_concepts(workspace, engine).mentions == 1
    (workspace.recipes / "a.yaml").unlink()
    assert build_concepts(workspace, engine).mentions == 0
    assert plan_concepts(workspace).concepts == ()


def test_one_name_with_two_patterns_is_two_concepts(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n", "a")
    recipe(workspace, "  cancer: {any: [癌, 瘤]}\n", "b")
    reports(workspace, {"R1": "癌及瘤"})
    assert build_concepts(workspace, engine).mentions == 3
    assert [one.mentions for one in sorted(plan_concepts(workspace).concepts, key=lambda one: one.recipes)] == [1, 2]


def test_after_an_interruption_everything_is_read_again(workspace: Workspace, engine: Embedded) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n")
    reports(workspace, {"R1": "见癌", "R2": "未见癌"})
    build_concepts(workspace, engine)
    before = rows(workspace)
    shutil.rmtree(workspace.catalog / "concept_reads")
    assert build_concepts(workspace, engine).to_read == 2
    assert rows(workspace) == before


def test_any_number_of_workers_and_any_order_give_the_same_table(workspace: Workspace, tmp_path: Path) -> None:
    recipe(workspace, "  cancer: {any: [癌]}\n  inflamed: {any: [炎]}\n")
    texts = {f"R{number:04}": "未见癌，慢性炎" if number % 3 else "腺癌" for number in range(2500)}
    tables = []
    for workers, order in ((1, 1), (2, -1)):
        shutil.rmtree(workspace.catalog, ignore_errors=True)
        reports(workspace, dict(list(texts.items())[::order]))
        with Embedded(workers=workers, temp_directory=tmp_path / "spill") as engine:
            build_concepts(workspace, engine)
        tables.append(Catalog(workspace.catalog).read(REPORT_CONCEPTS))
    assert tables[0].num_rows > 2500
    assert tables[0].equals(tables[1])


def test_without_reports_there_is_nothing_to_search(workspace: Workspace, engine: Embedded) -> None:
    with pytest.raises(PlanIncompleteError, match="no reports"):
        build_concepts(workspace, engine)


# --- What a recipe may say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ("  a: {any: ['(?<=x)y']}\n", r"8:13: error: not an RE2 pattern: .*look-behind"),
        ("  a: {any: ['(x']}\n", r"8:13: error: not an RE2 pattern: missing \)"),
        ("  a: {any: ['x)|(y']}\n", r"8:13: error: not an RE2 pattern"),
        ("  a: {any: [x], unless: ['x*']}\n", r"8:26: error: the pattern matches the empty text"),
        ("  a: {any: [癌, 癌]}\n", r"8:12: error: `癌` is given twice"),
        ("  a: {any: ['\\Qx\\E']}\n", r"8:13: error: not a pattern for texts"),
        ("  a: {any: []}\n", r"8:12: error: a list must not be empty"),
        ("  a: {unless: [x]}\n", r"8:6: error: key `any` is missing in concept"),
        ("  a: {any: [x], sections: [diagnoses]}\n", r"8:28: error: Input should be 'gross'.*did you mean `diagnosis`"),
        ("  a: {any: [x], lang: [fr]}\n", r"8:24: error: Input should be 'en' or 'zh'"),
        ("  a: {any: [x], asertion: any}\n", r"8:17: error: unknown key `asertion` in concept; did you mean `assertion`"),
        ("  A: {any: [x]}\n", r"8:3: error: must be 1 to 64 of a-z, 0-9 and _, with a letter first"),
        ("  a: {any: [x]}\ninclude: [{id: i, level: case, has: {table: reports, text: b}}]\n", "`b`"),
    ],
)  # fmt: skip
def test_a_broken_concept_is_refused_at_its_place(workspace: Workspace, concepts: str, message: str) -> None:
    recipe(workspace, concepts)
    with pytest.raises(RecipeError, match=message) as refused:
        sought_concepts(workspace.recipes)
    # Whoever ran a good recipe beside it should know whose fault it is.
    assert "take it out of recipes/" in refused.value.hint
