"""Real English reports: nothing fails, and the stages that are read agree with the clinical table."""

import csv
import re
import sys
from pathlib import Path

from pathcurate.text.coding import coder
from pathcurate.text.understanding import understand


def rows(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def group(stage: str) -> str | None:
    match = re.match(r"0|IV|I{1,3}", stage)
    return match[0] if match else None


def test_stages_agree_with_the_clinical_table(real_data: Path) -> None:
    clinical = {row["bcr_patient_barcode"]: row for row in rows(real_data / "tables/tcga/tcga_clinical_cdr.csv")}
    pairs = []
    for report in rows(real_data / "reports/tcga_reports/tcga_path_reports.csv"):
        said = understand({"text_raw": report["text"]}, coder()).summary
        truth = group(clinical[report["bcr_patient_barcode"]]["stage"].removeprefix("Stage "))
        # Metastases that the table knows from elsewhere are in no text of a resection; and Dukes' letters are other stages.
        no_m = truth == "IV" and said.get("stage_basis") == "derived" and said.get("pm") in (None, "MX")
        if truth and said.get("stage") and said.get("stage_system") != "dukes" and not no_m:
            pairs.append((group(said["stage"]), truth))
    assert len(pairs) >= 80
    assert sum(read == truth for read, truth in pairs) >= 0.9 * len(pairs)
