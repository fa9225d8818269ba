"""Texts with identifiers that others published, read where they lie: nothing of them is part of this project.

ASQ-PHI (JamesWeatherhead/asq-phi, MIT), presidio-research (Microsoft, MIT), the test files of pyDeid (GEMINI-Medicine, MIT)
and MEDDOCAN (PlanTL-GOB-ES/SPACCC_MEDDOCAN, CC BY 4.0, Spanish). What a kind of theirs has no counterpart for is free.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pathcurate.scrubbers.text import KnownValues
from tests.bench.deid_scoring import FREE, Mark, Sample

_ASQ = {
    "NAME": "person", "DATE": "date", "MEDICAL_RECORD_NUMBER": "number", "UNIQUE_IDENTIFIER": "number",
    "HEALTH_PLAN_BENEFICIARY_NUMBER": "account", "ACCOUNT_NUMBER": "account", "CERTIFICATE_LICENSE_NUMBER": "account",
    "SOCIAL_SECURITY_NUMBER": "id", "PHONE_NUMBER": "phone", "FAX_NUMBER": "phone", "EMAIL_ADDRESS": "email",
    "GEOGRAPHIC_LOCATION": "place",
}  # fmt: skip
_PRESIDIO = {
    "PERSON": "person", "ADDRESS": "address", "LOCATION": "place", "PHONE_NUMBER": "phone", "CREDIT_CARD": "account",
    "ORGANIZATION": "unit", "DATE_TIME": "date", "DOMAIN_NAME": "url", "US_SSN": "id", "IP_ADDRESS": "url",
    "EMAIL_ADDRESS": "email", "US_DRIVER_LICENSE": "id",
}  # fmt: skip
_MEDDOCAN = {
    "NOMBRE_SUJETO_ASISTENCIA": "patient", "NOMBRE_PERSONAL_SANITARIO": "staff", "FECHAS": "date", "CALLE": "address",
    "TERRITORIO": "place", "ID_SUJETO_ASISTENCIA": "number", "ID_CONTACTO_ASISTENCIAL": "number",
    "ID_ASEGURAMIENTO": "account", "ID_TITULACION_PERSONAL_SANITARIO": "account", "CORREO_ELECTRONICO": "email",
    "HOSPITAL": "hospital", "CENTRO_SALUD": "hospital", "INSTITUCION": "unit", "NUMERO_TELEFONO": "phone",
    "NUMERO_FAX": "phone",
}  # fmt: skip
_PYDEID = {"n": "person", "d": "date", "l": "place", "i": "number"}


def foreign_sets(directory: Path) -> Iterator[tuple[str, list[Sample]]]:
    """Name and texts of every set that lies in this directory.

    Args:
        directory: with a folder for each set.
    """
    readers: tuple[tuple[str, str, Callable[[Path], Iterator[Sample]]], ...] = (
        ("asq-phi", "asq_phi/queries_shared.txt", _asq),
        ("presidio-research", "microsoft+presidio-research/tests/data/generated_small.json", _presidio),
        ("pyDeid, annotated", "GEMINI-Medicine+pyDeid/tests/ground_truth.csv", _pydeid_annotated),
        ("pyDeid, name list", "GEMINI-Medicine+pyDeid/tests/mll.csv", _pydeid_listed),
        ("MEDDOCAN (Spanish)", "meddocan_train", _meddocan),
    )
    for name, relpath, read in readers:
        path = directory / relpath
        if path.exists():
            yield name, list(read(path))


def _asq(path: Path) -> Iterator[Sample]:
    for number, query in enumerate(path.read_text(encoding="utf-8").split("===QUERY===")[1:]):
        text, _, tags = query.partition("===PHI_TAGS===")
        found = [json.loads(line) for line in tags.splitlines() if line.strip()]
        marks = {mark for tag in found for mark in _everywhere(text, tag["value"], _ASQ[tag["identifier_type"]])}
        yield _sample(f"asq-{number}", text, marks)


def _presidio(path: Path) -> Iterator[Sample]:
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        marks = {
            Mark(span["start_position"], span["end_position"], _PRESIDIO.get(span["entity_type"], FREE))
            for span in row["spans"]
        }
        yield _sample(f"presidio-{number}", row["full_text"], marks)


def _pydeid_annotated(path: Path) -> Iterator[Sample]:
    marks: dict[str, set[Mark]] = {}
    for row in _rows(path):
        if row["annotation"]:
            mark = Mark(int(row["start"]), int(row["end"]), _PYDEID[row["annotation"]])
            marks.setdefault(row["genc_id"], set()).add(mark)
    for row in _rows(path.with_name("test.csv")):
        yield _sample(f"pydeid-{row['genc_id']}", row["note_text"], marks.get(row["genc_id"], set()))


def _pydeid_listed(path: Path) -> Iterator[Sample]:
    """Notes with the list of their patients: the names and numbers of the list are all that is marked."""
    people = {row["genc_id"]: row for row in _rows(path)}
    for number, row in enumerate(_rows(path.with_name("basic_usage_tutorial.csv"))):
        person = people[row["id"]]
        words = [(person["first_name"], "patient"), (person["last_name"], "patient"), (person["MRN"], "number")]
        marks = {mark for word, kind in words if word for mark in _everywhere(row["text"], word, kind)}
        known = KnownValues((f"{person['first_name']} {person['last_name']}",), tuple(filter(None, (person["MRN"],))))
        yield _sample(f"pydeid-list-{number}", row["text"], marks, known)


def _meddocan(directory: Path) -> Iterator[Sample]:
    for path in sorted(directory.glob("*.txt")):
        marks = set()
        for line in path.with_suffix(".ann").read_text(encoding="utf-8").splitlines():
            name, place, _ = line.split("\t", 2)
            kind, start, end = place.split(" ")
            if name.startswith("T"):
                marks.add(Mark(int(start), int(end), _MEDDOCAN.get(kind, FREE)))
        with path.open(encoding="utf-8", newline="") as file:
            yield _sample(path.stem, file.read(), marks)


def _everywhere(text: str, value: str, kind: str) -> Iterator[Mark]:
    for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text):
        yield Mark(*match.span(), kind)


def _sample(sample_id: str, text: str, marks: set[Mark], known: KnownValues | None = None) -> Sample:
    ordered = tuple(sorted(marks, key=lambda mark: (mark.start, mark.end)))
    return Sample(sample_id, text, ordered, known or KnownValues())


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, skipinitialspace=True))
