"""The shipped recipes on the made-up hospital: who is kept, and what drops the others, by the hospital's own answer key."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pathcurate.cohort import read_recipe, select
from pathcurate.engines import Engine
from pathcurate.model.deidentified import UNIT_KEYS
from pathcurate.model.event import EVENTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, read_parquet
from pathcurate.workspace import load_workspace
from tests.commandline import pathcurate
from tests.sqlengines import connect  # noqa: F401 - a fixture

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = (
    "breast_ihc", "frozen_sections", "gynaecological_tumour", "hepatobiliary_panorama", "hip_replacement",
    "prostate_biopsies", "sealed_evaluation", "skin_disease", "thoracic_tumour",
)  # fmt: skip
Row = dict[str, Any]
Place = tuple[str, str]


class Desk:
    """A workspace after its run, with the cohorts of the shipped recipes, and the answer key in the workspace's codes."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.key: dict[str, Any] = json.loads((workspace / "hospital/answers.json").read_bytes())
        codes = internal((workspace / "vault/key").read_bytes()).codes
        catalog = Catalog(workspace / "catalog")
        self.slides: dict[Place, str] = {
            (row["site"], path_text(row["relpath"])): codes.code("S", row["slide_id"])
            for row in catalog.read(SLIDES, columns=("site", "relpath", "slide_id")).to_pylist()
        }
        self.films: dict[str, str] = {
            path_text(row["relpath"]): codes.code("I", row["series_id"])
            for row in catalog.read(SERIES, columns=("relpath", "series_id")).to_pylist()
        }
        self.operations: dict[Place, str] = {
            (row["patient_id"], row["laterality"]): codes.code("E", row["event_id"])
            for row in catalog.read(EVENTS).to_pylist()
            if row["kind"] == "procedure"
        }
        self.cases: dict[Place, str] = {
            (report["site"], report["accession"]): codes.code("C", report["site"], report["accession"])
            for report in self.key["reports"]
        }
        persons = {row["case_id"]: row["patient_id"] for row in pq.read_table(workspace / "deid/cases.parquet").to_pylist()}
        self.patients: dict[Place, str] = {
            (report["site"], report["patient"]): persons[self.cases[report["site"], report["accession"]]]
            for report in self.key["reports"]
        }

    def cohort(self, name: str) -> Path:
        """The directory of a cohort, selected when it is first asked for."""
        directory = self.workspace / "cohorts" / name
        if not directory.exists():
            done = pathcurate("cohort", self.workspace / "recipes" / f"{name}.yaml", "-w", self.workspace)
            assert done.returncode == 0, done.stderr
        return directory

    def rows(self, name: str, table: str | None = None) -> list[Row]:
        """The units that a recipe keeps, or the rows of another table that goes out with them."""
        place = f"tables/{table}.parquet" if table else "cohort.parquet"
        found: list[Row] = pq.read_table(self.cohort(name) / place).to_pylist()
        return found

    def steps(self, name: str) -> dict[str, str]:
        """Unit to the step that it failed first, or ``kept``."""
        key = unit_key(name)
        return {row[key]: row["step"] for row in pq.read_table(self.cohort(name) / "ledger.parquet").to_pylist()}

    def unit(self, fate: Row) -> str:
        """The code of what a line of the answer key is about."""
        if fate["side"]:
            return self.operations[fate["patient"], fate["side"]]
        if fate["relpath"]:
            return self.slides["NB03", fate["relpath"]]
        return self.cases["NB03", fate["accession"]] if fate["accession"] else self.patients["NB03", fate["patient"]]

    def slide(self, accession: str, part: str, stain: str = "HE") -> str:
        """The code of a slide, by case, part and stain."""
        (found,) = [
            code for (_, path), code in self.slides.items()
            if re.fullmatch(rf".*/{accession[:4]}0*{accession[4:]}-{part}-{stain}\.svs", path)
        ]  # fmt: skip
        return found


def unit_key(name: str) -> str:
    """The key column of a recipe's unit."""
    unit = yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))["unit"]
    return {**UNIT_KEYS, "event": "event_id"}[unit]


@pytest.fixture(scope="module")
def desk(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    workspace = tmp_path_factory.mktemp("shipped") / "hospital"
    # The slides' files are not read again.
    shutil.copytree(run_hospital, workspace, ignore=shutil.ignore_patterns("*.svs", "*.tif", "*.dcm"))
    for command in (("permissions", "import"), ("concepts", "build"), ("deid", "apply")):
        done = pathcurate(*command, "-w", workspace)
        assert done.returncode == 0, done.stderr
    return Desk(workspace)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_shipped_recipe_fits_the_tables(name: str) -> None:
    done = pathcurate("recipe", "check", RECIPES / f"{name}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    # The one that shows concepts has them for `concepts build` alone.
    assert ("warning" in done.stdout + done.stderr) == (name == "concepts_in_reports")


@pytest.mark.parametrize("name", SHIPPED)
def test_titles_are_in_both_languages_and_the_head_says_what_to_change(name: str) -> None:
    text = (RECIPES / f"{name}.yaml").read_text("utf-8")
    title = yaml.safe_load(text)["title"]
    assert re.search(r"[A-Za-z]{4}", title)
    assert re.search(r"[\u4e00-\u9fff]{4}", title)
    head = " ".join(line.lstrip("# ") for line in text.splitlines()[1 : text.splitlines().index("recipe: 1")])
    assert "For your own archive change:" in head
    assert "`owner`" in head


def test_the_readme_lists_each_with_its_unit() -> None:
    text = (RECIPES.parent / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| [^|]*[\u4e00-\u9fff]{3}[^|]* \| (\w+) \|$", text, re.MULTILINE))
    units = {name: yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))["unit"] for name in SHIPPED}
    assert {name: listed.get(name) for name in SHIPPED} == units


def test_code_lists_in_files_are_named_with_their_digest() -> None:
    used = set()
    for name in SHIPPED:
        recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))
        for listed in recipe.get("codelists", {}).values():
            if "file" in listed:
                path = RECIPES / listed["file"]
                assert listed["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
                with path.open(encoding="utf-8", newline="") as file:
                    codes = [row[listed["column"]] for row in csv.DictReader(file)]
                assert len(codes) == len(set(codes)) > 10
                used.add(path)
    assert used == set((RECIPES / "codelists").glob("*.csv"))


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "sealed_evaluation"])
def test_everybody_meets_the_fate_that_was_planned(desk: Desk, name: str) -> None:
    steps = desk.steps(name)
    planned = {desk.unit(fate): fate["step"] for fate in desk.key["fates"] if fate["recipe"] == name}
    assert {unit: steps[unit] for unit in planned} == planned
    kept = {unit for unit, step in steps.items() if step == "kept"}
    assert kept - planned.keys() == (general_lung_slides(desk) if name == "thoracic_tumour" else set())
    assert {row[unit_key(name)] for row in desk.rows(name)} == kept


def general_lung_slides(desk: Desk) -> set[str]:
    """Slides of the other sites that the thoracic recipe keeps: all their lung cases are acinar adenocarcinomas."""
    lungs = {(report["site"], report["accession"]) for report in desk.key["reports"] if report["organ"] == "lung"}
    allowed = {(patient["site"], patient["patient"]) for patient in desk.key["patients"] if patient["allowed"]}
    return {
        desk.slides[slide["site"], slide["relpath"]]
        for slide in desk.key["slides"]
        if slide["site"] != "NB03"
        and (slide["site"], slide["accession"]) in lungs
        and (slide["site"], slide["patient"]) in allowed
        and slide["status"] == "ok"
        and slide["stain"] == "HE"
        and slide["mpp"] < 0.3
        and slide["tier"] in {"exact", "barcode", "metadata"}
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_every_criterion_drops_somebody(desk: Desk, name: str) -> None:
    # What a look at thumbnails would find is not known here: the hospital was scanned without --qc.
    recipe = yaml.safe_load((RECIPES / f"{name}.yaml").read_text("utf-8"))
    criteria = [one["id"] for part in ("include", "exclude") for one in recipe.get(part, ())]
    met = set(desk.steps(name).values())
    assert [step for step in criteria if step not in met and step != "failed_qc"] == []


def test_the_sealed_set_is_what_was_drawn_at_the_held_out_site(desk: Desk) -> None:
    slides = {slide["relpath"]: slide for slide in desk.key["slides"] if slide["site"] == "NB03"}
    received = {report["accession"]: report["received"] for report in desk.key["reports"] if report["site"] == "NB03"}
    expected = {
        desk.slides["NB03", drawing["relpath"]]
        for drawing in desk.key["drawings"]
        if drawing["label"] == "Tumor"
        and not slides[drawing["relpath"]]["is_control"]
        and slides[drawing["relpath"]]["mpp"] < 0.3
        and received[slides[drawing["relpath"]]["accession"]] >= "2020-01-01"
    }
    rows = desk.rows("sealed_evaluation")
    assert len(expected) >= 2
    assert {row["slide_id"] for row in rows} == expected
    assert {(row["tumour"], row["split"], row["site"]) for row in rows} == {(True, "test", "NB03")}


def test_two_hips_of_one_patient_are_two_index_events_with_films_of_their_own_side(desk: Desk) -> None:
    hips = [fate for fate in desk.key["fates"] if fate["recipe"] == "hip_replacement" and fate["step"] == "kept"]
    rows = {row["event_id"]: row for row in desk.rows("hip_replacement")}
    assert rows.keys() == {desk.operations[hip["patient"], hip["side"]] for hip in hips}
    patients = [row["patient_id"] for row in rows.values()]
    (both,) = {patient for patient in patients if patients.count(patient) == 2}
    assert {row["laterality"] for row in rows.values() if row["patient_id"] == both} == {"left", "right"}
    # Both hips stay on one side of the split.
    assert len({row["split"] for row in rows.values() if row["patient_id"] == both}) == 1
    expected = {
        (desk.operations[hip["patient"], hip["side"]], desk.films[film["relpath"]])
        for hip in hips
        for film in desk.key["films"]
        if film["patient"] == hip["patient"] and film["of"] in {hip["side"], "both"}
    }
    films = desk.rows("hip_replacement", "series")
    assert {(film["index_event_id"], film["series_id"]) for film in films} == expected
    assert len(films) == len(expected)
    letters = {"left": {"L", "B"}, "right": {"R", "B"}}
    assert all(film["laterality"] in letters[rows[film["index_event_id"]]["laterality"]] for film in films)
    # A film of the pelvis is one of each hip: after the first operation, before the second.
    days: dict[str, list[int]] = {}
    for film in films:
        if film["laterality"] == "B" and film["patient_id"] == both:
            days.setdefault(film["series_id"], []).append(film["days_from_index"])
    ((earlier, later),) = [sorted(found) for found in days.values()]
    assert earlier < 0 < later


def test_an_infection_and_a_synovitis_belong_to_their_own_hip(desk: Desk) -> None:
    sides = {code: side for (_, side), code in desk.operations.items()}
    infected = {(sides[row["event_id"]], row["infected_2y"]) for row in desk.rows("hip_replacement")}
    rows = desk.rows("hip_replacement")
    assert [row["laterality"] for row in rows if row["infected_2y"]] == ["right"]
    assert [row["laterality"] for row in rows if row["synovitis"]] == ["left"]
    assert ("left", True) not in infected


def test_histology_of_each_hip_is_its_own(desk: Desk) -> None:
    reports = desk.rows("hip_replacement", "reports")
    assert sorted(row["index_event_id"] for row in reports) == sorted(
        row["event_id"] for row in desk.rows("hip_replacement")
    )
    assert len({row["report_id"] for row in reports}) == len(reports)


def labels(desk: Desk, name: str, column: str, key: Callable[[Row], str]) -> dict[str, Any]:
    """What a label says of the rows of a cohort."""
    return {key(row): row[column] for row in desk.rows(name)}


def test_a_slide_has_the_grade_of_its_own_specimen(desk: Desk) -> None:
    (several,) = [
        fate["accession"] for fate in desk.key["fates"]
        if fate["recipe"] == "prostate_biopsies" and fate["relpath"] and fate["relpath"].endswith("-C1-HE.svs")
    ]  # fmt: skip
    of = labels(desk, "prostate_biopsies", "grade_group", lambda row: row["slide_id"])
    parts = {part: of.pop(desk.slide(several, part)) for part in ("A1", "B1", "C1")}
    # The report: A Gleason 4+3, B 3+4, C benign.
    assert parts == {"A1": "group_3", "B1": "group_2", "C1": None}
    assert set(of.values()) == {"group_1"}


def test_labels_say_what_the_reports_say(desk: Desk) -> None:
    subtypes = labels(desk, "thoracic_tumour", "subtype", lambda row: row["slide_id"])
    squamous = [slide for slide, subtype in subtypes.items() if subtype == "squamous"]
    assert len(squamous) == 1
    assert set(subtypes.values()) == {"adenocarcinoma", "squamous"}
    lesions = [row["lesion"] for row in desk.rows("gynaecological_tumour")]
    assert sorted(map(str, lesions)) == ["None", "endometrioid", "hsil", "serous", "squamous"]
    stages = {row["lesion"]: row["case_figo"] for row in desk.rows("gynaecological_tumour") if row["lesion"]}
    assert stages == {"hsil": None, "squamous": "IB2", "endometrioid": "IA", "serous": "IIIC"}
    skin = [(row["tumour"], row["case_inflammatory"]) for row in desk.rows("skin_disease")]
    assert sorted(skin, key=str) == [("basal_cell", False), ("melanoma", False), ("naevus", False), (None, True)]


def test_receptors_are_those_of_the_report(desk: Desk) -> None:
    found = {(row["er"], row["pr"], row["her2_score"], row["ki67_percent"]) for row in desk.rows("breast_ihc")}
    assert found == {("negative", "negative", "0", 80), ("positive", "positive", "3+", 35)}
    stains = [row["stain"] for row in desk.rows("breast_ihc", "slides")]
    assert sorted(stains) == ["HE", *(["IHC:ER"] * 2), *(["IHC:HER2"] * 2), *(["IHC:Ki-67"] * 2), *(["IHC:PR"] * 2)]


def test_one_frozen_section_agrees_and_one_deviates(desk: Desk) -> None:
    found = sorted((row["frozen_malignant"], row["final_malignant"]) for row in desk.rows("frozen_sections"))
    assert found == [(False, True), (True, True)]


def test_the_panorama_has_survival_and_every_table(desk: Desk) -> None:
    rows = {row["tumour"]: row for row in desk.rows("hepatobiliary_panorama")}
    assert rows.keys() == {"hepatocellular", "ductal"}
    # Reported on 2021-03-01 and died on 2021-10-30; reported on 2020-04-20 and last seen on 2021-05-12.
    assert (rows["ductal"]["survival_days"], rows["ductal"]["survival_event"]) == (243, True)
    assert (rows["hepatocellular"]["survival_days"], rows["hepatocellular"]["survival_event"]) == (387, False)
    # AFP was measured on 2020-04-02, CA19-9 on 2021-02-15.
    assert (rows["hepatocellular"]["afp"], rows["hepatocellular"]["afp_days"]) == (412.5, -18)
    assert (rows["ductal"]["ca199"], rows["ductal"]["ca199_days"]) == (1203.0, -14)
    assert rows["hepatocellular"]["ca199"] is rows["ductal"]["afp"] is None
    for table in ("slides", "reports", "ihc_results", "events"):
        assert {row["patient_id"] for row in desk.rows("hepatobiliary_panorama", table)} == {
            row["patient_id"] for row in rows.values()
        }, table


def test_concepts_of_other_recipes_change_no_release(desk: Desk) -> None:
    # Since the run, all concepts of all recipes were looked for: two recipes may call different things by one name.
    named = [name for path in RECIPES.glob("*.yaml") for name in yaml.safe_load(path.read_text("utf-8")).get("concepts", ())]
    assert len(named) > len(set(named))
    recipe = desk.workspace / "recipes" / "demo_he_2023.yaml"
    for command in (("cohort", recipe), ("deid", "apply", "--texts", "demo_he_2023"), ("manifest", "build", recipe)):
        done = pathcurate(*command, "-w", desk.workspace)
        assert done.returncode == 0, done.stderr
    assert "unchanged" in done.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_a_cluster_gives_the_same_rows(name: str, desk: Desk, connect: Engine) -> None:  # noqa: F811
    here = tables_of(desk.cohort(name))
    workspace = load_workspace(desk.workspace / "pathcurate.yaml")
    done = select(workspace, connect, read_recipe(desk.workspace / "recipes" / f"{name}.yaml"), now=datetime.now(UTC))
    assert done.directory == desk.cohort(name)
    assert tables_of(done.directory) == here
    assert here["cohort.parquet"]
    assert read_parquet(done.directory / "differences.parquet").num_rows == 0


def tables_of(cohort: Path) -> dict[str, Any]:
    """The rows of all tables of a cohort, and what its attrition and split are."""
    tables = {str(path.relative_to(cohort)): read_parquet(path).to_pylist()
              for path in cohort.rglob("*.parquet")
              if "previous" not in path.parts and path.name != "differences.parquet"}  # fmt: skip
    facts = json.loads((cohort / "cohort.json").read_bytes())
    return {**tables, **{name: facts[name] for name in ("attrition", "split", "counts", "tables")}}
