"""What a slide's row keeps when its header is read again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Row = dict[str, Any]

PASS_COLUMNS: Final = (
    "pixel_fingerprint", "thumbnail_hash", "content_sha256", "tissue_fraction", "blur", "pen_fraction", "qc", "qc_version",
    "labels_version", "check_level", "tiles_checked", "tiles_bad", "tiles_decoded", "scan_group", "duplicate_of",
)  # fmt: skip
"""What later passes have said of a slide's bytes; it holds as long as the bytes are the same."""
_OF_EVERY_BYTE: Final = ("content_sha256", "check_level", "tiles_checked", "tiles_bad", "tiles_decoded")
"""Of these, what speaks of bytes that no header vouches for."""
_READ_FROM_LABEL: Final = (
    ("barcode", "barcode_source", "barcode_confidence"),
    ("label_text", "label_text_source", "label_text_confidence"),
)
_DEEPER: Final = ("tiles", "digest")
_NOT_NEWS: Final = frozenset({"scanned_at"})


def same_bytes(row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether two rows of one slide speak of the same bytes, as far as a header shows."""
    same = all(row[name] == before[name] for name in ("size_bytes", "header_fingerprint", "shape_fingerprint"))
    return same and (row["status"] == before["status"] or _is_found_bad(row, before))


def _is_found_bad(row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a slide's header is in order and a deeper look has found its bytes not to be."""
    return row["status"] == "ok" and before["check_level"] in _DEEPER and before["header_fingerprint"] is not None


def carried(row: Row, before: Row) -> Row:
    """A new row of a known slide with what still holds of the old one; names are to be read again by the caller if
    :func:`has_label_reading` of the result.
    """
    row = {**row, "slide_id": before["slide_id"]}
    for name in ("moved_from", "moved_at"):
        row[name] = row[name] if row[name] is not None else before[name]
    if same_bytes(row, before):
        is_touched = row["mtime"] != before["mtime"]
        if not is_touched:
            row |= {name: before[name] for name in ("status", "status_detail")}
        row |= {name: before[name] for name in PASS_COLUMNS if not (is_touched and name in _OF_EVERY_BYTE)}
        for names in _READ_FROM_LABEL:
            if row[names[0]] is None and before[names[1]] not in (None, "header"):
                row |= {name: before[name] for name in names}
    return row


def moved_columns(before: Mapping[str, Any]) -> Row:
    """What the row of a slide says that was found elsewhere than before."""
    old = before["archive"].encode() + b"\0" + before["relpath"]
    return {"moved_from": old, "moved_at": datetime.now(UTC).replace(tzinfo=None)}


def has_label_reading(row: Mapping[str, Any]) -> bool:
    """Whether barcode or text came from the label's image, so that names depend on more than the header."""
    return any(row[source] not in (None, "header") for _, source, _ in _READ_FROM_LABEL)


def differs(row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a row says anything new."""
    return any(before[name] != value for name, value in row.items() if name not in _NOT_NEWS)
