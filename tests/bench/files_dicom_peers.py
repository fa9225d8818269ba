"""One peer of the DICOM scrubber on files; runs in an interpreter of its own, without pathcurate.

Reads ``{"peer", "files", "target", "repeat"}`` from standard input; the copy of a file has its name, in the target. Writes
to standard output the names of the files that the peer failed on, and the processor's seconds of each repetition over the
others.
"""

import contextlib
import io
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom

Scrub = Callable[[str, Path], None]


def dicognito() -> Scrub:
    """dicognito with its defaults, one anonymizer for all files."""
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed="bench")

    def scrub(file: str, target: Path) -> None:
        data = pydicom.dcmread(file, force=True)
        anonymizer.anonymize(data)
        data.save_as(target / Path(file).name)

    return scrub


def deid() -> Scrub:
    """deid with its own recipe; private attributes removed."""
    from deid.config import DeidRecipe
    from deid.dicom import get_identifiers, replace_identifiers
    from deid.logger import bot

    bot.level = -5
    recipe = DeidRecipe()

    def scrub(file: str, target: Path) -> None:
        found = get_identifiers([file])
        done = replace_identifiers(
            dicom_files=[file], deid=recipe, ids=found, save=True, overwrite=True, output_folder=str(target),
            remove_private=True,
        )  # fmt: skip
        if not done:
            raise ValueError("nothing was written")

    return scrub


def dicom_anonymizer() -> Scrub:
    """dicom-anonymizer with its newest table."""
    from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file, initialize_actions

    rules = initialize_actions("dicomfields_2026c")

    def scrub(file: str, target: Path) -> None:
        anonymize_dicom_file(file, str(target / Path(file).name), base_rules_gen=lambda: rules)

    return scrub


def main() -> None:
    """Read, scrub, write."""
    order = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    scrub = {"dicognito": dicognito, "deid": deid, "dicom-anonymizer": dicom_anonymizer}[order["peer"]]()
    target = Path(order["target"])
    good, failed = [], []
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for file in order["files"]:
            try:
                scrub(file, target)
                good.append(file)
            except Exception:  # noqa: BLE001 -- whatever a tool raises, it failed on the file
                failed.append(Path(file).name)
        seconds = []
        for _ in range(order["repeat"]):
            begun = time.process_time()
            for file in good:
                scrub(file, target)
            seconds.append(time.process_time() - begun)
    json.dump({"failed": failed, "files": len(good), "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
