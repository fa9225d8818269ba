"""The made-up hospital: three sites with slides, films, laboratory exports, events, permission lists, and an answer key.

Two sites hold what makes real archives hard: folders in GB18030, cut and broken files, a vendor without a reader, rescans, a
barcode that contradicts its file name, numbers the laboratory does not have, one number in use at two sites, namesakes,
patients over 89, consents that expired. The third holds what the shipped recipes look for. ``hospital/answers.json`` says
what is right for each of them.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pathcurate.demo.archive import SlideFile, plan_slides, slide_answer, write_others, write_slide
from pathcurate.demo.cases import Case, Patient, Report, make_cases, make_reports, texts
from pathcurate.demo.events import Event, make_events
from pathcurate.demo.exports import write_authorisations, write_events, write_exports, write_permissions, write_workspace
from pathcurate.demo.radiology import Film, write_film
from pathcurate.demo.registers import write_drawings, write_registers
from pathcurate.demo.specialities import SITE, make_specialities
from pathcurate.errors import InputOutputError

GENERAL_SITES = ("NB01", "NB02")
"""The sites whose cases are drawn; those of the third are planned one by one."""
SITES = (*GENERAL_SITES, SITE)


@dataclass(frozen=True, slots=True)
class Hospital:
    """What was written.

    Attributes:
        directory: holds ``pathcurate.yaml``, ``mappings/`` and ``hospital/``.
        workspace: the workspace file.
        answers: the answer key.
        slides: slide files, good and bad; ``others`` are files that are none.
        films: radiology films, each a series of its own.
        reports: rows of all laboratory exports.
        cases: accessions, each counted once per site.
        patients: patients of all sites, with or without a specimen.
        events: rows of the tables of clinical events.
    """

    directory: Path
    workspace: Path
    answers: Path
    slides: int
    others: int
    films: int
    reports: int
    cases: int
    patients: int
    events: int


def make_hospital(directory: Path, *, seed: int = 1) -> Hospital:
    """Write the made-up hospital into an empty directory; the same seed gives the same bytes.

    Raises:
        InputOutputError: the directory is missing or not empty.
    """
    if not directory.is_dir() or any(directory.iterdir()):
        raise InputOutputError("the made-up hospital needs an empty directory", "Create one, or name another.")
    rng = random.Random(seed)  # noqa: S311 - made-up data must be the same each time; nothing here is secret
    cases = {site: make_cases(site, rng) for site in GENERAL_SITES}
    cases["NB02"] = _share_number(cases["NB01"], cases["NB02"])
    reports = {site: make_reports(cases[site], rng) for site in GENERAL_SITES}
    slides = plan_slides(cases, rng)
    followup = make_events(cases["NB01"], seed)
    third = make_specialities(seed)
    numbers = {(site, case.key): case.accession for site in GENERAL_SITES for case in cases[site]}
    patients = [*_patients(cases), *sorted(third.patients, key=lambda patient: patient.number)]
    reports[SITE], cases[SITE] = list(third.reports), list(third.cases)
    slides += third.slides
    write_workspace(directory)
    write_exports(directory, reports)
    write_events(directory, followup, third.events)
    write_authorisations(directory, SITES)
    write_permissions(directory, patients)
    for index, slide in enumerate(slides):
        write_slide(directory, slide, seed * 1000 + index)
    for film in third.films:
        write_film(directory / "hospital" / SITE / "radiology", film)
    right = [slide_answer(slide) for slide in slides]
    write_registers(directory, [slide for slide in right if slide["site"] != SITE], numbers)
    write_drawings(directory / "hospital" / SITE / "annotations", third.drawings)
    others = write_others(directory)
    every_report = [report for site in SITES for report in reports[site]]
    key = {
        "seed": seed,
        "slides": right,
        "others": others,
        "reports": [_report_answer(report) for report in every_report],
        "patients": [_patient_answer(patient) for patient in patients],
        "events": [event.answer(row, cases["NB01"]) for row, event in enumerate(followup, 2)]
        + [event.answer(row, cases[SITE]) for row, event in enumerate(third.events, 2)],
        "films": [_film_answer(film) for film in third.films],
        "drawings": [asdict(drawing) for drawing in third.drawings],
        "fates": [asdict(fate) for fate in third.fates],
        "planted": _planted(slides, every_report, [*followup, *third.events], third.films),
    }
    answers = directory / "hospital/answers.json"
    answers.write_text(json.dumps(key, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Hospital(
        directory=directory, workspace=directory / "pathcurate.yaml", answers=answers,
        slides=len(slides), others=len(others), films=len(third.films),
        reports=len(every_report),
        cases=sum(len(rows) for rows in cases.values()),
        patients=len(patients),
        events=len(followup) + len(third.events),
    )  # fmt: skip


def _share_number(first: Sequence[Case], second: Sequence[Case]) -> list[Case]:
    """The second site's cases, one of them with a number that the first site gave to another patient."""
    number = next(case.accession for case in first if case.received.year == 2023)
    shared = next(case for case in second if case.received.year == 2023)
    return [replace(case, accession=number) if case is shared else case for case in second]


def _patients(cases: Mapping[str, Sequence[Case]]) -> list[Patient]:
    found = {(case.site, case.patient.number): case.patient for site in GENERAL_SITES for case in cases[site]}
    return [found[key] for key in sorted(found)]


# ---- answer key ----


def _report_answer(report: Report) -> dict[str, Any]:
    case, patient = report.case, report.case.patient
    return {
        "site": case.site,
        "accession": case.key,
        "accession_raw": case.accession,
        "patient": patient.number,
        "name": patient.name,
        "sex": patient.sex,
        "birth_date": patient.birth_date.isoformat(),
        "age": case.age,
        "age_text": case.age_text,
        "received": case.received.date().isoformat(),
        "reported": report.reported.isoformat(),
        "organ": case.organ,
        "type": report.type,
    }


def _patient_answer(patient: Patient) -> dict[str, Any]:
    return {
        "site": patient.site,
        "patient": patient.number,
        "allowed": patient.permission in {"consent", "waiver"},
        "reason": patient.permission,
    }


def _film_answer(film: Film) -> dict[str, Any]:
    return {
        "site": SITE,
        "archive": "radiology",
        "relpath": film.path,
        "patient": film.patient.number,
        "date": film.taken.isoformat(),
        "modality": film.modality,
        "body_part": film.body_part,
        "laterality": film.laterality or None,
        "of": film.of or None,
    }


def _planted(
    slides: Sequence[SlideFile], reports: Sequence[Report], events: Sequence[Event], films: Sequence[Film]
) -> dict[str, list[str]]:
    """Every direct identifier that stands somewhere in the hospital's files, by kind, each once.

    Normalised accessions and birth dates are listed too: they stand in no file, but follow from one.
    What identifies nobody is left out: file stems without a digit, stains on labels.
    """
    patients = [*(report.case.patient for report in reports), *(film.patient for film in films)]
    # NB02's export has no columns for telephone, out-patient number and doctors.
    worded = [report for report in reports if report.case.site != "NB02"]
    doctors = texts()["submitting_doctors"]
    scanned = [slide.scanned for slide in slides if slide.scanned]
    received = [report.case.received for report in reports]
    stems = [slide.path.rsplit("/", 1)[-1].rsplit(".", 1)[0] for slide in slides]
    planted: dict[str, Iterable[str]] = {
        "names": [patient.name for patient in patients],
        "latin_names": [
            *(slide.label[2] for slide in slides if len(slide.label) == 3),
            *(film.patient.latin.replace(" ", "^") for film in films),
        ],
        "doctors": [
            *(name for report in worded for name in (report.submitting_doctor, report.pathologist, report.reviewer)),
            *(doctors[report.submitting_doctor].title() for report in reports if report.told and report.type == "primary"),
            *(report.submitting_doctor for report in reports if report.type == "supplementary"),
        ],
        "users": texts()["technicians"].values(),
        "id_numbers": [patient.id_number for patient in patients],
        "phones": [report.case.patient.phone for report in worded],
        "patient_numbers": [
            *(patient.number for patient in patients),
            *(event.patient for event in events if event.patient),
            *(report.case.patient.outpatient_number for report in worded),
        ],
        "accessions": [
            *(text for report in reports for text in (report.case.accession, report.case.key)),
            *(slide.number for slide in slides if slide.number),
            *(film.accession for film in films),
        ],
        "uids": [film.series_uid for film in films],
        "file_stems": [stem for stem in stems if any(character.isdigit() for character in stem)],
        "scan_numbers": [slide.scan_number for slide in slides if slide.scan_number],
        "barcodes": [text for slide in slides for text in (slide.header.get("Barcode"), slide.label_barcode) if text],
        "label_texts": [line for slide in slides if slide.number for line in slide.label if line != slide.painted],
        "scanner_serials": [slide.scanner for slide in slides if slide.scanner],
        "dates": [
            *(patient.birth_date.isoformat() for patient in patients),
            *(f"{day:{form}}" for day in received for form in ("%Y-%m-%d", "%Y/%m/%d")),
            *(f"{report.reported:{form}}" for report in reports for form in ("%Y-%m-%d", "%Y/%m/%d")),
            *(f"{day:{form}}" for day in scanned for form in ("%Y-%m-%d", "%m/%d/%y", "%Y:%m:%d")),
            *(report.told for report in reports if report.told),
            *(event.day.isoformat() for event in events),
            *(f"{film.taken:%Y%m%d}" for film in films),
        ],
    }  # fmt: skip
    return {kind: sorted(set(values)) for kind, values in planted.items()}
