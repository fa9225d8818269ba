"""How far stages read from real English reports agree with a registry's table; run by hand.

Usage: ``python tests/bench/stage_agreement.py REPORTS.csv CLINICAL.csv [--list]``; the first holds bcr_patient_barcode, text
and type_code (the TCGA study), the second bcr_patient_barcode, stage and age_at_initial_pathologic_diagnosis (TCGA-CDR, Liu
et al., Cell 2018). ``--list`` prints the disagreements by row number, with categories but without text.

Prints (a) the share of equal main stages, I to IV, over the reports from which one can be derived: the stage that the text
gives, else the group of its TNM categories in that organ; (b) the share of reports with a T or a stage whose categories
allow the stage of the table, whatever is unknown.
"""

import argparse
import csv
import re
import sys
import time
from collections import Counter
from pathlib import Path

from pathcurate.text.folding import fold
from pathcurate.text.found import Found
from pathcurate.text.staging import stage_of
from pathcurate.text.tumour import tumour_values

ORGANS = {
    "ACC": "adrenal", "BLCA": "bladder", "BRCA": "breast", "CESC": "cervix", "CHOL": "bile_duct", "COAD": "colon",
    "ESCA": "oesophagus", "HNSC": "head_and_neck", "KICH": "kidney", "KIRC": "kidney", "KIRP": "kidney", "LIHC": "liver",
    "LUAD": "lung", "LUSC": "lung", "MESO": "pleura", "PAAD": "pancreas", "PRAD": "prostate", "READ": "rectum",
    "SKCM": "skin_melanoma", "STAD": "stomach", "TGCT": "testis", "THCA": "thyroid", "UCEC": "uterus", "UVM": "eye",
}  # fmt: skip
"""Organ of each study: what the table itself knows of the patient."""
_RANKS = {"T": "XTis0123 4", "N": "X0123", "M": "X01"}


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("reports")
    arguments.add_argument("clinical")
    arguments.add_argument("--list", action="store_true")
    options = arguments.parse_args()
    csv.field_size_limit(sys.maxsize)
    with Path(options.clinical).open(encoding="utf-8", newline="") as file:
        clinical = {row["bcr_patient_barcode"]: row for row in csv.DictReader(file)}
    with Path(options.reports).open(encoding="utf-8", newline="") as file:
        reports = list(csv.DictReader(file))
    tally: Counter[str] = Counter()
    by_study: dict[str, Counter[str]] = {}
    seconds = 0.0
    for number, report in enumerate(reports, 2):
        folded = fold(report["text"])
        began = time.perf_counter()
        values = tumour_values(folded)
        seconds += time.perf_counter() - began
        person = clinical[report["bcr_patient_barcode"]]
        truth = _main(person["stage"].removeprefix("Stage "))
        outcome, detail = _outcome(values, report["type_code"], _age(person), truth)
        tally.update(outcome)
        by_study.setdefault(report["type_code"], Counter()).update(outcome)
        if options.list and "different" in outcome:
            _say(f"row {number} {report['type_code']}: {detail}")
    _print(tally, by_study)
    characters = sum(len(report["text"]) for report in reports)
    _say(f"\n{seconds / len(reports) * 1e6:.0f} µs per report of {characters / len(reports):.0f} characters")


def _outcome(values: list[Found], study: str, age: int | None, truth: str | None) -> tuple[list[str], str]:
    stated = {_main(str(one.value)) for one in values if one.name == "stage"} - {None, "0"}
    t, n, m = (_worst([str(one.value) for one in values if one.name == name]) for name in ("pt", "pn", "pm"))
    holds = bool(stated or t)
    outcome = ["reports"] + (["holds a TNM or stage"] if holds else [])
    if truth is None or not holds:
        return outcome, ""
    outcome.append("with a true stage")
    organ = ORGANS.get(study, "")
    derived = stage_of(organ, t, n, m, age=age, assume_m0=True) if t else None
    stage = stated.copy().pop() if len(stated) == 1 else (_main(derived) if derived else None)
    if stage in (None, "0"):
        outcome.append("no stage can be derived")
    else:
        outcome.append("derived")
        outcome.append("equal" if stage == truth else "different")
        outcome.append(f"{'stated' if len(stated) == 1 else 'from TNM'}: {'equal' if stage == truth else 'different'}")
    open_m = None if m != "M1" else m
    allowed = truth in stated or any(
        _main(found) == truth
        for found in (
            stage_of(organ, t, node, spread, age=age) for node in _options(n, "N") for spread in _options(open_m, "M")
        )
        if found
    )
    outcome += ["compatible"] if allowed or (stage is not None and stage == truth) else []
    return outcome, f"table {truth}, read {stage} ({'stated' if stated else 'TNM'}; {t} {n} {m})"


def _options(category: str | None, axis: str) -> list[str]:
    if category and not category.endswith("X"):
        return [category]
    return [f"{axis}{digit}" for digit in ("0123" if axis == "N" else "01")]


def _worst(categories: list[str]) -> str | None:
    """The highest category of a report with several tumours, the more exact of two equally high."""
    if not categories:
        return None
    return max(categories, key=lambda one: (_RANKS[one[0]].find(one[1]), len(one.partition("(")[0]), one))


def _main(stage: str) -> str | None:
    found = re.match(r"0|IV|I{1,3}", stage)
    return found[0] if found else None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _age(person: dict[str, str]) -> int | None:
    text = person["age_at_initial_pathologic_diagnosis"]
    return int(float(text)) if text else None


def _print(tally: Counter[str], by_study: dict[str, Counter[str]]) -> None:
    for name, count in tally.items():
        _say(f"{name}: {count}")
    _say(f"\n(a) main stage equal: {tally['equal']}/{tally['derived']} = {tally['equal'] / max(1, tally['derived']):.3f}")
    staged = tally["with a true stage"]
    _say(f"(b) compatible: {tally['compatible']}/{staged} = {tally['compatible'] / max(1, staged):.3f}\n")
    for study, counts in sorted(by_study.items()):
        if counts["with a true stage"]:
            _say(f"{study}: {counts['with a true stage']} staged, {counts['derived']} derived, {counts['equal']} equal")


if __name__ == "__main__":
    main()
