"""The third site of the made-up hospital: its plan against its files, and its films against pydicom."""

import csv
import io
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pathcurate.demo.archive import slide_answer
from pathcurate.demo.hospital import SITES
from pathcurate.demo.radiology import Film, write_film
from pathcurate.demo.specialities import SITE, Specialities, make_specialities

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def third() -> Specialities:
    return make_specialities(1)


@pytest.fixture(scope="module")
def key(pristine_hospital: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((pristine_hospital / "hospital/answers.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("seed", range(12))
def test_every_seed_keeps_the_plan_and_only_changes_names_and_numbers(seed: int, third: Specialities) -> None:
    other = make_specialities(seed)
    for name in ("name", "number", "id_number", "outpatient_number", "phone"):
        assert len({getattr(patient, name) for patient in other.patients}) == len(other.patients)
    assert [case.accession for case in other.cases] == [case.accession for case in third.cases]
    assert [case.accession for case in other.cases] == sorted({case.accession for case in other.cases})
    assert [fate.step for fate in other.fates] == [fate.step for fate in third.fates]
    assert (other == third) == (seed == 1)


def test_nobody_is_seen_before_birth_or_after_death(third: Specialities) -> None:
    born = {patient.number: patient.birth_date for patient in third.patients}
    died = {event.patient: event.day for event in third.events if event.kind == "死亡"}
    days = [(case.patient.number, case.received.date()) for case in third.cases]
    days += [(report.case.patient.number, report.reported) for report in third.reports]
    days += [(event.patient, event.day) for event in third.events]
    days += [(film.patient.number, film.taken) for film in third.films]
    assert died
    for number, day in days:
        assert born[number] < day <= died.get(number, date.max)
    # Nobody's specimen came in the year of the first recipe that README shows.
    assert 2023 not in {case.received.year for case in third.cases}


def test_the_sexes_fit_the_organs(third: Specialities) -> None:
    of = {"F": {"cervix", "uterus", "ovary", "breast"}, "M": {"prostate"}}
    for case in third.cases:
        assert not any(case.organ in organs and case.patient.sex != sex for sex, organs in of.items())


def test_every_fate_names_a_shipped_recipe_and_each_has_one_that_is_kept(third: Specialities) -> None:
    planned = Counter((fate.recipe, fate.step == "kept") for fate in third.fates)
    recipes = {recipe for recipe, _ in planned}
    assert recipes <= {path.stem for path in RECIPES.glob("*.yaml")}
    assert len(recipes) == 8
    assert all(planned[recipe, True] >= 1 and planned[recipe, False] >= 2 for recipe in recipes)


def test_the_slides_of_a_case_differ_in_part_or_stain(third: Specialities) -> None:
    places = Counter(slide.path for slide in third.slides)
    assert set(places.values()) == {1}
    answers = [slide_answer(slide) for slide in third.slides]
    assert {answer["site"] for answer in answers} == {SITE}
    assert all(answer["accession"] and answer["mpp"] and answer["status"] == "ok" for answer in answers)


def test_frozen_sections_are_reported_on_the_day_and_before_the_primary_report(third: Specialities) -> None:
    frozen = {report.case.accession: report for report in third.reports if report.type == "frozen"}
    primary = {report.case.accession: report for report in third.reports if report.type == "primary"}
    assert len(frozen) > len(frozen.keys() & primary.keys()) > 2
    for accession, report in frozen.items():
        assert report.reported == report.case.received.date()
        assert accession not in primary or primary[accession].reported > report.reported


def test_films_are_what_the_key_says(pristine_hospital: Path, key: dict[str, Any]) -> None:
    root = pristine_hospital / "hospital" / SITE / "radiology"
    assert {path.relative_to(root).as_posix() for path in root.rglob("*.dcm")} == {film["relpath"] for film in key["films"]}
    numbers = {patient["patient"] for patient in key["patients"] if patient["site"] == SITE}
    series = set()
    for film in key["films"]:
        header = pydicom.dcmread(root / film["relpath"])
        assert (header.PatientID, header.Modality, header.BodyPartExamined, header.ImageLaterality or None) == (
            film["patient"], film["modality"], film["body_part"], film["laterality"],
        )  # fmt: skip
        assert header.StudyDate == film["date"].replace("-", "")
        assert header.ViewPosition == "AP"
        assert header.pixel_array.shape == (48, 40)
        assert film["patient"] in numbers
        assert header.AccessionNumber in key["planted"]["accessions"]
        assert header.SeriesInstanceUID in key["planted"]["uids"]
        series.add(header.SeriesInstanceUID)
    assert len(series) == len(key["films"])
    assert {film["laterality"] for film in key["films"]} == {"L", "R", "B", None}


def test_a_film_gives_the_same_bytes_whatever_pydicom_writes_of_itself(third: Specialities, tmp_path: Path) -> None:
    film: Film = third.films[0]
    write_film(tmp_path / "a", film)
    data = (tmp_path / "a" / film.path).read_bytes()
    assert b"PYDICOM" not in data.upper()
    assert len(data) < 4_000


def test_two_hips_are_two_operations_years_apart_with_films_of_their_own_side(key: dict[str, Any]) -> None:
    kept = [fate for fate in key["fates"] if fate["recipe"] == "hip_replacement" and fate["step"] == "kept"]
    (both,) = {fate["patient"] for fate in kept if sum(one["patient"] == fate["patient"] for one in kept) == 2}
    operations = {
        event["laterality"]: date.fromisoformat(event["date"])
        for event in key["events"]
        if event["patient"] == both and event["kind"] == "procedure"
    }
    assert operations.keys() == {"left", "right"}
    assert (operations["right"] - operations["left"]).days > 2 * 365
    letters = {"left": {"L", "B"}, "right": {"R", "B"}}
    films = [film for film in key["films"] if film["patient"] == both]
    for side, day in operations.items():
        mine = [film for film in films if film["of"] in {side, "both"}]
        assert all(film["laterality"] in letters[side] for film in mine)
        assert {date.fromisoformat(film["date"]) < day for film in mine} == {True, False}
    # A film of the other side lies in the first operation's window.
    assert any(
        film["of"] is None
        and film["laterality"] == "R"
        and abs((date.fromisoformat(film["date"]) - operations["left"]).days) < 60
        for film in films
    )


def test_the_table_of_events_has_a_side_for_each_operation(pristine_hospital: Path, key: dict[str, Any]) -> None:
    text = (pristine_hospital / "hospital" / SITE / "events.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    answers = [event for event in key["events"] if event["site"] == SITE]
    assert len(rows) == len(answers)
    words = {"左": "left", "右": "right", "": None}
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True), 2):
        assert (number, row["住院号"], row["代码"].upper() or None, words[row["侧别"]], row["日期"]) == (
            answer["row"], answer["patient"], answer["code"], answer["laterality"], answer["date"],
        )  # fmt: skip
        assert answer["has_reports"]
    assert {answer["laterality"] for answer in answers if answer["kind"] == "procedure"} == {"left", "right"}


def test_drawings_lie_on_slides_and_inside_them(pristine_hospital: Path, key: dict[str, Any]) -> None:
    slides = {slide["relpath"]: slide for slide in key["slides"] if slide["site"] == SITE}
    assert {drawing["label"] for drawing in key["drawings"]} == {"Tumor", "Artefact"}
    for drawing in key["drawings"]:
        slide = slides[drawing["relpath"]]
        name = Path(drawing["relpath"]).stem
        path = pristine_hospital / "hospital" / SITE / "annotations" / f"{name}.geojson"
        (feature,) = json.loads(path.read_text("utf-8"))["features"]
        assert feature["properties"]["classification"]["name"] == drawing["label"]
        for x, y in feature["geometry"]["coordinates"][0]:
            assert 0 <= x <= slide["width"]
            assert 0 <= y <= slide["height"]


def test_the_sites_are_told_apart(key: dict[str, Any]) -> None:
    numbers = {site: {report["accession"] for report in key["reports"] if report["site"] == site} for site in SITES}
    assert not numbers[SITE] & (numbers["NB01"] | numbers["NB02"])
    cards = Counter((patient["site"], patient["patient"]) for patient in key["patients"])
    assert set(cards.values()) == {1}
