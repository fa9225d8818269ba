"""Made-up clinical events, and the follow-up of NB01's patients: diagnoses, stages, tumour markers, calls and deaths."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pathcurate.demo.cases import Case

_COURSES = {
    "breast": ("乳腺恶性肿瘤", "C50.900", "CA153", "U/mL"),
    "stomach": ("胃恶性肿瘤", "C16.900", "CEA", "ng/mL"),
    "colon": ("结肠恶性肿瘤", "C18.900", "CEA", "ng/mL"),
    "lung": ("肺恶性肿瘤", "C34.900", "CEA", "ng/mL"),
    "thyroid": ("甲状腺恶性肿瘤", "C73.x00", "TSH", "mIU/L"),
}
_BENIGN = {"fibroadenoma", "gastritis", "hirschsprung"}
_STAGES = ("ⅡA期", "IA期", "ⅡB期", "ⅢA期", "0期", "IV期")
_KINDS = {
    "诊断": "diagnosis",
    "检验": "laboratory",
    "随访": "follow_up",
    "死亡": "death",
    "手术": "procedure",
    "就诊": "visit",
}
_SYSTEMS = {"ICD-10": "icd10", "ICD-9-CM-3": "icd9cm3", "AJCC": "ajcc", "检验项目": "analyte", "": None}
_LATERALITIES = {"左": "left", "右": "right", "": None}
_ROMAN = str.maketrans({"Ⅱ": "II", "Ⅲ": "III", "期": ""})
STRANGER = "99770001"
"""A patient of the follow-up clinic of whom the laboratory has never had a specimen."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a table of events, as it stands there.

    Attributes:
        patient: in-patient number, empty in a row that is good for nothing.
        kind: Chinese word of the kind.
        system: code system in the hospital's words, or empty.
        value: result as written; ``number`` is what it is worth.
        side: side of the body, in a table that has a column for it.
    """

    patient: str
    kind: str
    day: date
    text: str
    system: str = ""
    code: str = ""
    value: str = ""
    unit: str = ""
    number: float | None = None
    site: str = "NB01"
    side: str = ""

    def cells(self) -> dict[str, str]:
        """The row by its heads."""
        return {
            "住院号": self.patient,
            "类别": self.kind,
            "项目": self.text,
            "编码体系": self.system,
            "代码": self.code,
            "结果": self.value,
            "单位": self.unit,
            "日期": f"{self.day:%Y-%m-%d}",
        }

    def answer(self, row: int, cases: Sequence[Case]) -> dict[str, Any]:
        """What import and de-identification should make of the row; one without ``patient`` gives no event."""
        system = _SYSTEMS[self.system]
        code = f"Stage {self.code.translate(_ROMAN)}" if system == "ajcc" else self.code.upper()
        return {
            "site": self.site,
            "row": row,
            "patient": self.patient or None,
            "has_reports": any(case.patient.number == self.patient for case in cases),
            "kind": _KINDS[self.kind],
            "code_system": system,
            "code": code or None,
            "value": self.number,
            "unit": self.unit or None,
            "laterality": _LATERALITIES[self.side],
            "date": self.day.isoformat(),
        }


def make_events(cases: Sequence[Case], seed: int) -> list[Event]:
    """Rows of the follow-up table, in order of patient and time; the last ones have faults."""
    # A generator of its own: the hospital's other draws do not change with the follow-up.
    rng = random.Random(seed + 977)  # noqa: S311 - made-up data must be the same each time; nothing here is secret
    first: dict[str, Case] = {}
    for case in cases:
        if case.template not in _BENIGN:
            first.setdefault(case.patient.number, case)
    events = [event for index, case in enumerate(first.values()) for event in _course(case, index, rng)]
    some = next(iter(first.values()))
    day = some.received.date() + timedelta(days=200)
    return [
        *events,
        Event(some.patient.number, "检验", day, "癌胚抗原", "检验项目", "CEA", "<0.5", "ng/mL"),
        Event(STRANGER, "随访", day, "电话随访，情况良好"),
        Event("", "随访", day, "电话随访，未登记住院号"),
    ]


def _course(case: Case, index: int, rng: random.Random) -> list[Event]:
    number, start = case.patient.number, case.received.date()
    disease, icd10, marker, unit = _COURSES[case.organ]
    level = rng.randrange(8, 300) / 10
    events = [
        Event(number, "诊断", start + timedelta(days=9), disease, "ICD-10", icd10),
        Event(number, "诊断", start + timedelta(days=12), "病理分期", "AJCC", _STAGES[index % len(_STAGES)]),
        Event(number, "检验", start + timedelta(days=2), "肿瘤标志物", "检验项目", marker, f"{level}", unit, level),
    ]
    visits = rng.randrange(4)
    for visit in range(1, visits + 1):
        day = start + timedelta(days=180 * visit + rng.randrange(20))
        events.append(Event(number, "随访", day, f"电话随访，{case.patient.name}家属接听，未见复发"))
    if index % 9 == 7:
        events.append(Event(number, "死亡", start + timedelta(days=180 * visits + 90), "家属来电告知"))
    return events
