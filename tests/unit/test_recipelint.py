"""The linter: each rule with a recipe that breaks it, and one that has been put right."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import codelists
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import AnyOf, Codelist, InCodelist, Missing, Range, Recipe
from pathcurate.recipelint import RULES, Lint, lint
from pathcurate.recipelint.meaning import shut_out, takes_in
from pathcurate.recipelint.of_archives import in_short
from pathcurate.recipelint.rule import StepCounts, Subject

_SOUND: dict[str, Any] = {
    "recipe": 1, "name": "sound", "version": "1.0.0", "title": "Sound", "owner": "team@hospital.example",
    "approval": "IRB-1", "unit": "slide", "columns": ["slide_id"],
    "include": [{"id": "he", "level": "slide", "where": {"stain": "HE"}}],
}  # fmt: skip
_INDEX = {"table": "reports", "date": "reported_date", "where": {"organ": "lung"}}


def _slide(name: str, where: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "level": "slide", "where": where, **more}


def _has(name: str, table: str, level: str = "patient", **rows: Any) -> dict[str, Any]:
    return {"id": name, "level": level, "has": {"table": table, **rows}}


def _event_label(**window: Any) -> dict[str, Any]:
    rows = {"table": "events", "where": {"kind": "death"}, **window}
    return {"index": _INDEX, "labels": [{"name": "death", "level": "patient", "time_to_event": {
        "event": rows, "censor": {"table": "events"}}}], "columns": ["slide_id", "patient_death_days"]}  # fmt: skip


def _nearest(start: str, end: str) -> dict[str, Any]:
    nearest = {"table": "events", "column": "value", "direction": "before", "within": {"from": start, "to": end}}
    return {"index": _INDEX, "labels": [{"name": "hb", "level": "patient", "nearest": nearest}],
            "columns": ["slide_id", "patient_hb"]}  # fmt: skip


def _lists(*, used: bool = True, **codelist: Any) -> dict[str, Any]:
    one = {"system": "icd10", "codes": ["C34"], "match": "descendants", **codelist}
    where = {"icd10": {"codelist": "site"}} if used else {"organ": "lung"}
    return {"codelists": {"site": one}, "include": [_has("dx", "reports", where=where)]}


def _two_lists(first: list[str], second: list[str]) -> dict[str, Any]:
    return {
        "codelists": {"one": {"system": "icd10", "codes": first, "match": "descendants"},
                      "other": {"system": "icd10", "codes": second, "match": "descendants"}},
        "include": [_has("in_it", "reports", where={"icd10": {"codelist": "one"}})],
        "exclude": [_has("out_of_it", "reports", where={"icd10": {"codelist": "other"}})],
    }  # fmt: skip


def _concept(**concept: Any) -> dict[str, Any]:
    return {"concepts": {"adeno": {"any": ["腺癌"], **concept}}, "include": [_has("says", "reports", text="adeno")]}


def _label(**label: Any) -> dict[str, Any]:
    return {"labels": [{"name": "subtype", "level": "specimen", "column": "diagnoses.icdo3_morphology",
                        "classes": {"luad": ["8140/3"], "lusc": ["8070/3"]}, **label}],
            "columns": ["slide_id", "subtype"]}  # fmt: skip


_SEALED = {
    "labels": [{"name": "cancer", "level": "case", "has": {"table": "diagnoses", "where": {"behaviour": "3"}}}],
    "sealed": {"task": "binary", "label": "cancer"},
}


def _split(**split: Any) -> dict[str, Any]:
    whole = {"ratios": {"train": 0.8, "test": 0.2}, "seed": "s", **split}
    return {"split": {key: value for key, value in whole.items() if value is not None}, "columns": ["slide_id", "split"]}


_ARCHIVE = {
    "profile": 1,
    "tables": {
        "slides": {"rows": 2_000_000, "columns": [
            {"name": "stain", "missing": 0, "counts": {"HE": 1_900_000, "PAS": "<10"}},
            {"name": "mpp", "missing": 0, "range": {"min": 0.2, "median": 0.25, "max": 0.5}},
            {"name": "blur", "missing": 2_000_000},
            {"name": "site", "missing": 0, "distinct": 3},
            {"name": "scanner_model", "missing": 0, "distinct": 900},
        ]},
        "reports": {"rows": 100, "columns": [{"name": "icd10", "missing": 0, "counts": {"C34.1": 90, "C50.9": "<10"}}]},
        "series": {"rows": 0, "columns": []},
    },
}  # fmt: skip


class Case(NamedTuple):
    """What breaks a rule, where, and the same put right; ``known`` and ``mended`` are what is known beside the recipe."""

    broken: dict[str, Any]
    path: tuple[str | int, ...]
    right: dict[str, Any]
    known: dict[str, Any] = {}  # noqa: RUF012  nobody changes it
    mended: dict[str, Any] | None = None


CASES: dict[str, Case] = {
    "contradiction_inside": Case(
        {"include": [{"id": "old", "level": "case", "where": {"age": {"min": 60}, "age_band": "20-24"}}]},
        ("include", 0, "where", "age_band"),
        {"include": [{"id": "old", "level": "case", "where": {"age": {"min": 60}, "age_band": "60-64"}}]},
    ),
    "includes_contradict": Case(
        {"include": [_slide("he", {"stain": "HE"}), _slide("pas", {"stain": {"any_of": ["PAS", "Masson"]}})]},
        ("include", 1, "where", "stain"),
        {"include": [_slide("he", {"stain": "HE"}), _slide("few", {"stain": {"any_of": ["PAS", "HE"]}})]},
    ),
    "include_excluded": Case(
        {"exclude": [_slide("no_he", {"stain": {"any_of": ["HE", "PAS"]}})]}, ("exclude", 0),
        {"exclude": [_slide("no_pas", {"stain": {"any_of": ["Masson", "PAS"]}})]},
    ),
    "alternative_ruled_out": Case(
        {"include": [_slide("he", {"stain": "HE"}), {"id": "either", "level": "slide", "any_of": [
            {"where": {"stain": "PAS"}}, {"where": {"qc": "ok"}}]}]},
        ("include", 1, "any_of", 0, "where", "stain"),
        {"include": [_slide("he", {"stain": "HE"}), {"id": "either", "level": "slide", "any_of": [
            {"where": {"stain": "HE"}}, {"where": {"qc": "ok"}}]}]},
    ),
    "duplicate_criterion": Case(
        {"include": [_slide("he", {"stain": "HE"}), _slide("also", {"stain": "HE"}, label="H&E")]}, ("include", 1),
        {"include": [_slide("he", {"stain": "HE"}), _slide("also", {"qc": "ok"})]},
    ),
    "settled_before": Case(
        {"include": [_slide("fine", {"mpp": {"max": 0.3}}), _slide("coarse", {"mpp": {"max": 0.6}})]}, ("include", 1),
        {"include": [_slide("fine", {"mpp": {"max": 0.6}}), _slide("finer", {"mpp": {"max": 0.3}})]},
    ),
    "never_drops": Case(
        {"include": [{"id": "any_age", "level": "case", "where": {"age": {"min": 0}}}]}, ("include", 0),
        {"include": [{"id": "adult", "level": "case", "where": {"age": {"min": 18}}}]},
    ),
    "always_drops": Case(
        {"include": [_slide("nanometres", {"mpp": {"min": 250}})]}, ("include", 0),
        {"include": [_slide("micrometres", {"mpp": {"min": 0.25}})]},
    ),
    "missing_drops": Case(
        {"exclude": [_slide("control", {"is_control": True}, if_missing="fail")]}, ("exclude", 0, "if_missing"),
        {"exclude": [_slide("control", {"is_control": True})]},
    ),
    "sql_escape": Case(
        {"include": [{"id": "wide", "level": "slide", "sql": "width > height"}]}, ("include", 0, "sql"),
        {"include": [_slide("wide", {"width": {"min": 9}})]},
    ),
    "alternative_id_reused": Case(
        {"include": [{"id": "a", "level": "slide", "any_of": [
            {"id": "a", "where": {"qc": "ok"}}, {"where": {"stain": "HE"}}]}]},
        ("include", 0, "any_of", 0, "id"),
        {"include": [{"id": "a", "level": "slide", "any_of": [
            {"id": "b", "where": {"qc": "ok"}}, {"where": {"stain": "HE"}}]}]},
    ),
    "float_equality": Case(
        {"include": [_slide("forty", {"mpp": 0.25})]}, ("include", 0, "where", "mpp"),
        {"include": [_slide("forty", {"mpp": {"min": 0.2, "max": 0.3}})]},
    ),
    "icd10_alone": Case(
        _lists(), ("include", 0, "has", "where", "icd10"),
        {"codelists": {"site": {"system": "icd10", "codes": ["C34"]}}, "include": [{"id": "dx", "level": "case", "any_of": [
            {"has": {"table": "reports", "where": {"icd10": {"codelist": "site"}}}},
            {"has": {"table": "diagnoses", "where": {"icdo3_topography": "C34.1"}}}]}]},
    ),
    "no_criteria": Case({"include": []}, ("unit",), {}),
    "window_against_direction": Case(
        _nearest("1d", "30d"), ("labels", 0, "nearest", "within"), _nearest("-30d", "0d")
    ),
    "window_too_far": Case(
        {"index": _INDEX, "include": [_has("seen", "events", within={"from": "2000mo"})]}, ("include", 0, "has", "within"),
        {"index": _INDEX, "include": [_has("seen", "events", within={"from": "24mo"})]},
    ),
    "before_the_first": Case(
        {"index": _INDEX, "include": [_has("b", "reports", where={"organ": "lung"}, within={"to": "-1d"})]},
        ("include", 0, "has", "within"),
        {"index": _INDEX, "include": [_has("b", "reports", where={"organ": "colon"}, within={"to": "-1d"})]},
    ),
    "index_row_counts": Case(
        {"index": _INDEX, "include": [_has("b", "reports", within={"from": "0d"})]}, ("include", 0, "has"),
        {"index": _INDEX, "include": [_has("b", "reports", within={"from": "1d"})]},
    ),
    "day_0_of_patient": Case(
        {"index": _INDEX, "include": [_has("b", "reports", "case", within={"from": "1d"})]}, ("include", 0, "has", "within"),
        {"index": _INDEX, "include": [_has("b", "events", "case", within={"from": "1d"})]},
    ),
    "unused_codelist": Case(_lists(used=False), ("codelists", "site"), _lists()),
    "unused_concept": Case(
        {"concepts": {"adeno": {"any": ["腺癌"]}}}, ("concepts", "adeno"),
        {"concepts": {"adeno": {"any": ["腺癌"]}}, "include": [{"id": "deep", "level": "case", "any_of": [
            {"any_of": [{"has": {"table": "reports", "text": "adeno"}}, {"where": {"organ": "lung"}}]},
            {"where": {"organ": "colon"}}]}]},
    ),
    "unused_parameter": Case(
        {"params": {"most": {"type": "number", "default": 0.3}}}, ("params", "most"),
        {"params": {"most": {"type": "number", "default": 0.3}}},
        {"used_parameters": frozenset()}, {"used_parameters": frozenset({"most"})},
    ),
    "code_taken_in": Case(_lists(codes=["C34", "C34.1"]), ("codelists", "site", "codes", 1), _lists(codes=["C34", "C37"])),
    "lists_overlap": Case(_two_lists(["C34"], ["C50", "C34.1"]), ("codelists", "other"), _two_lists(["C34"], ["C50"])),
    "without_removes_nothing": Case(
        _lists(without=["C50"]), ("codelists", "site", "without", 0), _lists(without=["C34.9"])
    ),
    "without_removes_all": Case(_lists(without=["C34"]), ("codelists", "site", "without"), _lists(without=["C34.9"])),
    "exact_chinese_codes": Case(
        _lists(system="icd10-cn", version="医保2.0", match="exact"), ("codelists", "site"),
        _lists(system="icd10-cn", version="医保2.0"),
    ),
    "edition_not_named": Case(
        _lists(system="icd10-cn"), ("codelists", "site"), _lists(system="icd10-cn", version="医保2.0")
    ),
    "file_unpinned": Case(
        _lists(), ("codelists", "site"), _lists(), {"unpinned": frozenset({"site"})}, {"unpinned": frozenset()}
    ),
    "concept_never_said": Case(
        _concept(unless=["原位腺癌", "腺癌"]), ("concepts", "adeno", "unless", 1), _concept(unless=["原位腺癌"])
    ),
    "unused_label": Case(
        {**_label(), "columns": ["slide_id"]}, ("labels", 0, "name"), {**_label(), "columns": ["slide_id", "subtype"]}
    ),
    "class_not_let_in": Case(
        {**_label(), "include": [_has("adeno", "diagnoses", where={"icdo3_morphology": "8140/3"})]},
        ("labels", 0, "classes", "lusc"),
        {**_label(), "include": [_has("both", "diagnoses", where={"icdo3_morphology": {"any_of": ["8140/3", "8070/3"]}})]},
    ),
    "label_of_case": Case(
        {**_label(level="case"), "columns": ["slide_id", "case_subtype"]}, ("labels", 0, "level"), _label()
    ),
    "stratum_near_unique": Case(
        _split(stratify=["site", "scanner_model"]), ("split", "stratify", 1), _split(stratify=["site"]),
        {"archive": _ARCHIVE},
    ),
    "quasi_identifier_not_shown": Case(
        {"disclosure": {"quasi_identifiers": ["sex"]}}, ("disclosure", "quasi_identifiers", 0),
        {"disclosure": {"quasi_identifiers": ["sex"]}, "columns": ["slide_id", "sex"]},
    ),
    "k_below_profile": Case(
        {"disclosure": {"k": 3}}, ("disclosure", "k"), {"disclosure": {"k": 5}}, {"profile_k": 5}
    ),
    "split_without_label": Case(
        {**_label(), **_split(), "columns": ["slide_id", "subtype", "split"]}, ("split",),
        {**_label(), **_split(stratify=["subtype"]), "columns": ["slide_id", "subtype", "split"]},
    ),
    "small_side": Case(
        _split(ratios={"train": 0.99, "test": 0.01}), ("split", "ratios", "test"), _split(ratios={"train": 0.9, "test": 0.1})
    ),
    "seed_not_given": Case(_split(seed=None), ("split",), _split()),
    "hold_out_dropped": Case(
        {**_split(hold_out={"external": {"site": "NB04"}}),
         "exclude": [_slide("old", {"site": {"any_of": ["NB04", "NB05"]}})]},
        ("split", "hold_out", "external"),
        {**_split(hold_out={"external": {"site": "NB04"}}), "exclude": [_slide("old", {"site": "NB05"})]},
    ),
    "keep_from_another": Case(
        _split(keep_from="others@0.9.0"), ("split", "keep_from"), _split(keep_from="sound@0.9.0")
    ),
    "expected_impossible": Case(
        {"expect": {"rows": {"max": 10}, "patients": {"min": 11}}}, ("expect", "patients", "min"),
        {"expect": {"rows": {"max": 11}, "patients": {"min": 11}}},
    ),
    "reviewed_left_out": Case({"links": ["exact", "barcode"]}, ("links",), {"links": ["exact", "reviewed"]}),
    "split_not_shown": Case({**_split(), "columns": ["slide_id"]}, ("split",), _split()),
    "texts_withheld": Case({"texts": ["diagnosis"]}, ("texts",), {}, {"texts_are_released": False}),
    "sealed_told_in_texts": Case({**_SEALED, "texts": ["diagnosis"]}, ("texts",), _SEALED),
    "version_reused": Case({}, ("version",), {}, {"released_differently": True}, {}),
    "nobody_answers": Case({"owner": None}, ("title",), {}),
    "value_not_there": Case(
        {"include": [_slide("masson", {"stain": "Masson"})]}, ("include", 0, "where", "stain"),
        {"include": [_slide("masson", {"stain": {"any_of": ["HE", "Masson"]}})]}, {"archive": _ARCHIVE},
    ),
    "some_values_not_there": Case(
        {"include": [_slide("masson", {"stain": {"any_of": ["HE", "Masson"]}})]}, ("include", 0, "where", "stain"),
        {"include": [_slide("pas", {"stain": {"any_of": ["HE", "PAS"]}})]}, {"archive": _ARCHIVE},
    ),
    "range_not_there": Case(
        {"include": [_slide("low", {"mpp": {"min": 0.9}})]}, ("include", 0, "where", "mpp"),
        {"include": [_slide("low", {"mpp": {"min": 0.4}})]}, {"archive": _ARCHIVE},
    ),
    "column_always_missing": Case(
        {"include": [_slide("sharp", {"blur": {"max": 0.2}})]}, ("include", 0, "where", "blur"),
        {"include": [_slide("unknown", {"blur": {"missing": True}})]}, {"archive": _ARCHIVE},
    ),
    "code_not_there": Case(
        _lists(codes=["C34", "C37"]), ("codelists", "site", "codes", 1), _lists(codes=["C34", "C50"]), {"archive": _ARCHIVE}
    ),
    "table_empty": Case(
        {"include": [_has("film", "series")]}, ("include", 0, "has"), {"include": [_has("read", "reports", count=">=2")]},
        {"archive": _ARCHIVE},
    ),
    "dropped_nothing": Case(
        {}, ("include", 0), {}, {"last_run": (StepCounts("permission", 0, 90), StepCounts("he", 0, 90))},
        {"last_run": (StepCounts("permission", 0, 90), StepCounts("he", None, None))},
    ),
    "dropped_all": Case(
        {}, ("include", 0), {}, {"last_run": (StepCounts("permission", 0, 90), StepCounts("he", 90, 0))},
        {"last_run": (StepCounts("permission", 90, 0), StepCounts("he", 0, 0))},
    ),
}  # fmt: skip


def broken(parts: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> tuple[Lint, ...]:
    whole = {key: value for key, value in {**_SOUND, **parts}.items() if value is not None}
    return lint(Subject(Recipe.model_validate(whole), **(known or {})))


def test_every_rule_has_a_recipe_that_breaks_it_and_one_that_does_not() -> None:
    assert list(CASES) == [rule.id for rule in RULES]


def test_a_rule_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES) >= 24
    for rule in RULES:
        assert rule.says.endswith("."), rule.id
        assert rule.advice.endswith("."), rule.id


@pytest.mark.parametrize("name", CASES)
def test_a_broken_recipe_is_reported_at_its_place(name: str) -> None:
    case = CASES[name]
    assert case.path in {one.path for one in broken(case.broken, case.known) if one.rule.id == name}


@pytest.mark.parametrize("name", CASES)
def test_a_recipe_that_was_put_right_is_not_reported(name: str) -> None:
    case = CASES[name]
    found = broken(case.right, case.known if case.mended is None else case.mended)
    assert name not in {one.rule.id for one in found}


def test_a_sound_recipe_breaks_no_rule() -> None:
    assert broken({}) == ()
    assert broken({}, {"archive": _ARCHIVE, "profile_k": 5, "texts_are_released": False}) == ()


def test_the_gravest_comes_first() -> None:
    found = broken({"owner": None, "include": [_slide("a", {"mpp": 0.25}), _slide("b", {"mpp": {"min": 250}})]})
    ranks = [one.rule.severity for one in found]
    assert ranks[0] is Severity.ERROR
    assert ranks == sorted(ranks, key=lambda severity: -severity.rank)


# Each of these looks like a fault and is none.
@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        # A value that is missing passes both, so somebody can meet both.
        ({"include": [_slide("he", {"stain": "HE"}, if_missing="pass"), _slide("pas", {"stain": "PAS"}, if_missing="pass")]},
         "includes_contradict"),
        # Of the same column, but one is the case's and one the patient's.
        ({"include": [{"id": "a", "level": "case", "where": {"sex": "female"}},
                      {"id": "b", "level": "patient", "where": {"sex": "male"}}]}, "includes_contradict"),
        # The exclusion asks for more than the inclusion keeps.
        ({"exclude": [_slide("blurred_he", {"stain": "HE", "qc": "blur"})]}, "include_excluded"),
        # Two of a kind, where one of them is kept.
        ({"include": [_has("one", "reports", count=">=1")], "exclude": [_has("many", "reports", count=">=5")]},
         "include_excluded"),
        # The window after day 0 is another one than that before it.
        ({"index": _INDEX, "include": [_has("after", "events", within={"from": "1d"})],
          "exclude": [_has("before", "events", within={"to": "-1d"})]}, "include_excluded"),
        # The exclusion asks within the case, the inclusion of the patient.
        ({"include": [_has("any", "reports")], "exclude": [_has("this", "reports", "case")]}, "include_excluded"),
        ({"include": [_has("two", "reports", within={"from": "0d"}, count=">=2")], "index": _INDEX}, "index_row_counts"),
        ({"include": [_has("other", "reports", where={"status": "final"}, within={"from": "0d"})], "index": _INDEX},
         "index_row_counts"),
        ({"include": [{"id": "known", "level": "case", "where": {"age": {"missing": False}}}]}, "never_drops"),
        ({"unit": "patient", "columns": ["patient_id"], "include": [_has("glass", "slides")]}, "never_drops"),
        (_lists(without=["C34.1"]), "without_removes_all"),
        (_two_lists(["C34.1"], ["C34.2"]), "lists_overlap"),
        (_event_label(within={"to": "0d"}), "window_against_direction"),
        ({"unit": "series", "columns": ["series_id"], "include": [],
          "expect": {"patients": {"min": 20}, "cases": {"max": 10}}}, "expected_impossible"),
        ({"index": _INDEX, "include": [
            _has("none", "reports", where={"organ": "lung"}, within={"to": "-1d"}, count="=0")]}, "before_the_first"),
        ({"unit": "patient", "columns": ["patient_id"], "include": [],
          "expect": {"cases": {"min": 20}, "patients": {"max": 10}}}, "expected_impossible"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_fault_is_not_reported(parts: dict[str, Any], rule: str) -> None:
    assert rule not in {one.rule.id for one in broken(parts)}


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        # The exclusion is of the whole patient, so it takes in every case that was kept.
        ({"include": [_has("any", "reports", "case", where={"organ": "lung"})], "exclude": [_has("all", "reports")]},
         "include_excluded"),
        ({"index": _INDEX, "include": [_has("a", "events", within={"from": "1mo", "to": "2mo"})],
          "exclude": [_has("b", "events", within={"from": "1d"})]}, "include_excluded"),
        ({"include": [_slide("a", {"scan_datetime": {"min": "2020-01-01"}}),
                      _slide("b", {"scan_datetime": {"max": "2019-12-31"}})]}, "includes_contradict"),
        ({"include": [_slide("a", {"stain": {"missing": True}}), _slide("b", {"stain": "HE"})]}, "includes_contradict"),
        ({"include": [_has("a", "diagnoses", where={"icdo3_morphology": {"codelist": "m"}})],
          "codelists": {"m": {"system": "icdo3-morphology", "codes": ["8140/3"]}}, **_label()}, "class_not_let_in"),
        ({"include": [{"id": "y", "level": "case", "where": {"year": 2019, "received_date": {"min": "2020-01-01"}}}]},
         "contradiction_inside"),
        ({"index": _INDEX, "include": [_has("a", "events", where={"days_from_index": {"min": 1}}, within={"to": "0d"})]},
         "contradiction_inside"),
        ({"exclude": [_slide("all", {"is_control": {"any_of": [True, False]}})]}, "always_drops"),
        (_event_label(within={"to": "-1d"}), "window_against_direction"),
        ({"exclude": [_has("dx", "reports", where={"icd10": "C34.1"})]}, "icd10_alone"),
        (_split(keep_from="sound@1.0.0"), "keep_from_another"),
        (_split(stratify=["scan_datetime"]), "stratum_near_unique"),
    ],
)  # fmt: skip
def test_a_fault_in_another_form_is_reported_too(parts: dict[str, Any], rule: str) -> None:
    assert rule in {one.rule.id for one in broken(parts)}


def test_a_value_that_no_row_has_is_told_with_the_commonest() -> None:
    (found,) = broken({"include": [_slide("rare", {"stain": "Masson"})]}, {"archive": _ARCHIVE})
    assert found.message == "no row of slides has `Masson` in `stain`; the commonest are `HE` (1.9 M), `PAS` (<10)"


@pytest.mark.parametrize(
    ("count", "text"), [(9, "9"), (9999, "9999"), (12_400, "12 k"), (1_900_000, "1.9 M"), ("<10", "<10")]
)
def test_counts_are_told_in_short(count: int | str, text: str) -> None:
    assert in_short(count) == text


def test_a_profile_with_unlisted_values_says_nothing_of_them() -> None:
    tables = {"slides": {"rows": 100, "columns": [{"name": "stain", "missing": 0, "counts": {"HE": 90, "(other)": "<10"}}]}}
    assert broken({"include": [_slide("pas", {"stain": "PAS"})]}, {"archive": {"tables": tables}}) == ()


def test_fifty_criteria_with_long_code_lists_are_checked_in_a_moment() -> None:
    codes = [f"{letter}{number:02d}.{digit}" for letter in "ABCDEFGH" for number in range(25) for digit in range(10)]
    lists = {f"l{n}": {"system": "icd10", "codes": codes, "match": "descendants", "without": codes[:99]} for n in range(2)}
    criteria = [_has(f"c{n}", "reports", where={"icd10": {"codelist": f"l{n % 2}"}}, count=f">={n + 1}") for n in range(48)]
    start = time.perf_counter()
    found = broken({"codelists": lists, "include": criteria, "exclude": [
        _has(f"x{n}", "reports", where={"icd10": {"codelist": f"l{n}"}}) for n in range(2)]})  # fmt: skip
    assert "include_excluded" in {one.rule.id for one in found}
    assert time.perf_counter() - start < 5


# --- What conditions mean together -------------------------------------------------------------------------------------

_NUMBERS = range(-1, 6)
_CODES = ("C34", "C34.1", "C34.12", "C35", "C50.9", "D05")
_number = st.sampled_from(_NUMBERS)
_code = st.sampled_from(_CODES)


def _any_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(lambda chosen: AnyOf(any_of=tuple(chosen)))


_missing = st.builds(Missing, missing=st.booleans())
_numeric = st.one_of(
    _number, _any_of(_number), _missing,
    st.tuples(_number, _number).map(lambda ends: Range(min=min(ends), max=max(ends))),
    st.builds(lambda end: Range(min=end), _number), st.builds(lambda end: Range(max=end), _number),
)  # fmt: skip
_coded = st.one_of(
    _code, _any_of(_code), _missing, st.sampled_from(("one", "other")).map(lambda name: InCodelist(codelist=name))
)
_listed = st.builds(
    lambda codes, match, without: Codelist(system="icd10", codes=tuple(codes), match=match, without=tuple(without) or None),
    st.lists(_code, min_size=1, max_size=3, unique=True), st.sampled_from(("exact", "descendants")),
    st.lists(_code, max_size=1),
)  # fmt: skip


def _holds(condition: Any, value: Any, lists: Mapping[str, Codelist]) -> bool:
    """Whether a value, None for a missing one, meets a condition: nothing but the definition."""
    match condition:
        case Missing():
            return (value is None) == condition.missing
        case _ if value is None:
            return False
        case Range():
            return (condition.min is None or value >= condition.min) and (condition.max is None or value <= condition.max)
        case AnyOf():
            return value in condition.any_of
        case InCodelist():
            return codelists.matches(lists[condition.codelist], value)
        case _:
            return bool(value == condition)


@given(
    pair=st.one_of(st.tuples(_numeric, _numeric), st.tuples(_coded, _coded)), lists=st.tuples(_listed, _listed)
)  # fmt: skip
@settings(max_examples=150, derandomize=True)
def test_what_is_said_of_two_conditions_is_true_of_every_value(
    pair: tuple[Any, Any], lists: tuple[Codelist, Codelist]
) -> None:
    named = dict(zip(("one", "other"), lists, strict=True))
    recipe = Recipe.model_validate({**_SOUND, "codelists": named})
    one, other = pair
    is_coded = any(isinstance(condition, InCodelist | str) for condition in pair) or any(
        isinstance(condition, AnyOf) and isinstance(condition.any_of[0], str) for condition in pair
    )
    values = [None, *(_CODES if is_coded else _NUMBERS)]
    if shut_out(recipe, one, other):
        assert not any(_holds(one, value, named) and _holds(other, value, named) for value in values)
    if takes_in(recipe, one, other):
        assert all(_holds(one, value, named) for value in values if _holds(other, value, named))
