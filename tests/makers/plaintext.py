"""Reports as plain text, in the layouts in which systems print them, with what they say."""

from datetime import datetime
from typing import Any

BODY = {
    "gross": "灰白组织一块，大小2×1×0.5cm，切面灰白。",
    "microscopy": "癌细胞呈巢状排列。\n间质纤维增生。",
    "diagnosis": "（右乳）浸润性癌，非特殊类型，Ⅱ级。\n腋窝淋巴结未见癌转移（0/12）。",
    "ihc": "ER(+，90%)，PR(-)，Ki-67(约30%+)。",
}
HEADS = {"gross": "肉眼所见", "microscopy": "镜下所见", "diagnosis": "病理诊断", "ihc": "免疫组化"}
LABELS = {
    "姓名": "张三", "性别": "女", "年龄": "56岁", "病理号": "S23-00123", "住院号": "00012345", "床号": "12",
    "送检科室": "普外科", "送检医师": "李四", "临床诊断": "右乳肿物", "送检部位": "右乳", "接收日期": "2023-03-10",
}  # fmt: skip
FOOT = {"报告医师": "王五", "审核医师": "赵六", "报告日期": "2023-03-14 10:30"}
ANSWER: dict[str, Any] = {
    "source_codes": [],
    "site": "NB01", "source_row": 1, "patient_name": "张三", "sex": "female", "age": 56, "accession": "S23-123",
    "accession_raw": "S23-00123", "patient_id": "00012345", "submitting_unit": "普外科", "submitting_doctor": "李四",
    "clinical_diagnosis": "右乳肿物", "specimen_sites": "右乳", "organ": "breast", "language": "zh",
    "received_date": datetime(2023, 3, 10), "reported_date": datetime(2023, 3, 14, 10, 30),  # noqa: DTZ001
    "pathologist": "王五", "reviewer": "赵六", "report_type": "primary", "status": "final", **BODY,
}  # fmt: skip
"""What :func:`report` says in every layout."""
LAYOUTS = ("one line", "lines", "spaced", "brackets", "tabs")


def report(layout: str = "lines", *, title: str = "示例市医院病理检查报告单", left_out: tuple[str, ...] = ()) -> str:
    """A report in Chinese.

    Args:
        layout: one of :data:`LAYOUTS`.
        title: the first line.
        left_out: labels that are not printed.
    """
    labels = {label: value for label, value in LABELS.items() if label not in left_out}
    spaced = {f"{label[0]}　　{label[1]}" if len(label) == 2 else label: value for label, value in labels.items()}
    top = {
        "one line": "　".join(f"{label}：{value}" for label, value in labels.items()),
        "lines": "\n".join(f"{label}：{value}" for label, value in labels.items()),
        "spaced": "  ".join(f"{label}： {value}" for label, value in spaced.items()),
        "brackets": " ".join(f"{label}:{value}" for label, value in labels.items()),
        "tabs": "\t".join(f"{label}：{value}" for label, value in labels.items()),
    }[layout]
    open_mark, close_mark = ("【", "】\n") if layout == "brackets" else ("", "：\n" if layout == "spaced" else "：")
    body = "\n".join(f"{open_mark}{head}{close_mark}{BODY[name]}" for name, head in HEADS.items())
    foot = "  ".join(f"{label}：{value}" for label, value in FOOT.items())
    return f"{title}\n{top}\n\n{body}\n\n{foot}\n"


ENGLISH = """SURGICAL PATHOLOGY REPORT
Patient Name: DOE, JANE   MRN: 00012345   Sex: F   Age: 56
Accession No.: S23-00123   Date Received: 2023-03-10
Specimen(s) Submitted: Right breast
CLINICAL HISTORY: Palpable mass.
GROSS DESCRIPTION: Received in formalin is a fragment of tissue of 2.1 cm.
MICROSCOPIC DESCRIPTION: Nests of tumor cells.
FINAL DIAGNOSIS: Breast, right, excision: invasive carcinoma.
COMMENT: Margins are close.
Pathologist: A. Smith
Date Reported: 2023-03-14
"""
ENGLISH_ANSWER: dict[str, Any] = {
    "source_codes": [],
    "patient_name": "DOE, JANE", "patient_id": "00012345", "sex": "female", "age": 56, "accession": "S23-123",
    "accession_raw": "S23-00123", "specimen_sites": "Right breast", "clinical_diagnosis": "Palpable mass.",
    "gross": "Received in formalin is a fragment of tissue of 2.1 cm.", "microscopy": "Nests of tumor cells.",
    "diagnosis": "Breast, right, excision: invasive carcinoma.", "comment": "Margins are close.", "pathologist": "A. Smith",
    "received_date": datetime(2023, 3, 10), "reported_date": datetime(2023, 3, 14), "language": "en", "organ": "breast",  # noqa: DTZ001
    "report_type": "primary", "status": "final",
}  # fmt: skip
