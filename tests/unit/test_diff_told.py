"""What a difference tells beside the step: promises, grades, causes, spreads, notes, and the pages made of it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.diff import compare, is_enough
from pathcurate.diff.causes import cohort_causes
from pathcurate.diff.contents import Contents
from pathcurate.diff.notes import difference_markdown, escaped, version_notes
from pathcurate.diff.strata import stratum
from pathcurate.diff.terms import term_changes
from pathcurate.htmlreport.diff import difference_page
from pathcurate.model.diff import Bump, Difference
from pathcurate.model.productfile import ProductFile
from pathcurate.releases import Release
from tests.property.test_diff_property import contents
from tests.unit.test_diff import DATA, noted, put, required

HOSTILE = "<script>alert(1)</script>|`x`\u202e\n"


def said(**parts: Any) -> ProductFile:
    return ProductFile.model_validate({"product": 1, "name": "small", **parts})


def policy(**parts: Any) -> ProductFile:
    return said(policy={"duo": ["DUO_0000006"], "environment": "tre", "valid_until": "2027-01-01", **parts})


GENERAL, HEALTH, DISEASE, NONCOMMERCIAL, CLINICAL = (f"DUO_{code:07}" for code in (42, 6, 7, 46, 43))
TERMS: dict[str, tuple[ProductFile | None, ProductFile | None, str, str, str]] = {
    "wider purpose": (policy(), policy(duo=[GENERAL]), "policy.duo", "loosened", "major"),
    "narrower purpose": (policy(), policy(duo=[DISEASE], diseases=["MONDO:1"]), "policy.duo", "tightened", "minor"),
    "no purpose": (policy(), policy(duo=[]), "policy.duo", "tightened", "minor"),
    "a limit more": (policy(), policy(duo=[HEALTH, NONCOMMERCIAL]), "policy.duo", "tightened", "minor"),
    "a limit less": (policy(duo=[HEALTH, NONCOMMERCIAL]), policy(), "policy.duo", "loosened", "major"),
    "care allowed too": (policy(), policy(duo=[HEALTH, CLINICAL]), "policy.duo", "loosened", "major"),
    "wider, but limited": (policy(), policy(duo=[GENERAL, NONCOMMERCIAL]), "policy.duo", "loosened", "major"),
    "another purpose as wide": (
        policy(duo=[DISEASE], diseases=["MONDO:1"]), policy(duo=["DUO_0000011"], diseases=["MONDO:1"]), "policy.duo",
        "changed", "major"),
    "a disease more": (
        policy(duo=[DISEASE], diseases=["MONDO:1"]), policy(duo=[DISEASE], diseases=["MONDO:1", "MONDO:2"]),
        "policy.diseases", "loosened", "major"),
    "a disease less": (
        policy(duo=[DISEASE], diseases=["MONDO:1", "MONDO:2"]), policy(duo=[DISEASE], diseases=["MONDO:1"]),
        "policy.diseases", "tightened", "minor"),
    "another disease": (
        policy(duo=[DISEASE], diseases=["MONDO:1"]), policy(duo=[DISEASE], diseases=["MONDO:2"]), "policy.diseases",
        "changed", "major"),
    "a disease that limits nothing": (policy(), policy(diseases=["MONDO:1"]), "policy.diseases", "reworded", "patch"),
    "as files": (policy(), policy(environment="file"), "policy.environment", "loosened", "major"),
    "sealed": (policy(), policy(environment="sealed"), "policy.environment", "tightened", "minor"),
    "forbidden too": (
        policy(forbidden=["reidentify"]), policy(forbidden=["reidentify", "train_models"]), "policy.forbidden",
        "tightened", "minor"),
    "no longer forbidden": (
        policy(forbidden=["reidentify", "distribute"]), policy(forbidden=["reidentify"]), "policy.forbidden", "loosened",
        "major"),
    "something else forbidden": (
        policy(forbidden=["distribute"]), policy(forbidden=["train_models"]), "policy.forbidden", "loosened", "major"),
    "the same, in another order": (
        policy(forbidden=["reidentify", "distribute"]), policy(forbidden=["distribute", "reidentify"]),
        "policy.forbidden", "reworded", "patch"),
    "longer": (policy(), policy(valid_until="2028-01-01"), "policy.valid_until", "loosened", "major"),
    "without an end": (policy(), policy(valid_until=None), "policy.valid_until", "loosened", "major"),
    "shorter": (policy(), policy(valid_until="2026-01-01"), "policy.valid_until", "tightened", "minor"),
    "a report due": (policy(), policy(report_use=True), "policy.report_use", "tightened", "minor"),
    "to be cited": (policy(), policy(attribution="Cite us"), "policy.attribution", "tightened", "minor"),
    "to be cited otherwise": (
        policy(attribution="Cite us"), policy(attribution="Cite them"), "policy.attribution", "reworded", "patch"),
    "limits in words": (said(), said(limits={"en": "x"}), "limits", "tightened", "minor"),
    "no limits in words": (said(limits={"en": "x"}), said(), "limits", "loosened", "major"),
    "other limits in words": (said(limits={"en": "x"}), said(limits={"en": "y"}), "limits", "changed", "minor"),
    "a price": (said(), said(price={"amount": "1.50", "currency": "CNY", "unit": "slide"}), "price", "reworded", "patch"),
    "a contact": (said(contact={"name": "a"}), said(contact={"name": "b"}), "contact", "reworded", "patch"),
    "a description": (said(), said(description={"en": "x"}), "description", "reworded", "patch"),
    "a first file": (None, policy(), "policy", "tightened", "minor"),
    "no file any more": (policy(), None, "policy", "loosened", "major"),
}  # fmt: skip


@pytest.mark.parametrize("name", TERMS)
def test_each_change_of_terms_has_its_effect_and_its_step(name: str) -> None:
    old, new, term, effect, bump = TERMS[name]
    first, *_ = term_changes(old, new)
    assert (first.term, first.effect, first.bump) == (term, effect, bump)
    found = compare(replace(contents("1.0.0", DATA), file=old), replace(contents("1.0.1", DATA), file=new))
    assert (found.bump, is_enough(found)) == (bump, bump == "patch")
    assert found.reason == f"{term} was {effect}"


def test_no_words_of_a_product_file_are_repeated() -> None:
    old, new = (policy(attribution=f"龘{word}") for word in "ab")
    changes = term_changes(old, new.model_copy(update={"limits": said(limits={"zh": "龘"}).limits}))
    assert "龘" not in repr(changes)
    assert {change.term for change in changes} == {"policy.attribution", "limits"}


def deid(**parts: Any) -> dict[str, Any]:
    told = {"profile": "default", "scenario": "agreement", "k_required": 5, "k_min": 7, "gbt42460_level": 3}
    return {**told, **parts}


@pytest.mark.parametrize(
    ("old", "new", "figure", "effect", "bump"),
    [
        (deid(), deid(k_required=10), "k_required", "tightened", "minor"),
        (deid(), deid(k_required=3), "k_required", "loosened", "major"),
        (deid(), deid(k_required=None), "k_required", "loosened", "major"),
        (deid(k_required=None), deid(), "k_required", "tightened", "minor"),
        (deid(), deid(scenario="public"), "scenario", "loosened", "major"),
        (deid(), deid(scenario="enclave"), "scenario", "tightened", "minor"),
        (deid(), deid(k_min=6), "k_min", "changed", "patch"),
        (deid(), deid(gbt42460_level=2), "gbt42460_level", "changed", "patch"),
        ({}, deid(), "", "", "patch"),
    ],
)
def test_promises_about_people(old: dict[str, Any], new: dict[str, Any], figure: str, effect: str, bump: str) -> None:
    found = compare(replace(contents("1.0.0", DATA), deid=old), replace(contents("1.0.1", DATA), deid=new))
    assert [(change.name, change.effect) for change in found.privacy] == ([(figure, effect)] if figure else [])
    assert found.bump == bump


def test_other_rules_of_the_profile_are_a_major_step_but_for_another_program() -> None:
    old, new = (replace(contents(version, DATA), profile_digest=version, deid=deid()) for version in ("1.0.0", "1.0.1"))
    assert compare(old, new).bump is Bump.MAJOR
    assert compare(replace(old, tool="0.1.0"), new).bump is Bump.MINOR


def test_indicators_of_two_scorecards_are_compared_and_nothing_else_of_them() -> None:
    def card(**values: Any) -> dict[str, Any]:
        figures = [{"figure": name, "value": value, "of": 8, "how": HOSTILE} for name, value in values.items()]
        measured = {"code": "0204", "status": "measured", "measured": figures, "name": HOSTILE}
        return {"indicators": [measured, {"code": HOSTILE, "status": "measured"}, {"code": "0205", "status": HOSTILE}, 7]}

    old, new = (
        replace(contents(version, DATA), scorecard=card(cells=count, **{"<b>": count}, text=HOSTILE))
        for version, count in (("1.0.0", 3), ("1.0.1", 4))
    )
    (change,) = compare(old, new).quality
    assert (change.name, change.before, change.after) == ("0204.cells", 0.375, 0.5)
    assert compare(old, replace(new, scorecard={"indicators": {}})).quality == ()


def test_the_schema_is_graded_for_readers_and_for_deliverers() -> None:
    data = required(DATA.append_column("old", pa.array([1, 2, 3])), "mpp")
    new = required(noted(DATA, "stain", unit="x").append_column("qc", pa.array(["ok"] * 3)), "qc")
    new = required(new.append_column("more", pa.array([1, 1, 1])), "split")
    graded = {one.column: (one.effect, one.consumer, one.producer) for one in compare(
        contents("1.0.0", data), contents("2.0.0", new)).schema}  # fmt: skip
    assert graded == {
        "old": ("loosened", "breaking", "non-breaking"),
        "stain": ("changed", "breaking", "breaking"),
        "mpp": ("loosened", "breaking", "non-breaking"),
        "split": ("tightened", "non-breaking", "breaking"),
        "qc": ("tightened", "non-breaking", "breaking"),
        "more": ("extended", "non-breaking", "non-breaking"),
    }


# --- Causes ------------------------------------------------------------------------------------------------------------


def causes(old: Contents, new: Contents) -> Any:
    return compare(old, new).tables["slides"].causes


def archive(version: str, data: pa.Table, **parts: Any) -> Contents:
    steps = {"steps": [{"id": "permission", "dropped": parts.pop("refused", 3), "remaining": {"slides": 9}}]}
    recipe = {"purpose": "research", "unit": "slide", "version": version, **parts.pop("recipe", {})}
    made = contents(version, data, attrition=steps, recipe=recipe)
    return replace(made, inputs=parts.pop("inputs", {"deid/slides.parquet": "a"}), profile_digest="p", deid=deid(), **parts)


def test_rows_that_went_are_explained_only_where_nothing_else_can_be_it() -> None:
    old, less = archive("1.0.0", DATA), DATA.slice(1)
    other = {"include": [{"id": "he"}]}
    assert causes(old, archive("2.0.0", less)) == {"removed": {"permission": 1}}
    assert causes(old, archive("2.0.0", less, recipe=other)) == {"removed": {"filter": 1}}
    assert causes(old, archive("2.0.0", less, recipe={"sample": {"size": 2}})) == {"removed": {"drawn": 1}}
    for unclear in (
        archive("2.0.0", less, inputs={"deid/slides.parquet": "b"}), archive("2.0.0", less, recipe=other, refused=4),
        archive("2.0.0", less, recipe=other, refused="withheld"), archive("2.0.0", less, recipe={"labels": [{"name": "x"}]}),
        replace(archive("2.0.0", less), has_permissions=False), replace(archive("2.0.0", less), profile_digest="q"),
    ):  # fmt: skip
        assert causes(old, unclear) == {"removed": {"untold": 1}}


def test_rows_that_changed_are_explained_once_by_the_gravest_column() -> None:
    data = noted(DATA, "mpp", identifying="quasi").append_column("tier", pa.array(["exact"] * 3))
    new = put("stain", ["PAS", "PAS", "PAS"])(put("mpp", [1.0, 1.0, 0.25])(data))
    new = noted(put("tier", ["file_name", "exact", "exact"])(new), "mpp", identifying="quasi")
    old, plain = archive("1.0.0", data), archive("2.0.0", new)
    assert causes(old, plain) == {"changed": {"link": 1, "source": 2}}
    assert causes(old, replace(plain, profile_digest="q")) == {"changed": {"link": 1, "rule": 1, "source": 1}}
    labelled = {"labels": [{"name": "stain"}]}
    assert causes(old, archive("2.0.0", new, recipe=labelled)) == {"changed": {"link": 1, "filter": 2}}
    moved = put("split", ["test", "test", "test"])(DATA)
    found = compare(archive("1.0.0", DATA), archive("2.0.0", moved)).tables["slides"]
    assert (found.causes, found.moves) == ({"changed": {"drawn": 2}}, {"train -> test": 1})


def test_a_cohort_tells_its_causes_only_of_the_release_that_it_followed(tmp_path: Path) -> None:
    previous = tmp_path / "previous"
    previous.mkdir()
    facts = {"recipe": {"sha256": "sha256:a"}, "inputs": {"deid/slides.parquet": "sha256:b", "criteria/x": "sha256:c"}}
    (previous / "cohort.json").write_text(json.dumps(facts))
    told = {
        "lost": [{"reason": "permission", "count": "<10"}, {"reason": "link", "count": 12}],
        "gained": [{"reason": "criterion_added", "count": 30}, {"reason": "codelist", "count": 20},
                   {"reason": "data", "count": "<10"}, {"reason": "gone", "count": 11}],
        "altered": [],
    }  # fmt: skip
    (tmp_path / "differences.json").write_text(json.dumps(told))
    manifest: dict[str, Any] = {
        "recipe": {"canonical_sha256": "sha256:a"}, "inputs": {"deid/slides.parquet": "sha256:b"},
    }  # fmt: skip
    release = Release(tmp_path, manifest, "")
    found = cohort_causes(tmp_path, previous, release)
    # A sum with a hidden part is hidden: the part could be worked out from it.
    assert found == {"added": {"filter": 50, "source": "withheld"}, "removed": {"link": 12, "permission": "<10"}}
    difference = compare(contents("1.0.0", DATA), contents("2.0.0", DATA.slice(1)), cohort=found)
    assert difference.as_dict()["cohort_causes"] == found
    assert "| removed | withdrawn, or permissions changed | \\<10 |" in difference_markdown(difference)
    manifest["inputs"] = {}
    assert cohort_causes(tmp_path, previous, release) == {}
    (tmp_path / "differences.json").write_text('{"lost": [{"reason": "龘", "count": 1}]}')
    manifest["inputs"] = {"deid/slides.parquet": "sha256:b"}
    assert cohort_causes(tmp_path, previous, release) == {}


# --- Spreads ---------------------------------------------------------------------------------------------------------


def spread(name: str, old: dict[Any, int], new: dict[Any, int], cell: int = 10) -> list[tuple[Any, Any, Any]]:
    columns = [pa.chunked_array([pa.array([value for value, n in side.items() for _ in range(n)])]) for side in (old, new)]
    found = stratum(name, *columns, cell)
    shares = [*found.shares, *([found.others] if found.others else [])]
    return [(share.value, share.before, share.after) for share in shares]


def test_spreads_tell_of_many_rows_only_and_never_how_few_came() -> None:
    assert spread("stain", {"HE": 100, "PAS": 50}, {"HE": 101, "PAS": 50}) == [("HE", 100, 100), ("PAS", 50, 50)]
    assert spread("stain", {"HE": 100, "PAS": 50, "EVG": 3}, {"HE": 100, "PAS": 50, "EVG": 4}) == [
        ("HE", 100, 100), ("", 50, 50)]  # fmt: skip
    assert spread("sex", {"female": 95, "male": 1}, {"female": 95, "male": 1}) == [("", 100, 100)]
    assert spread("site", {"A": 40}, {"A": 20, "B": 60}) == [("B", 0, 60), ("A", 40, 20)]
    assert spread("site", {"A": 40}, {"A": 40, "B": 20, None: 30}) == [("A", 40, 40), (None, 0, 30), ("B", 0, 20)]
    assert spread("age", {41: 20, 49: 10, 50: 10}, {41: 20, 49: 10, 50: 10}) == [("40-49", 30, 30), ("50-59", 10, 10)]
    assert spread("scan_year", {2020: 10, 2019: 30, None: 10}, {2020: 50, 2019: 30, 2018: 10}) == [
        ("2018", 0, 10), ("2019", 30, 30), ("2020", 10, 50), (None, 10, 0)]  # fmt: skip
    assert [name for name, _, _ in spread("age_band", {"90+": 90, "5-9": 20, "10-14": 30}, {})] == ["5-9", "10-14", "90+"]
    assert spread("stain", {"HE": 3}, {"HE": 4}) == [("", None, None)]
    assert len(spread("stain", {f"v{n}": 10 + n for n in range(60)}, {})) == 41
    assert spread("stain", {"HE": 100, "PAS": 50}, {"HE": 100, "PAS": 50}, 60) == [("HE", 120, 120), ("", None, None)]


def test_only_the_units_table_and_closed_columns_are_spread() -> None:
    data = pa.table({
        "slide_id": [f"S{n}" for n in range(40)], "stain": ["HE"] * 40, "scan_year": [2020] * 40, "note": ["龘"] * 40,
        "mpp": [0.25] * 40, "grade": ["G1"] * 20 + ["G2"] * 20,
    })  # fmt: skip
    recipe = {"purpose": "research", "unit": "slide", "labels": [{"name": "grade"}], "disclosure": {"min_cell": 20}}
    old, new = (contents(version, rows, recipe=recipe) for version, rows in (("1.0.0", data), ("2.0.0", data.slice(1))))
    found = compare(old, new)
    assert {one.column: one.totals for one in found.strata} == dict.fromkeys(("stain", "scan_year", "grade"), (40, 39))
    grades = next(one for one in found.strata if one.column == "grade")
    # 19 is less than the recipe's 20, and the other is so coarse that the whole does not tell.
    assert [(share.value, share.before, share.after) for share in (*grades.shares, grades.others) if share] == [
        ("G2", 20, 20), ("", 20, None)]  # fmt: skip


# --- Words -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def difference() -> Difference:
    """One with everything in it."""
    data = put("split", ["test", "test", "test"])(DATA).slice(1).append_column("qc", pa.array(["ok"] * 2))
    more = pa.concat_tables([data, data.slice(0, 1).set_column(0, "slide_id", pa.array(["S9"]))])
    old = replace(archive("1.0.0", DATA), file=policy())
    later = archive("1.1.0", more, recipe={"include": [{"id": "he_stain"}]})
    found = compare(old, replace(later, file=policy(duo=[GENERAL]), deid=deid(k_required=10)))
    stains = (pa.chunked_array([["HE"] * he + ["PAS"] * pas]) for he, pas in ((60, 20), (40, 60)))
    return replace(found, strata=(stratum("stain", *stains, 10),))


def test_version_notes_are_sentences_in_both_languages(difference: Difference) -> None:
    notes = version_notes(difference)
    assert notes["en"] == (
        "Since 1.0.0: 1 slide added; 1 slide removed; 1 slide and 1 patient changed. 1 patient on another side of the "
        "split. New columns: slides.qc. New criteria: he_stain. Tightened: k_required. Loosened: policy.duo. By what "
        "changed this is at least a major step."
    )
    assert notes["zh"] == (
        "与 1.0.0 版相比：新增 1 张切片；移除 1 张切片；更新 1 张切片、1 名患者。1 名患者换到另一划分。新增字段：slides.qc。"
        "新增筛选条件：he_stain。收紧：k_required。放宽：policy.duo。按变更内容，至少为主要版本。"
    )
    unchanged = compare(contents("1.0.0", DATA), contents("1.0.1", DATA))
    assert version_notes(unchanged)["en"] == "Since 1.0.0: the same rows. By what changed this is at least a patch step."


def test_markdown_holds_every_part_as_a_table(difference: Difference) -> None:
    text = difference_markdown(difference)
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith("## ")]
    assert [head.split()[1] for head in heads] == [
        "Why", "Counts", "Rows", "Why", "Split", "Schema", "Terms", "De-identification", "Spread:", "Recipe", "Attrition",
    ]  # fmt: skip
    for number, line in enumerate(lines):
        if re.fullmatch(r"[|:\- ]+", line):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", lines[number + 1]))
    assert text == difference_markdown(difference)


def test_words_from_outside_stay_words(difference: Difference) -> None:
    table = difference.tables["slides"]
    hostile = replace(
        difference,
        tables={HOSTILE: replace(table, moves={HOSTILE: 1})},
        strata=tuple(replace(one, column=HOSTILE) for one in difference.strata),
        schema=tuple(replace(one, column=HOSTILE) for one in difference.schema),
    )
    page, text = difference_page(hostile), difference_markdown(hostile)
    for written in (page, text.replace("\\<", "")):
        assert "<script" not in written
        assert "\u202e" not in written
    assert escaped("a|b\n# c [x](http://y) <b>") == "a\\|b\\[U+000A\\]\\# c \\[x\\](http\\://y) \\<b\\>"


def test_the_page_stands_alone_and_is_the_same_each_time(difference: Difference) -> None:
    page = difference_page(difference)
    assert page == difference_page(difference)
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org)|@import|url\(", page)
    assert "default-src 'none'" in page
    for words in ("At least a major step, to 2.0.0", "1 slide removed", "slides.qc", "policy.duo", "train -&gt; test"):
        assert words in page
