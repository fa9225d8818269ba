"""What releases tell about people: counted, made coarser for a profile that asks for a k, and said in honest words."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click
import defusedxml.ElementTree
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.cli.main import root
from pathcurate.cohort import read_recipe
from pathcurate.disclosure.generalisation import LADDERS, Reached, reach
from pathcurate.disclosure.risk import evaluate
from pathcurate.disclosure.standard import SHIPPED, read_standard
from pathcurate.errors import DisclosureRefusedError, UsageError, VersionError
from pathcurate.htmlreport.disclosure import disclosure_svg
from pathcurate.manifest import build
from pathcurate.model.column import Identifying
from pathcurate.model.deidentified import DEID_TABLES, UNIT_TABLES
from pathcurate.model.evaluation import EVALUATION_PATH, Evaluation, Figures
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import NOT_RUN
from pathcurate.resources import shipped
from pathcurate.tables import read_parquet
from pathcurate.validate import Choice, validate
from pathcurate.workspace import load_workspace
from tests.built import NOW, TODAY, Rows, build_release, copy_release, rewrite_manifest

STANDARD = read_standard()
REPOSITORY = Path(__file__).parents[2]


def figures(columns: dict[str, list[Any]], owners: list[Any] | None, **more: Any) -> Figures:
    data = pa.table(columns)
    whose = None if owners is None else pa.chunked_array([pa.array(owners, pa.string())])
    quasi = [name for name in columns if name != "organ"]
    return evaluate(data, quasi, [name for name in columns if name == "organ"], whose, STANDARD, **more)


def reached(columns: dict[str, list[Any]], k: int, most: float = 0.0, owners: list[str] | None = None) -> Reached:
    types = {"age": pa.int64(), "scan_year": pa.int64(), "scan_quarter": pa.int64()}
    data = pa.table({name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()})
    owners = owners or [f"Q-{number}" for number in range(data.num_rows)]
    return reach(data, list(columns), pa.chunked_array([pa.array(owners)]), k, most)


# --- Classes and risk ------------------------------------------------------------------------------------------------


def test_twenty_slides_of_one_patient_are_one_person() -> None:
    found = figures({"sex": ["male"] * 20}, ["Q-1"] * 20)
    assert (found.rows, found.persons, found.classes, found.k) == (20, 1, 1, 1)


def test_a_person_in_two_classes_counts_in_both() -> None:
    found = figures({"site": ["NB01", "NB02", "NB01", "NB02"]}, ["Q-1", "Q-1", "Q-2", "Q-3"])
    assert (found.persons, found.classes, found.k) == (3, 2, 2)
    assert found.expected == 0.5


def test_rows_that_are_common_one_by_one_are_rare_together() -> None:
    sites = {"a": ["NB01", "NB02"], "b": ["NB01"], "c": ["NB02"], "d": ["NB01"], "e": ["NB02"]}
    pairs = [(person, site) for person, known in sites.items() for site in known]
    found = figures({"site": [site for _, site in pairs]}, [person for person, _ in pairs])
    assert (found.k, found.alone) == (3, 1)
    assert "1 person can be told apart" in " ".join(evaluation(figures=found).words())


def test_no_value_is_a_value() -> None:
    assert figures({"sex": ["male", None, "male"]}, ["a", "b", "c"]).k == 1
    assert figures({"sex": [None, None, None]}, ["a", "b", "c"]).k == 3


def test_rows_of_nobody_known_may_all_be_of_one() -> None:
    assert figures({"sex": ["male"] * 9}, [None] * 9).k == 1


def test_rows_stand_for_persons_where_nothing_else_does() -> None:
    assert figures({"sex": ["male"] * 9}, None).k == 9


def test_a_table_without_quasi_identifiers_is_one_class() -> None:
    found = evaluate(pa.table({"mpp": [0.25] * 7}), [], [], None, STANDARD)
    assert (found.k, found.classes, found.expected) == (7, 1, pytest.approx(1 / 7))


def test_a_table_without_rows_has_no_classes() -> None:
    found = figures({"sex": pa.array([], pa.string()), "organ": pa.array([], pa.string())}, [])  # type: ignore[dict-item]
    assert (found.k, found.classes, found.persons, found.sizes, found.highest) == (0, 0, 0, (), 0)


def test_a_class_whose_organ_is_the_same_tells_it() -> None:
    columns = {"sex": ["male"] * 3 + ["female"] * 3, "organ": ["lung", "lung", "lung", "breast", "lung", None]}
    [told] = figures(columns, list("abcdef")).diversity
    assert (told.column, told.least, told.alike) == ("organ", 1, 3)


def test_combinations_do_not_overflow() -> None:
    columns = {f"quasi_{number}": list(range(600)) for number in range(9)}  # 600 ** 9 is more than 64 bits hold
    assert figures(columns, None).classes == 600


@pytest.mark.parametrize(
    ("size", "levels"),
    [(20, [3, 3, 3]), (19, [2, 3, 3]), (5, [2, 3, 3]), (4, [2, 2, 3]), (3, [2, 2, 3]), (2, [2, 2, 2]), (1, [2, 2, 2])],
)
def test_the_thresholds_are_20_5_and_3(size: int, levels: list[int]) -> None:
    risks = figures({"sex": ["male"] * size}, None).risks
    assert [risk.sharing for risk in risks] == ["public", "agreement", "enclave"]
    assert [risk.level for risk in risks] == levels
    assert [risk.overall for risk in risks] == [pytest.approx(1 / size) if level == 3 else 1.0 for level in levels]


def test_publication_goes_by_the_worst_class_and_an_agreement_by_their_mean() -> None:
    public, agreement, _ = figures({"sex": ["male"] * 25 + ["female"] * 50}, None).risks
    assert public.overall == 1 / 25
    assert agreement.overall == pytest.approx((1 / 25 + 1 / 50) / 2)


def test_one_small_class_is_the_risk_of_all() -> None:
    public, *_ = figures({"sex": ["male"] * 99 + ["female"]}, None).risks
    assert (public.over, public.overall, public.level) == (0.5, 1.0, 2)


def test_a_bin_begins_at_k() -> None:
    found = figures({"age": [1] * 6 + [2] * 7 + [3] * 30}, None, k=7)
    assert [(str(bin_), bin_.classes, bin_.persons) for bin_ in found.sizes if bin_.classes] == [
        ("5–6", 1, 6), ("7–9", 1, 7), ("20–49", 1, 30),
    ]  # fmt: skip


# --- The standard's file ---------------------------------------------------------------------------------------------


def test_the_shipped_standard_does_not_claim_to_be_checked() -> None:
    assert STANDARD.verified is False
    assert "nobody" in SHIPPED.read_text().lower()


def test_another_file_takes_its_place(write: Callable[[str, str], Path]) -> None:
    text = SHIPPED.read_text().replace("tau: 1/5, measure: mean, context: {deliberate: 1,", "tau: 0.25, measure: mean, "
                                       "context: {deliberate: 1/2,")  # fmt: skip
    text = text.replace("inadvertent: 1, breach: 1}}\n  enclave", "inadvertent: 0.1, breach: 0.3}}\n  enclave")
    standard = read_standard(write("own.yaml", text))
    _, agreement, _ = evaluate(pa.table({"sex": ["male"] * 4}), ["sex"], [], None, standard).risks
    assert (agreement.level, agreement.overall) == (3, 0.125)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("tau: 1/20", "tau: 1/0", "must be a share"),
        ("tau: 1/20", "tau: 20", "at most 1"),
        ("tau: 1/20", "tau: 0", "more than 0"),
        ("tau: 1/20", "tau: [1]", "must be a share"),
        ("measure: highest", "measure: median", "measure"),
        ("verified: false", "verified: perhaps", "verified"),
        ("  public:", "  everybody:", "everybody"),
    ],
)
def test_a_broken_file_is_refused(write: Callable[[str, str], Path], old: str, new: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        read_standard(write("own.yaml", SHIPPED.read_text().replace(old, new)))


# --- Generalisation --------------------------------------------------------------------------------------------------


def test_every_quasi_identifier_stands_on_a_ladder() -> None:
    quasi = {
        column.name for name in UNIT_TABLES.values() for column in DEID_TABLES[name].columns
        if column.identifying is Identifying.QUASI
    }  # fmt: skip
    on_ladders = [name for ladder in LADDERS for name in ladder.columns]
    assert sorted(on_ladders) == sorted(quasi)
    assert [ladder.trait for ladder in LADDERS if ladder.is_last] == ["sex"]


@pytest.mark.parametrize(
    ("columns", "k", "steps"),
    [
        ({"age": [40, 41, 42, 43]}, 4, ("age is shown in bands of 5 years",)),
        ({"age": [40, 44, 46, 49]}, 4, ("age is shown in bands of 10 years",)),
        ({"age": [40, 59, 41, 58]}, 4, ("age is shown in bands of 20 years",)),
        ({"age": [10, 30, 50, 90]}, 4, ("age is left out",)),
        ({"age": [None, 30]}, 2, ("age is left out",)),
        ({"age_band": ["80-89", "90+"]}, 2, ("age is shown in bands of 20 years",)),
        ({"age_band": ["0-19", "20-39"]}, 2, ("age is left out",)),
        ({"age": [40, 42], "age_band": ["40-44", "40-44"]}, 2, ("age is shown in bands of 5 years",)),
        ({"scan_year": [2023, 2023], "scan_quarter": [1, 2]}, 2, ("scan date is shown as year only",)),
        ({"scan_year": [2023, 2024], "scan_quarter": [1, 1]}, 2, ("scan date is left out",)),
        ({"province": ["31", "33"]}, 2, ("province is left out",)),
        ({"sex": ["male", "female"], "site": ["NB01", "NB01"]}, 2, ("sex is left out",)),
        ({"a_new_column": ["x", "y"]}, 2, ("a_new_column is left out",)),
        ({"sex": ["male", "male"]}, 2, ()),
        ({}, 2, ()),
    ],
)
def test_each_ladder(columns: dict[str, list[Any]], k: int, steps: tuple[str, ...]) -> None:
    if not columns:
        found = reach(pa.table({"mpp": [0.25, 0.5]}), [], pa.chunked_array([["a", "b"]]), k, 0.0)
    else:
        found = reached(columns, k)
    assert (found.steps, found.suppressed) == (steps, 0)
    assert found.is_kept.all()


@pytest.mark.parametrize("ages", [[90, 90, 90], [None, None, None], [0, 0, 0]])
def test_ages_that_no_band_makes_coarser(ages: list[Any]) -> None:
    columns = {"age": ages, "age_band": [None if age is None else "90+" if age else "0-4" for age in ages]}
    assert reached({**columns, "site": ["NB01", "NB01", "NB02"]}, 3).steps == ("site is left out",)


def test_a_step_that_later_ones_made_needless_is_taken_back() -> None:
    """Age goes first, as the earliest of three that are equally good; site and province have to go in any case."""
    columns = {
        "age_band": ["40-59", "40-59", "20-39", "20-39"],
        "site": ["NB02", "NB03", "NB02", "NB02"],
        "province": ["330000", "310000", "330000", "330000"],
    }
    assert reached(columns, 2).steps == ("province is left out", "site is left out")


def test_a_cheap_step_is_taken_before_one_that_helps_a_little_more() -> None:
    """Without age all ten are like one other, without the quarter eight; but the quarter is a third of what dates tell."""
    people = [*product(["0-19", "20-39"], [2022, 2023], [1, 2]), ("0-19", 2025, 1), ("20-39", 2025, 1)]
    columns = {
        name: [person[place] for person in people] for place, name in enumerate(("age_band", "scan_year", "scan_quarter"))
    }
    found = reached(columns, 2, 0.2)
    assert (found.steps, found.suppressed) == (("scan date is shown as year only",), 2)


def test_sex_is_shown_longer_than_anything_else() -> None:
    people = list(product(["male", "female"], ["NB01", "NB02"], [2022, 2023]))
    columns = {
        "sex": [row[0] for row in people],
        "site": [row[1] for row in people],
        "scan_year": [row[2] for row in people],
    }
    assert reached(columns, 4).steps == ("scan date is left out", "site is left out")


def test_few_persons_stay_behind_rather_than_all_lose_a_column() -> None:
    found = reached({"site": ["NB01"] * 97 + ["NB02"] * 3}, 5, 0.03)
    assert (found.steps, found.suppressed, found.is_kept.sum()) == ((), 3, 97)
    assert reached({"site": ["NB01"] * 97 + ["NB02"] * 3}, 5, 0.02).steps == ("site is left out",)


@pytest.mark.parametrize("few", [7, 29, 57])
def test_a_share_is_exact(few: int) -> None:
    """0.29 of 100 persons are 29; in floating point they are less."""
    columns = {"site": ["NB01"] * (100 - few) + [f"NB{number:02}" for number in range(10, 10 + few)]}
    assert reached(columns, 5, few / 100).suppressed == few
    assert reached(columns, 5, (few - 1) / 100).suppressed == 0


def test_never_is_everybody_left_out() -> None:
    found = reached({"site": [f"NB{number:02}" for number in range(10, 20)]}, 5, 1.0)
    assert (found.steps, found.suppressed) == (("site is left out",), 0)


def test_a_cohort_that_is_smaller_than_k_is_refused() -> None:
    with pytest.raises(DisclosureRefusedError) as caught:
        reached({"site": ["NB77"] * 19, "sex": ["male"] * 19}, 20, 0.5)
    assert caught.value.exit_code == 13
    assert "k = 20 cannot be reached: the cohort has 19 persons" in caught.value.message
    assert "Widen the recipe" in caught.value.hint
    assert "NB77" not in str(caught.value)


# --- Releases --------------------------------------------------------------------------------------------------------

RECIPE = """\
recipe: 1
name: small
version: 1.0.0
title: Cases of a clinic
unit: UNIT
split: {ratios: {train: 0.5, test: 0.5}}
columns: [COLUMNS, split]
"""
CASES = RECIPE.replace("UNIT", "case").replace(
    "COLUMNS", "case_id, patient_id, group_id, site, sex, age_band, organ, slide_count"
)


def clinic(stray: int = 2, people: int = 60) -> Rows:
    """A case each of so many patients, as profile ``public`` leaves them, two slides a case; few have another sex."""
    rows: Rows = {"slides": [], "cases": [], "patients": []}
    for number in range(people):
        person = {"patient_id": f"P-{number:016}", "group_id": f"Q-{number:016}", "sex": "other"}
        if number >= stray:
            person["sex"] = ("female", "male")[number % 2]
        case = {
            **person, "case_id": f"C-{number:016}", "site": "NB01", "age_band": "40-49",
            "organ": ("breast", "lung", "stomach")[number % 3],
        }  # fmt: skip
        rows["cases"].append({**case, "slide_count": 2, "report_count": 1})
        rows["patients"].append({**person, "slide_count": 2, "case_count": 1})
        slide = {"status": "ok", "tier": "exact", "stain": "HE", "format": "svs"}
        rows["slides"] += [
            {**case, **slide, "slide_id": f"S-{2 * number + glass:016}"} for glass in range(2)
        ]  # fmt: skip
    for row in rows["slides"]:
        del row["organ"]
    return rows


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that left out two patients whose sex is rare."""
    return build_release(tmp_path_factory.mktemp("public") / "w", rows=clinic(), recipe=CASES, profile="public")


def content(release: Path, name: str) -> Any:
    return json.loads((release / name).read_bytes())


def test_a_public_release_has_its_k(public: Path) -> None:
    manifest, evaluation = content(public, MANIFEST_NAME), content(public, EVALUATION_PATH)
    assert manifest["deid"] == {
        "profile": "public", "scenario": "public", "k_required": 20, "k_min": 29, "gbt42460_level": 3,
    }  # fmt: skip
    assert (evaluation["suppressed_persons"], evaluation["suppressed_rows"], evaluation["steps"]) == (2, 2, [])
    assert evaluation["figures"]["quasi"] == ["site", "sex", "age_band"]
    assert [told["column"] for told in evaluation["figures"]["diversity"]] == ["organ"]
    assert (evaluation["standard"]["standard"], evaluation["standard"]["verified"]) == ("GB/T 42460-2023", False)
    assert validate(public, Choice(today=NOW.date())).findings == ()


def test_who_was_left_out_is_in_no_count(public: Path) -> None:
    manifest, attrition = content(public, MANIFEST_NAME), content(public, "quality/attrition.json")
    assert manifest["counts"] == {"slides": 116, "cases": 58, "patients": 58}
    assert sum(manifest["split"].values()) == manifest["tables"]["cases"]["rows"] == 58
    last = attrition["steps"][-1]
    assert (last["id"], last["kind"], last["dropped"], last["remaining"]) == (
        "disclosure",
        "built_in",
        2,
        manifest["counts"],
    )
    assert attrition["steps"][-2]["remaining"]["cases"] == 60


def test_who_was_left_out_is_written_down_in_the_workspace_only(public: Path) -> None:
    listed = read_parquet(public.parents[2] / "cohorts" / "small" / "suppressed.parquet")
    assert listed.column_names == ["case_id", "patient_id", "group_id"]
    assert sorted(listed["case_id"].to_pylist()) == ["C-0000000000000000", "C-0000000000000001"]
    assert not list(public.rglob("suppressed*"))


@pytest.mark.parametrize(
    ("unit", "columns", "rules"),
    [
        ("slide", "slide_id, site, sex, age_band", {"PC-PRIV-004", "PC-SPL-002"}),  # nothing says whose a slide is
        ("patient", "patient_id, sex, case_count", {"PC-PRIV-004"}),
    ],
)
def test_other_units_add_up_too(tmp_path: Path, unit: str, columns: str, rules: set[str]) -> None:
    rows = clinic(people=44)
    recipe = RECIPE.replace("UNIT", unit).replace("COLUMNS", columns)
    release = build_release(tmp_path / "w", rows=rows, recipe=recipe, profile="public", permissions=False)
    manifest = content(release, MANIFEST_NAME)
    assert manifest["counts"] == {"slides": 84, "cases": 42, "patients": 42}
    # What cannot be checked, for want of a column that says whose a row is, is told apart.
    assert {finding.rule for finding in validate(release, Choice(today=NOW.date())).findings} - {NOT_RUN} == rules


def test_a_recipe_with_ages_gets_bands_in_their_place(tmp_path: Path) -> None:
    rows = clinic(stray=0)
    for number, row in enumerate(rows["cases"]):
        row |= {"age": 40 + number % 5, "age_band": "40-44"}
    profile = tmp_path / "own.yaml"
    profile.write_text(
        "profile: 1\nname: own\ntitle: {en: Own, zh: 自定}\nsharing: agreement\nk: 20\n"
        "texts: {released: false, dates: drop}\n"
    )
    recipe = CASES.replace("age_band", "age")
    release = build_release(tmp_path / "w", rows=rows, recipe=recipe, profile=str(profile), permissions=False)
    data = pq.read_table(release / "data" / "cases.parquet")
    assert data.column_names == [
        "case_id", "patient_id", "group_id", "site", "sex", "age_band", "organ", "slide_count", "split",
    ]  # fmt: skip
    assert set(data["age_band"].to_pylist()) == {"40-44"}
    assert content(release, EVALUATION_PATH)["steps"] == ["age is shown in bands of 5 years"]
    # By a profile of one's own nobody can say which columns it shows.
    assert {finding.rule for finding in validate(release, Choice(today=NOW.date())).findings} == {"PC-PRIV-004", NOT_RUN}


def test_a_cohort_that_is_too_small_leaves_no_release(tmp_path: Path) -> None:
    with pytest.raises(DisclosureRefusedError, match="the cohort has 12 persons"):
        build_release(tmp_path / "w", rows=clinic(people=12), recipe=CASES, profile="public")
    assert not list((tmp_path / "w" / "releases").rglob("*.parquet"))


def test_the_same_version_by_another_profile_is_another_release(tmp_path: Path) -> None:
    rows = clinic(stray=0)
    release = build_release(tmp_path / "w", rows=rows, recipe=CASES, profile="public")
    workspace = load_workspace(tmp_path / "w" / "pathcurate.yaml")
    source = read_recipe(tmp_path / "w" / "small.yaml")
    again = build(workspace, source, actor="tester", today=TODAY)
    assert (again.is_new, again.release.directory) == (False, release)
    file = tmp_path / "own.yaml"
    shipped_profile = (REPOSITORY / "pathcurate" / "profiles" / "public.yaml").read_text()
    file.write_text(shipped_profile.replace("name: public", "name: own").replace("k: 20", "k: 10"))
    settings = tmp_path / "w" / "pathcurate.yaml"
    settings.write_text(settings.read_text().replace("profile: public", f"profile: {file}"))
    with pytest.raises(VersionError, match="exists with other content"):
        build(load_workspace(settings), source, actor="tester", today=TODAY)


def test_a_workspace_may_bring_its_own_standard(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    own = SHIPPED.read_text().replace("standard: GB/T 42460-2023", "standard: OURS-1").replace("tau: 1/20", "tau: 1/50")
    (tmp_path / "w" / "own.yaml").write_text(own)
    release = build_release(tmp_path / "w", rows=clinic(), recipe=CASES, profile="public, risk: own.yaml")
    assert content(release, EVALUATION_PATH)["standard"]["standard"] == "OURS-1"
    assert content(release, MANIFEST_NAME)["deid"]["gbt42460_level"] == 2
    assert validate(release, Choice(today=NOW.date())).findings == ()


def test_a_release_of_before_profiles_is_found_again(tmp_path: Path) -> None:
    release = build_release(tmp_path / "w")
    manifest = content(release, MANIFEST_NAME)
    del manifest["deid"]
    release.rename(tmp_path / "built")
    rewrite_manifest(copy_release(tmp_path / "built", release), json.dumps(manifest))
    workspace = load_workspace(tmp_path / "w" / "pathcurate.yaml")
    assert not build(workspace, read_recipe(tmp_path / "w" / "small.yaml"), actor="tester", today=TODAY).is_new


def test_a_default_release_is_only_evaluated(tmp_path: Path) -> None:
    release = build_release(tmp_path / "w")
    evaluation = content(release, EVALUATION_PATH)
    assert (evaluation["k_required"], evaluation["steps"], evaluation["figures"]["k"]) == (None, [], 1)
    assert content(release, MANIFEST_NAME)["deid"]["gbt42460_level"] == 2
    assert "disclosure" not in {step["id"] for step in content(release, "quality/attrition.json")["steps"]}
    assert not (tmp_path / "w" / "cohorts" / "small" / "suppressed.parquet").exists()


# --- Chart and words -------------------------------------------------------------------------------------------------


def evaluation(**values: Any) -> Evaluation:
    found = figures({"sex": ["male"] * 4 + ["female"] * 30}, None, k=values.get("k_required"))
    return Evaluation(
        **{"figures": found, "profile": "public", "profile_digest": "sha256:0", "sharing": "public", "k_required": None,
           "steps": (), "suppressed_rows": 0, "suppressed_persons": 0, "has_texts": False, **values}
    )  # fmt: skip


def test_the_chart_parts_the_classes_at_k() -> None:
    drawn = disclosure_svg(evaluation(k_required=20))
    assert defusedxml.ElementTree.fromstring(drawn).tag.endswith("svg")
    assert drawn.count('class="below"') == 1
    assert drawn.count('class="enough"') == 1
    assert "k = 20" in drawn
    assert "k = " not in disclosure_svg(evaluation())
    assert disclosure_svg(evaluation(k_required=20)) == drawn


def test_the_page_says_it_in_words(public: Path) -> None:
    page = (public / "report.html").read_text()
    for words in (
        "De-identification",
        "public",
        "asks for at least 20",
        "2 rows of 2 persons.",
        "去标识化",
        "k = 29",
        "<svg",
    ):
        assert words in page
    assert "from second hand" in page


def test_what_is_not_counted_is_said() -> None:
    assert any("not counted" in sentence for sentence in evaluation(has_texts=True).words())
    assert any("inside the hospital" in sentence for sentence in evaluation(sharing="internal").words())
    assert "1 person (k = 1)" in " ".join(evaluation(figures=figures({"sex": ["male"]}, None)).words())


_CLAIM = re.compile(r"anonymi[sz]|匿名化", re.IGNORECASE)
_HONEST = re.compile('去标识化不等于匿名化|"匿名化程度A": null|dicom-anonymizer')
"""What says so, and the name of a tool that others call so."""


def _helps(part: click.Command, name: str) -> Iterator[tuple[str, str]]:
    context = click.Context(part, info_name=name, help_option_names=["-h", "--help"])
    yield name, part.get_help(context)
    if isinstance(part, click.Group):
        for member in part.list_commands(context):
            found = part.get_command(context, member)
            assert found is not None
            yield from _helps(found, f"{name} {member}")


def test_nothing_claims_to_be_anonymised(public: Path) -> None:
    """As long as a vault leads back, the word is de-identified (PIPL art. 73)."""
    said = {str(path.relative_to(public)): path.read_bytes().decode("utf-8", "replace") for path in public.rglob("*.*")}
    said |= {path.name: path.read_text() for path in shipped("schemas").rglob("*.json")}
    said |= {"README": (REPOSITORY / "README.md").read_text(), **dict(_helps(root, "pathcurate"))}
    assert len(said) > 20
    for name, text in said.items():
        assert _CLAIM.search(_HONEST.sub("", text)) is None, name
