"""What a release says of the slide files that its rows are about, so that their holder can prove later which ones they were.

A digest of a file would let everybody who has the file find its row; a commitment (HMAC-SHA-256 under a key that only the
vault can give) tells nothing to whoever lacks the key, and the holder who opens it cannot name another file.
"""

import hmac
import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from pathcurate.digests import canonical_json, file_sha256
from pathcurate.model.manifest import COMMITMENT_PATH, COMMITMENTS, COMMITMENTS_PATH
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import commitment_key, internal, product
from pathcurate.tables import Catalog, column_values, from_rows, write_parquet
from pathcurate.workspace import Workspace

_FIELDS = ("slide_id", "site", "archive", "relpath", "size_bytes", "content_sha256")
_HOW = (
    "HMAC-SHA-256 of the canonical JSON (RFC 8785) of the slide's number in its archive and, where `over` is `bytes`, the "
    "SHA-256 of its file; where it is `place`, its site, archive, path (hexadecimal) and size. The key stays with the "
    "holder, who opens a commitment by telling its key and its source."
)


def write_commitments(workspace: Workspace, directory: Path, name: str, key: bytes, slides: Any) -> list[str]:
    """Write what is committed to for each slide of a release.

    Args:
        workspace: whose catalog knows the sources.
        directory: the release that is being written.
        name: of the product.
        key: the vault's.
        slides: internal codes of the slides that go out.

    Returns:
        Paths of the files below the release; none if the catalog has none of these slides.
    """
    known = Catalog(workspace.catalog, workspace.pinned).read(SLIDES, columns=_FIELDS)
    codes = internal(key).codes.code_array("S", known["slide_id"])
    here: Any = pc.is_in(codes, pc.unique(slides).drop_null())
    known, codes = known.filter(here), codes.filter(here)
    if not known.num_rows:
        return []
    own = commitment_key(key, name)
    shown = product(key, name).codes.code_array("S", codes).to_pylist()
    columns = [column_values(known, field) for field in _FIELDS]
    rows = []
    for code, slide, site, archive, relpath, size, digest in zip(shown, *columns, strict=True):
        source = {"slide_id": slide, "sha256": digest} if digest else {
            "slide_id": slide, "site": site, "archive": archive, "relpath": relpath.hex(), "size_bytes": size,
        }  # fmt: skip
        made = hmac.digest(own, canonical_json(source), "sha256").hex()
        rows.append({"slide_id": code, "over": "bytes" if digest else "place", "commitment": made})
    table = from_rows(COMMITMENTS, sorted(rows, key=lambda row: str(row["slide_id"])))
    write_parquet(directory / COMMITMENTS_PATH, table, {"pathcurate.table": COMMITMENTS.name}, mode=0o444)
    document = {
        "how": _HOW, "slides": table.num_rows, "file": COMMITMENTS_PATH,
        "sha256": file_sha256(directory / COMMITMENTS_PATH),
    }  # fmt: skip
    path = directory / COMMITMENT_PATH
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    path.chmod(0o444)
    return [COMMITMENT_PATH, COMMITMENTS_PATH]
