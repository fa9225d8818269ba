"""What a release commits to of its sources: a file that holds rows, but that MANIFEST.json does not name."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow.compute as pc

from pathcurate.model.manifest import COMMITMENT_PATH, COMMITMENTS, COMMITMENTS_PATH
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.validate.arrays import true_count
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import Opened, OpenedTable
from pathcurate.validate.tablerules import check_table, open_table

_SCHEMA_RULES = ("PC-SCH-001", "PC-SCH-002", "PC-SCH-003", "PC-SCH-004", "PC-SCH-005")


def check(opened: Opened, workers: int) -> Iterator[Breach | Unchecked]:
    """Whether the file is of its declared schema, as tables are, and has one row for each slide.

    Args:
        opened: the release.
        workers: processes that may be used.
    """
    if COMMITMENTS_PATH in opened.changed:
        yield Unchecked((*_SCHEMA_RULES, "PC-LNK-006"), f"{COMMITMENTS_PATH} was changed")
        return
    if COMMITMENTS_PATH not in opened.listed:
        if COMMITMENT_PATH in opened.listed:
            yield breach("PC-LNK-006", f"{COMMITMENTS_PATH} is missing", file=COMMITMENTS_PATH)
        else:
            yield Unchecked(("PC-LNK-006",), "the release commits to no source", applies=False)
        return
    path = opened.directory / COMMITMENTS_PATH
    table = open_table(COMMITMENTS.name, (path,), COMMITMENTS, has_digests=False, workers=workers)
    if isinstance(table, str):
        yield breach("PC-SCH-002", table, table=COMMITMENTS.name, file=COMMITMENTS_PATH)
        yield Unchecked(("PC-LNK-006",), f"{COMMITMENTS_PATH} cannot be read")
        return
    for found in check_table(table):
        yield replace(found, file=COMMITMENTS_PATH)
    # A table may leave columns out; of this one each row would mean nothing without them.
    lacking = [name for name in COMMITMENTS.names if name not in table.schema.names]
    if lacking:
        message = f"lacks {counted(len(lacking), 'column')}: {', '.join(lacking)}"
        yield breach("PC-SCH-001", message, table=COMMITMENTS.name, file=COMMITMENTS_PATH, count=len(lacking))
    yield from _agreement(opened.tables.get("slides"), table)


def _agreement(slides: OpenedTable | None, commitments: OpenedTable) -> Iterator[Breach | Unchecked]:
    """Slides without a commitment, and commitments of slides that are not there; one slide twice is a broken key."""
    if slides is None or not slides.has("slide_id") or not commitments.has("slide_id"):
        yield Unchecked(("PC-LNK-006",), "slides or commitments do not say which slides they are of")
        return
    here, committed = (table.columns("slide_id")["slide_id"].combine_chunks() for table in (slides, commitments))
    for rows, others, what in ((here, committed, "without a commitment"), (committed, here, "with one, but not released")):
        lacking = len(rows) - true_count(pc.is_in(rows, others))
        if lacking:
            message = f"has {counted(lacking, 'slide')} {what}"
            yield breach(
                "PC-LNK-006", message, table=commitments.name, file=COMMITMENTS_PATH, count=lacking, of=len(rows)
            )  # fmt: skip
