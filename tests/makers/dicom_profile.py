"""The table of DICOM's confidentiality profile in our own form, from its machine-readable form.

`python tests/makers/dicom_profile.py TABLE.json > pathcurate/filerules/dicom_profile.txt`; the input is a list of records
``tag, vr, basic`` and, for each option that says something, ``K`` or ``C`` (rtnUIDsOpt, cleanDescOpt, …).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPTIONS = {
    "rtnUIDsOpt": "U", "rtnDevIdOpt": "D", "rtnInstIdOpt": "I", "rtnPatCharsOpt": "P", "rtnLongFullDatesOpt": "F",
    "rtnLongModifDatesOpt": "M", "cleanDescOpt": "T", "cleanStructContOpt": "S", "cleanGraphOpt": "G",
}  # fmt: skip
HEAD = """\
# Basic Application Level Confidentiality Profile, DICOM PS3.15 2026c table E.1-1: an attribute a line.
# Tag, value representation (- where the data dictionary at hand has none), basic action, and the options that change it:
# U UIDs, D device, I institution, P patient characteristics, F full dates, M modified dates, T descriptors, S structured
# content, G graphics; a capital letter keeps, a small one cleans. Private attributes and the groups 50xx and 60xx are not
# listed: they are known by their numbers. Written by tests/makers/dicom_profile.py.
"""


def lines(records: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each attribute that has a number of its own, in the order of the numbers."""
    for record in sorted(records, key=lambda record: record["tag"]):
        tag = record["tag"].strip("()").replace(",", "")
        if len(tag) == 8 and "X" not in tag:
            said = ((letter, record[name]) for name, letter in OPTIONS.items() if name in record)
            letters = (letter if word == "K" else letter.lower() for letter, word in said)
            yield " ".join(filter(None, (tag, record["vr"] or "-", record["basic"].rstrip("*"), "".join(letters))))


def table(path: Path) -> str:
    """The whole file."""
    return HEAD + "".join(f"{line}\n" for line in lines(json.loads(path.read_text())))


if __name__ == "__main__":
    sys.stdout.write(table(Path(sys.argv[1])))
