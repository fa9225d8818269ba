"""The third site: a small hospital of specialities, whose cases the shipped recipes select, from ``specialities.yaml``.

Beside each patient, case and slide stands what becomes of it: the answer key of the shipped recipes.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any

import yaml

from pathcurate.demo.archive import SlideFile
from pathcurate.demo.cases import Case, Patient, Report, given_name, id_number, texts
from pathcurate.demo.events import Event
from pathcurate.demo.radiology import Film

SITE = "NB03"
_SIZE = (384, 288)
_MOST = 100
"""More patients than the plan has."""
_SYSTEMS = {"手术": "ICD-9-CM-3", "诊断": "ICD-10", "检验": "检验项目"}
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Fate:
    """What one shipped recipe makes of one patient, case, slide or replaced hip.

    Attributes:
        recipe: its name.
        step: ``kept``, or the first criterion that is failed.
        patient: in-patient number; ``accession`` and ``relpath`` are the case and the slide, where those are counted.
        side: of the replaced hip.
    """

    recipe: str
    step: str
    patient: str
    accession: str | None = None
    relpath: str | None = None
    side: str | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A region that somebody drew on a slide, by the file's path below the archive root."""

    relpath: str
    label: str


@dataclass(frozen=True, slots=True)
class Specialities:
    """Everything of the third site.

    Attributes:
        reports: in order of accession.
        events: in order of patient and time.
    """

    patients: tuple[Patient, ...]
    cases: tuple[Case, ...]
    reports: tuple[Report, ...]
    slides: tuple[SlideFile, ...]
    events: tuple[Event, ...]
    films: tuple[Film, ...]
    drawings: tuple[Drawing, ...]
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A patient with the plan of his or her cases, each with the case itself."""

    recipe: str
    patient: Patient
    plan: Mapping[str, Any]
    cases: tuple[tuple[Case, Mapping[str, Any]], ...]


@cache
def _planned() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load(files("pathcurate.demo").joinpath("specialities.yaml").read_text("utf-8"))
    return loaded


def make_specialities(seed: int) -> Specialities:
    """The third site; the same seed gives the same people and numbers."""
    rng = random.Random(seed + 1954)  # noqa: S311 - made-up data must be the same each time; nothing here is secret
    plans = _plans(rng)
    cases = sorted((pair for plan in plans for pair in plan.cases), key=lambda pair: pair[0].accession)
    slides = {case.accession: _slides(case, plan) for case, plan in cases}
    numbers = count(20_260_001)
    return Specialities(
        patients=tuple(plan.patient for plan in plans),
        cases=tuple(case for case, _ in cases),
        reports=tuple(report for case, plan in cases for report in _reports(case, plan, rng)),
        slides=tuple(slide for case, _ in cases for slide, _ in slides[case.accession]),
        events=tuple(event for plan in plans for event in _events(plan)),
        films=tuple(film for plan in plans for film in _films(plan, numbers)),
        drawings=tuple(_drawings(cases, slides)),
        fates=tuple(fate for plan in plans for fate in _fates(plan, slides)),
    )


def _plans(rng: random.Random) -> list[_Plan]:
    groups = [(recipe, plan) for recipe, plans in _planned().items() if recipe != "departments" for plan in plans]
    taken: set[str] = set()
    patients = [_patient(index, plan, taken, rng) for index, (_, plan) in enumerate(groups)]
    drafts = sorted(
        (case["received"], index, place)
        for index, (_, plan) in enumerate(groups)
        for place, case in enumerate(plan["cases"])
    )
    numbers: dict[tuple[int, int], str] = {}
    for order, (received, index, place) in enumerate(drafts):
        numbers[index, place] = f"Z{received:%y}-{101 + 7 * order:05d}"
    return [
        _Plan(recipe, patient, plan, tuple(
            (_case(patient, numbers[index, place], case), case) for place, case in enumerate(plan["cases"])
        ))
        for index, ((recipe, plan), patient) in enumerate(zip(groups, patients, strict=True))
    ]  # fmt: skip


def _patient(index: int, plan: Mapping[str, Any], taken: set[str], rng: random.Random) -> Patient:
    # A number's remainder by _MOST is the patient's place in the plan, so no two are alike.
    name, latin = given_name(plan["sex"], None, taken, rng)
    return Patient(
        site=SITE,
        name=name,
        latin=latin,
        number=f"3{rng.randrange(10_000) * _MOST + index:07d}",
        sex=plan["sex"],
        birth_date=plan["born"],
        id_number=id_number(plan["born"], plan["sex"], rng.randrange(500)),
        outpatient_number=f"MC{rng.randrange(10_000) * _MOST + index:07d}",
        phone=f"19900{50_000 + index:06d}",
        permission=plan.get("permission", "consent"),
    )


def _case(patient: Patient, accession: str, plan: Mapping[str, Any]) -> Case:
    received = datetime.combine(plan["received"], time(9, 30))
    return Case(SITE, accession, patient, "", plan["organ"], received)


def _reports(case: Case, plan: Mapping[str, Any], rng: random.Random) -> Iterator[Report]:
    """The report of a frozen section on the day itself, and the primary (or cytology) report days later."""
    pathologist, reviewer = rng.sample(texts()["pathologists"], 2)
    report = Report(
        case=case,
        type=plan.get("type", "primary"),
        reported=case.received.date() + timedelta(days=6),
        department=_planned()["departments"][case.organ],
        unit="本院",
        submitting_doctor=rng.choice(list(texts()["submitting_doctors"])),
        pathologist=pathologist,
        reviewer=reviewer,
        specimen=plan["specimen"],
        clinical=plan["clinical"],
        gross=plan.get("gross", ""),
        microscopy=plan.get("microscopy", ""),
        diagnosis=plan.get("diagnosis", ""),
        ihc=plan.get("ihc", ""),
    )
    if "frozen" in plan:
        yield replace(
            report, type="frozen", reported=case.received.date(), diagnosis=plan["frozen"], ihc="", microscopy="", gross=""
        )
    if "diagnosis" in plan:
        yield report


def _slides(case: Case, plan: Mapping[str, Any]) -> list[tuple[SlideFile, str]]:
    """The slides of a case, each with its plan in words."""
    return [(_slide(case, words, order), words) for order, words in enumerate(plan.get("slides", ()))]


def _slide(case: Case, words: str, order: int) -> SlideFile:
    part, stain, *more = words.split()
    said = "-冰冻" * ("frozen" in more) + "-阳性对照" * ("control" in more)
    is_named_only = "file" in more
    return SlideFile(
        site=SITE,
        path=f"{case.received:%Y}/{case.accession}-{part}{said}-{stain}.svs",
        case=case,
        tier="file_name" if is_named_only else "exact",
        number=case.accession,
        header={} if is_named_only else {"Barcode": f"{case.accession}-{part}"},
        stain=stain,
        specimen=part[0],
        block=part[1:],
        painted=stain,
        scanned=case.received + timedelta(days=4, minutes=5 * order),
        scanner="SS30551",
        scan_number=f"{case.accession[1:3]}{case.accession[4:]}{order}",
        size=_SIZE,
        mpp=0.499 if "20x" in more else 0.2498,
        is_control="control" in more,
    )


def _drawings(cases: Sequence[tuple[Case, Any]], slides: Mapping[str, Sequence[tuple[SlideFile, str]]]) -> Iterator[Drawing]:
    for case, _ in cases:
        for slide, words in slides[case.accession]:
            for word in words.split():
                if word.startswith("drawn:"):
                    yield Drawing(slide.path, word.removeprefix("drawn:"))


def _events(plan: _Plan) -> Iterator[Event]:
    for row in plan.plan.get("events", ()):
        value = row.get("value")
        yield Event(
            patient=plan.patient.number,
            kind=row["kind"],
            day=row["day"],
            text=row["text"],
            system=_SYSTEMS[row["kind"]] if "code" in row else "",
            code=row.get("code", ""),
            value="" if value is None else f"{value}",
            unit=row.get("unit", ""),
            number=None if value is None else float(value),
            site=SITE,
            side=row.get("side", ""),
        )


def _films(plan: _Plan, numbers: Iterator[int]) -> Iterator[Film]:
    for words, more in plan.plan.get("films", {}).items():
        day, modality, body_part, side = words.split()
        laterality = "" if side == "-" else side
        yield Film(plan.patient, next(numbers), date.fromisoformat(day), modality, body_part, laterality, more.get("of", ""))


def _fates(plan: _Plan, slides: Mapping[str, Sequence[tuple[SlideFile, str]]]) -> Iterator[Fate]:
    """What was planned, for whichever of patient, hip, case and slide something is planned."""
    number, fate = plan.patient.number, plan.plan.get("fate")
    if isinstance(fate, Mapping):
        yield from (Fate(plan.recipe, fate[side], number, side=side) for side in _SIDES if side in fate)
    elif fate:
        yield Fate(plan.recipe, fate, number)
    for case, planned in plan.cases:
        if "fate" in planned:
            yield Fate(plan.recipe, planned["fate"], number, accession=case.key)
        steps = planned.get("slides", ())
        if isinstance(steps, Mapping):
            for slide, words in slides[case.accession]:
                yield Fate(plan.recipe, steps[words], number, accession=case.key, relpath=slide.path)
