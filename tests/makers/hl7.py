"""HL7 v2 messages as Chinese systems send them, with what they say."""

import base64
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

PDF = base64.b64encode(b"%PDF-1.4\n" + bytes(range(256)) * 4).decode()
"""A document as it is sent in a result."""
CARD = "110105196703140027"
"""A number with the check character that its digits demand; of nobody."""


@dataclass(frozen=True)
class Separators:
    """The signs of MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def escaped(self, text: str) -> str:
        """A text as a careful sender writes it."""
        codes = {self.escape: "E", self.field: "F", self.component: "S", self.subcomponent: "T", self.repetition: "R"}
        escaped = "".join(f"{self.escape}{codes[sign]}{self.escape}" if sign in codes else sign for sign in text)
        return escaped.replace("\n", f"{self.escape}.br{self.escape}")


def segment(signs: Separators, name: str, **fields: str) -> str:
    """A segment of fields by number (``f3``), already written with the separators."""
    last = max((int(key[1:]) for key in fields), default=0)
    return signs.field.join([name, *(fields.get(f"f{number}", "") for number in range(1, last + 1))])


def header(signs: Separators, kind: str = "ORU^R01", charset: str = "") -> str:
    """MSH."""
    encoding = signs.component + signs.repetition + signs.escape + signs.subcomponent
    kind = kind.replace("^", signs.component)
    first = ["MSH", encoding, "PIS", "NB01", "HIS", "NB01", "20230314103000", "", kind, "1", "P", "2.4"]
    return signs.field.join([*first, *([""] * 5 + [charset] if charset else [])])


def result(signs: Separators, number: int, code: str, text: str, kind: str = "TX", sub: str = "", state: str = "F") -> str:
    """OBX; the text as it stands in the field."""
    return segment(signs, "OBX", f1=str(number), f2=kind, f3=code.replace("^", signs.component), f4=sub, f5=text, f11=state)


USUAL = Separators()
SECTIONS = {
    "gross": ("22634-0^Gross^LN", "灰白组织一块，大小2×1×0.3~0.5cm"),
    "microscopy": ("JXSJ^镜下所见^L", "癌细胞呈巢状排列\n可见核分裂|5/10HPF"),
    "diagnosis": ("22637-3^Final diagnosis^LN", "（右乳）浸润性癌^非特殊类型，ER(+，90%)&PR(-)"),
    "ihc": ("IHC^免疫组化^L", "ER(+)，PR(-)，Ki-67(约30%+)"),
}
ANSWER: dict[str, Any] = {
    "source_codes": [],
    "accession": "S23-123", "accession_raw": "S23-00123", "patient_id": "00012345", "patient_name": "王䶮", "sex": "female",
    "id_number": CARD, "phone": "13800000000", "submitting_doctor": "李四", "pathologist": "赵六", "report_type": "primary",
    "status": "final", "attachment_count": 0, "site": "NB01", "source_row": 1, "birth_date": date(1967, 3, 14),
    "received_date": datetime(2023, 3, 10, 9), "reported_date": datetime(2023, 3, 14, 10, 30),  # noqa: DTZ001
    "specimen_sites": "右乳", "organ": "breast", "language": "zh", "submitting_unit": "W12",
    **{column: text for column, (_, text) in SECTIONS.items()},
}  # fmt: skip
"""What :func:`message` says."""


def message(
    signs: Separators = USUAL, *, charset: str = "", end: str = "\r", extra: tuple[str, ...] = (), **obr: Any
) -> str:
    """A whole ORU^R01 of one report; ``extra`` segments stand at its end, ``f25`` and the like change OBR."""
    c, r = signs.component, signs.repetition
    order = {
        "f1": "1", "f2": "88001", "f3": "S23-00123", "f4": f"BL{c}病理检查{c}L", "f7": "20230310080500",
        "f14": "20230310090000", "f15": f"组织{c}{c}{c}右乳", "f16": f"D01{c}李四", "f22": "202303141030+0800", "f25": "F",
        "f32": f"P07{signs.subcomponent}赵{signs.subcomponent}六",
    }  # fmt: skip
    lines = [
        header(signs, charset=charset),
        segment(
            signs, "PID", f1="1", f3=f"{CARD}{c * 4}NI{r}00012345{c * 4}MR", f5=f"WANG{c}YAN{c * 6}A{r}王{c}䶮{c * 6}I",
            f7="19670314", f8="F", f13="13800000000",
        ),
        segment(signs, "PV1", f1="1", f2="I", f3=f"W12{c}3{c}2"),
        segment(signs, "OBR", **(order | obr)),
        *(result(signs, n, code, signs.escaped(text)) for n, (code, text) in enumerate(SECTIONS.values(), 1)),
        *extra,
    ]  # fmt: skip
    return "".join(line + end for line in lines)
