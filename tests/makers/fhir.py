"""FHIR R4 reports with planted answers: as a bundle, as lines of NDJSON, or one resource with everything inside."""

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

Resource = dict[str, Any]
CARD = "110105196703140027"
BASE = "http://fhir.example/r4"
ANSWER = {
    "source_codes": ["icd10", "icdo3_topography", "icdo3_morphology"],
    "accession": "S23-123", "accession_raw": "S23-00123", "patient_id": "00012345", "id_number": CARD,
    "patient_name": "王小红", "sex": "female", "birth_date": date(1967, 3, 14), "phone": "13800000000",
    "report_type": "primary", "status": "final", "organ": "breast", "specimen_sites": "右乳", "site": "NB01",
    "received_date": datetime(2023, 3, 10, 8, 5), "reported_date": datetime(2023, 3, 14, 16, 30, 1),  # noqa: DTZ001
    "clinical_diagnosis": "右乳肿物", "gross": "灰白结节一枚，大小2.5×2×1.8cm", "microscopy": "异型细胞呈巢状排列",
    "diagnosis": "（右乳）浸润性癌，Ⅱ级", "ihc": "ER: 阳性\nKi-67: 30%", "submitting_unit": "乳腺外科",
    "submitting_doctor": "赵送检", "pathologist": "李初诊", "reviewer": "陈审核", "icd10": "C50.9",
    "icdo3_morphology": "8500/3", "icdo3_topography": "C50.4", "language": "zh", "attachment_count": 1,
}  # fmt: skip
"""The row of the report that :func:`resources` makes, but for its place."""


def concept(text: str = "", **codes: str) -> Resource:
    """A CodeableConcept; codes by a short name of their system."""
    systems = {
        "loinc": "http://loinc.org", "service": "http://terminology.hl7.org/CodeSystem/v2-0074",
        "kind": "http://terminology.hl7.org/CodeSystem/v2-0203", "icd10": "http://hl7.org/fhir/sid/icd-10",
        "icdo": "http://terminology.hl7.org/CodeSystem/icd-o-3", "snomed": "http://snomed.info/sct",
    }  # fmt: skip
    coding = [{"system": systems[name], "code": code} for name, code in codes.items()]
    return {**({"text": text} if text else {}), **({"coding": coding} if coding else {})}


def to(reference: str, display: str = "") -> Resource:
    """A Reference."""
    return {"reference": reference, **({"display": display} if display else {})}


def form(text: str | bytes, kind: str = "text/plain") -> Resource:
    """An Attachment."""
    data = text.encode() if isinstance(text, str) else text
    return {"contentType": kind, "data": base64.b64encode(data).decode()}


def report(**changes: Any) -> Resource:
    """A pathology report that says hardly anything; None takes a member away."""
    made = {
        "resourceType": "DiagnosticReport", "id": "r1", "status": "final",
        "category": [concept(service="SP")], "code": concept("病理检查报告"),
        "identifier": [{"type": concept(kind="ACSN"), "value": "S23-00123"}], "conclusion": "（右乳）浸润性癌",
    }  # fmt: skip
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def observation(name: str, title: str, **changes: Any) -> Resource:
    """An Observation."""
    return {"resourceType": "Observation", "id": name, "status": "final", "code": concept(title), **changes}


def patient(**changes: Any) -> Resource:
    """The patient of :data:`ANSWER`."""
    made = {
        "resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1967-03-14",
        "identifier": [
            {"system": "urn:oid:2.16.156.10011.1.3", "value": CARD},
            {"type": concept(kind="MR"), "value": "00012345"},
        ],
        "name": [{"use": "usual", "family": "Wang", "given": ["Xiaohong"]}, {"use": "official", "text": "王小红"}],
        "telecom": [{"system": "email", "value": "w@example.org"}, {"system": "phone", "value": "13800000000"}],
    }  # fmt: skip
    return {**made, **changes}


def resources() -> list[Resource]:
    """The report of :data:`ANSWER`, then all that it refers to."""
    whole = report(
        subject=to("Patient/p1"), basedOn=[to("ServiceRequest/s1")], specimen=[to("Specimen/x1")],
        issued="2023-03-14T16:30:01.123+08:00", effectiveDateTime="2023-03-09",
        resultsInterpreter=[to("Practitioner/d1")], performer=[to("Organization/o1", "病理科"), to("Practitioner/d2")],
        result=[to(f"Observation/b{number}") for number in range(1, 4)], conclusion="（右乳）浸润性癌，Ⅱ级",
        conclusionCode=[concept(icd10="C50.9"), concept(icdo="8500/3"), concept(icdo="C50.4"), concept(snomed="408643008")],
        presentedForm=[form(b"%PDF-1.7 wang", "application/pdf")],
    )  # fmt: skip
    return [
        whole, patient(),
        {"resourceType": "ServiceRequest", "id": "s1", "requester": to("PractitionerRole/q1"),
         "reasonCode": [concept("右乳肿物")], "identifier": [{"value": "REQ-77"}]},
        {"resourceType": "PractitionerRole", "id": "q1", "practitioner": to("Practitioner/d3"),
         "organization": to("Organization/o2")},
        {"resourceType": "Organization", "id": "o1", "name": "病理科"},
        {"resourceType": "Organization", "id": "o2", "name": "乳腺外科"},
        {"resourceType": "Specimen", "id": "x1", "receivedTime": "2023-03-10T08:05:00+08:00",
         "type": concept("切除标本"), "collection": {"bodySite": concept("右乳")}},
        {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "李", "given": ["初诊"]}]},
        {"resourceType": "Practitioner", "id": "d2", "name": [{"family": "陈", "given": ["审核"]}]},
        {"resourceType": "Practitioner", "id": "d3", "name": [{"text": "赵送检"}]},
        observation("b1", "肉眼所见", valueString="灰白结节一枚，大小2.5×2×1.8cm"),
        {**observation("b2", "x", valueString="异型细胞呈巢状排列"), "code": concept("Findings", loinc="22635-7")},
        observation("b3", "免疫组化", hasMember=[to("Observation/b4"), to("Observation/b5"), to("Observation/b6")]),
        observation("b4", "ER", valueCodeableConcept=concept("阳性")),
        observation("b5", "Ki-67", valueQuantity={"value": 30, "unit": "%"}),
        observation("b6", "PR", valueString="阳性", status="entered-in-error"),
    ]  # fmt: skip


def bundle(made: Iterable[Resource], *, base: str = BASE, indent: int | None = None, type_last: bool = False) -> str:
    """A Bundle with full addresses below ``base``; none if that is empty."""
    entries = [
        {**({"fullUrl": f"{base}/{one['resourceType']}/{one.get('id')}"} if base else {}), "resource": one} for one in made
    ]
    kind = {"resourceType": "Bundle", "type": "collection", "total": len(entries)}
    whole = {"entry": entries, **kind} if type_last else {**kind, "entry": entries}
    return json.dumps(whole, ensure_ascii=False, indent=indent)


def ndjson(made: Iterable[Resource]) -> str:
    """A bulk export: one resource a line."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)


def contained(made: Sequence[Resource]) -> Resource:
    """The first resource with all the others inside, and references to them there."""
    text = json.dumps(list(made), ensure_ascii=False)
    for one in made[1:]:
        text = text.replace(f'"{one["resourceType"]}/{one["id"]}"', f'"#{one["id"]}"')
    first, *others = json.loads(text)
    return {**first, "contained": others}
