"""Made-up patients, their cases and their pathology reports, from the plan and the sentences in ``texts.yaml``."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import cycle
from typing import Any

import yaml

_REGION = "999999"
"""No administrative division has this code (GB/T 2260), so no real ID number begins with it."""
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_YEARS = (2023, 2022, 2023, 2024, 2023, 2023, 2022, 2024, 2023)
_PREFIXES = {"NB01": "S", "NB02": ""}


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient of one site.

    Attributes:
        latin: the name in Pinyin, as labels print it.
        number: in-patient number (住院号), the one that permissions name.
        permission: ``consent`` and ``waiver`` allow; the others are reasons why not.
    """

    site: str
    name: str
    latin: str
    number: str
    sex: str
    birth_date: date
    id_number: str
    outpatient_number: str
    phone: str
    permission: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case: one accession of one patient.

    Attributes:
        accession: as the laboratory writes it, such as ``S23-00123``.
        template: name of its report text.
    """

    site: str
    accession: str
    patient: Patient
    template: str
    organ: str
    received: datetime

    @property
    def key(self) -> str:
        """The normalised accession: letters, two digits of the year, dash, number without leading zeros."""
        front, number = self.accession.split("-")
        return f"{front}-{int(number)}"

    @property
    def age(self) -> int:
        """Age in completed years on the day of receipt."""
        born, day = self.patient.birth_date, self.received.date()
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    @property
    def age_text(self) -> str:
        """The age as the laboratory writes it: years, or months below one year."""
        months = (self.received.year - self.patient.birth_date.year) * 12 + (
            self.received.month - self.patient.birth_date.month
        )
        return f"{self.age}岁" if self.age else f"{max(1, months)}月"


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a case; the texts are those of the laboratory's columns.

    Attributes:
        type: ``primary``, ``supplementary``, ``frozen`` or ``cytology``.
        told: date written inside the text, as it stands there, or empty.
    """

    case: Case
    type: str
    reported: date
    department: str
    unit: str
    submitting_doctor: str
    pathologist: str
    reviewer: str
    specimen: str
    clinical: str
    gross: str
    microscopy: str
    diagnosis: str
    ihc: str
    told: str = ""


@cache
def texts() -> Mapping[str, Any]:
    """The content of ``texts.yaml``."""
    loaded: Mapping[str, Any] = yaml.safe_load(files("pathcurate.demo").joinpath("texts.yaml").read_text("utf-8"))
    return loaded


def id_check_digit(digits: str) -> str:
    """Check character of an ID number's first 17 digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return "10X98765432"[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]


def id_number(born: date, sex: str, sequence: int) -> str:
    """An ID number of no region; an odd 17th digit is a man's.

    Args:
        sequence: 0 to 499; tells people of one birthday and sex apart.
    """
    digits = f"{_REGION}{born:%Y%m%d}{2 * sequence + (sex == 'M'):03d}"
    return digits + id_check_digit(digits)


def make_cases(site: str, rng: random.Random) -> list[Case]:
    """The cases of one site in order of accession."""
    drafts: list[Case] = []
    taken = {"".join(plan["name"]) for plan in texts()["patients"][site] if "name" in plan}
    years = cycle(_YEARS)
    for index, plan in enumerate(texts()["patients"][site]):
        dates = sorted(_received(next(years), rng) for _ in plan["cases"])
        patient = _patient(site, index, plan, dates, taken=taken, rng=rng)
        if plan.get("namesake"):
            # A second woman with the first patient's name: nothing may ever be linked by name alone.
            patient = replace(patient, name=drafts[0].patient.name, latin=drafts[0].patient.latin)
        drafts += [
            Case(site, "", patient, template, texts()["reports"][template]["organ"], received)
            for template, received in zip(plan["cases"], dates, strict=True)
        ]
    return _numbered(sorted(drafts, key=lambda case: case.received), rng)


def make_reports(cases: Sequence[Case], rng: random.Random) -> list[Report]:
    """One report per case, and a supplementary one for the first case of invasive breast cancer."""
    reports = [_report(case, index, cases, rng) for index, case in enumerate(cases)]
    first = next(index for index, report in enumerate(reports) if report.case.template == "ductal")
    reports.insert(first + 1, _supplement(reports[first]))
    return reports


def _received(year: int, rng: random.Random) -> datetime:
    day = date(year, 1, 3) + timedelta(days=rng.randrange(355))
    return datetime.combine(day, time(rng.randrange(8, 17), rng.randrange(60)))


def _patient(
    site: str, index: int, plan: Mapping[str, Any], dates: Sequence[datetime], *, taken: set[str], rng: random.Random
) -> Patient:
    planned = [texts()["reports"][template] for template in plan["cases"]]
    sexes = {report["sex"] for report in planned} - {"any"}
    sex = sexes.pop() if sexes else rng.choice("FM")
    low, high = max(report["ages"][0] for report in planned), min(report["ages"][1] for report in planned)
    # Two years of slack, because a patient's last case may be that much later than the first.
    age = plan["age"] if "age" in plan else rng.randint(low, max(low, min(high, 89) - 3))
    days = rng.randrange(20, 300) if age else rng.randrange(70, 130)
    born = dates[0].date().replace(day=1) - timedelta(days=round(age * 365.25) + days)
    name, latin = given_name(sex, plan.get("name"), taken, rng)
    card = id_number(born, sex, rng.randrange(100) * 5 + rng.randrange(5))
    number = f"{rng.randrange(30_000) * 40 + index:08d}" if site == "NB01" else f"1{rng.randrange(9_000) * 40 + index:06d}"
    return Patient(
        site=site,
        name=name,
        latin=latin,
        number=number,
        sex=sex,
        birth_date=born,
        id_number=card,
        outpatient_number=f"MZ{dates[0]:%y%m%d}{rng.randrange(1000):03d}{index:02d}",
        phone=f"1990000{rng.randrange(100) * 100 + index + (50 if site == 'NB02' else 0):04d}",
        permission=plan.get("permission", "consent"),
    )


def given_name(sex: str, planned: Sequence[str] | None, taken: set[str], rng: random.Random) -> tuple[str, str]:
    """The planned name, or one that nobody at the site has yet; in Han characters and in Pinyin."""
    surnames, names = texts()["surnames"], texts()["given"][sex]
    while True:
        surname, rest = planned or (rng.choice(list(surnames)), rng.choice(list(names)))
        if planned or surname + rest not in taken:
            taken.add(surname + rest)
            return surname + rest, f"{surnames[surname]} {names[rest]}"


def _numbered(cases: Sequence[Case], rng: random.Random) -> list[Case]:
    """Accession numbers that rise within each year."""
    numbered, year, number = [], 0, 0
    for case in cases:
        if case.received.year != year:
            year, number = case.received.year, 80
        number += rng.randrange(1, 60)
        numbered.append(replace(case, accession=f"{_PREFIXES[case.site]}{year % 100}-{number:05d}"))
    return numbered


def _report(case: Case, index: int, cases: Sequence[Case], rng: random.Random) -> Report:
    source, remarks = texts()["reports"][case.template], texts()["remarks"]
    english = bool(source.get("english"))
    examined = rng.randrange(12, 26)
    positive = rng.choice((0, 0, 1, 2, 3, 5))
    reported = case.received.date() + timedelta(days=rng.randrange(2, 8))
    doctors = texts()["submitting_doctors"]
    doctor = rng.choice(list(doctors))
    told = reported + timedelta(days=1)
    own = [other for other in cases if other.patient.number == case.patient.number and other.received < case.received]
    pathologist, reviewer = rng.sample(texts()["pathologists"], 2)
    filled = {
        "side": rng.choice(("Left", "Right") if english else ("左", "右")),
        "size": f"{rng.randrange(15, 32) / 10}×{rng.randrange(12, 28) / 10}×{rng.randrange(8, 20) / 10}",
        "er": rng.choice((80, 90, 95)),
        "pr": rng.choice((10, 40, 60, 80)),
        "her2": rng.choice(("0", "1+", "2+", "3+")),
        "ki67": rng.choice((5, 15, 20, 30, 45)),
        "examined": examined,
        "positive": positive,
        "spread": "见" if positive else "未见",
        "pn": "N0" if not positive else "N1a" if positive < 4 else "N2a",
        "blocks": rng.randrange(3, 12),
        "name": case.patient.name,
        "patient_number": case.patient.number,
        "phone": case.patient.phone,
        "prior": own[-1].accession if own else case.accession,
        "doctor": doctors[doctor].title() if english else doctor,
        "told": f"{told:%Y-%m-%d}",
    }
    clinical, diagnosis = source["clinical"], source["diagnosis"]
    if english:
        diagnosis += "\n" + remarks["english"]
    elif own or index % 5 == 2:
        diagnosis += "\n" + remarks["diagnosis"]
    if index % 6 == 1 and not english:
        clinical += remarks["clinical"]
    return Report(
        case=case,
        type="primary",
        reported=reported,
        department=texts()["departments"][case.organ],
        unit=rng.choice(texts()["units"]),
        submitting_doctor=doctor,
        pathologist=pathologist,
        reviewer=reviewer,
        specimen=source["specimen"].format_map(filled),
        clinical=clinical.format_map(filled),
        gross=source["gross"].format_map(filled),
        microscopy=source["microscopy"].format_map(filled),
        diagnosis=diagnosis.format_map(filled),
        ihc=source["ihc"].format_map(filled),
        told=filled["told"] if english else "",
    )


def _supplement(report: Report) -> Report:
    """The supplementary report of a primary one, some days later."""
    reported = report.reported + timedelta(days=9)
    told = f"{reported.year}年{reported.month}月{reported.day}日"
    source = texts()["supplement"]
    sentence = texts()["remarks"]["supplement_told"].format(told=told, doctor=report.submitting_doctor)
    return replace(
        report,
        type="supplementary",
        reported=reported,
        gross="",
        microscopy="",
        diagnosis=f"{source['diagnosis']}\n{sentence}",
        ihc=source["ihc"],
        told=told,
    )
