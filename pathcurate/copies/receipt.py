"""What a run leaves beside the copies: a table and a receipt without identifiers; and in the workspace what identifies."""

import csv
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pathcurate import __version__
from pathcurate.copies.choosing import Chosen
from pathcurate.copies.kernel import ANNOTATION, Outcome
from pathcurate.copies.records import DICOM_DIRECTORY, Listed
from pathcurate.digests import file_sha256
from pathcurate.model.deidfile import DEID_FILES, DEID_FILES_NAME, RECEIPT_NAME, RECEIPT_SCHEMA
from pathcurate.model.filescrub import Deed
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import from_rows, write_parquet
from pathcurate.vault import Vault
from pathcurate.workspace import Workspace

_UID_MAP, _PATIENT_MAP = "uid_map.csv", "patid_map.csv"


def conclude(target: Path, layer: str, listed: Sequence[Listed]) -> tuple[Path, str]:
    """Write the table and the receipt; the receipt's path and SHA-256. They hold no identifier, no path, no time.

    Raises:
        OSError: they cannot be written.
    """
    rows = [_row(one) for one in listed]
    write_parquet(target / DEID_FILES_NAME, from_rows(DEID_FILES, rows))
    rules = {one.format: one.rules for one in listed if one.rules is not None}
    receipt = {
        "schema": RECEIPT_SCHEMA,
        "tool": {"name": "pathcurate", "version": __version__},
        "layer": layer,
        "state": "de-identified (去标识化); a crosswalk exists",
        "standings": dict(sorted(Counter(row["standing"] for row in rows).items())),
        "reasons": dict(Counter(one.outcome.reason for one in listed if one.outcome.reason).most_common()),
        "rules": dict(sorted(rules.items())),
        "table": {"path": DEID_FILES_NAME, "sha256": _sha256(target / DEID_FILES_NAME)},
        "files": [
            {"path": name, "sha256": outcome.proof.sha256[name.split("/", 1)[1]], "size": size}
            for outcome in (one.outcome for one in listed)
            if outcome.written is not None and outcome.proof is not None
            for name, size in zip(outcome.written.files, outcome.sizes, strict=True)
        ]
        + [
            {"path": name, "sha256": _sha256(target / name), "size": (target / name).stat().st_size}
            for name in (DICOM_DIRECTORY,)
            if (target / name).is_file()
        ],
    }
    data = json.dumps(receipt, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
    write_bytes(target / RECEIPT_NAME, data)
    return target / RECEIPT_NAME, hashlib.sha256(data).hexdigest()


def _row(one: Listed) -> dict[str, Any]:
    outcome = one.outcome
    row: dict[str, Any] = {
        "code": one.code, "format": one.format, "standing": str(outcome.standing), "rules": one.rules,
    }  # fmt: skip
    written, proof = outcome.written, outcome.proof
    if written is None or proof is None:
        return row
    return row | {
        "path": written.main, "file_count": len(written.files), "size_bytes": sum(outcome.sizes),
        "sha256": _together(written.files, proof.sha256), "dropped": written.dropped,
        "removed": sum(count for deed, _, count in outcome.deeds if deed is not Deed.KEEP), "images": proof.images,
        "pixel_bytes": proof.pixel_bytes, "values_searched": proof.values, "readers": list(proof.readers),
    }  # fmt: skip


def _together(files: Sequence[str], digests: Mapping[str, str]) -> str:
    bare = [name.split("/", 1)[1] for name in files]
    if len(bare) == 1:
        return digests[bare[0]]
    return hashlib.sha256("".join(f"{digests[name]}  {name}\n" for name in bare).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return file_sha256(path).removeprefix("sha256:")


def write_maps(vault: Vault, layer: str, chosen: Sequence[Chosen], outcomes: Mapping[str, Outcome]) -> None:
    """Add to the maps of UIDs and of patients' numbers, in the form in which MIDI-B's validation asks for them.

    Columns ``id_old,id_new``; they identify, so they lie in the vault, one pair of files for each layer.
    """
    uids = {old: new for outcome in outcomes.values() if outcome.written for old, new in outcome.written.uids.items()}
    patients = {
        value.value: one.patient
        for one in chosen
        if one.patient is not None and (outcome := outcomes.get(one.code)) is not None and outcome.written is not None
        for value in one.known
        if value.kind == "number"
    }
    directory = private_directory(private_directory(vault.directory / "files") / layer.replace(" ", "-"))
    for name, added in ((_UID_MAP, uids), (_PATIENT_MAP, patients)):
        if added:
            _add_to(directory / name, added)


def _add_to(path: Path, added: Mapping[str, str]) -> None:
    pairs: dict[str, str] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            pairs = {row[0]: row[1] for row in list(csv.reader(file))[1:]}
    pairs |= added
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id_old", "id_new"])
    writer.writerows(sorted(pairs.items()))
    write_bytes(path, text.getvalue().encode(), mode=0o600)


def write_unknown(workspace: Workspace, formats: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> Path | None:
    """Sum up what no rule knew in one file, in the form of rules that the site may take over; its path, if there is any.

    A name may hold a patient's value, so the file is identified and lies below ``catalog/review/``.
    """
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for code, outcome in outcomes.items():
        for item in {(unknown.table, unknown.name) for unknown in outcome.unknown}:
            counts[formats[code]][item[0]][item[1]] += 1
        for item in {(unknown.table, unknown.name) for unknown in outcome.unknown_drawn}:
            counts[ANNOTATION][item[0]][item[1]] += 1
    if not counts:
        return None
    suggested = {
        "files": 1,
        "formats": {
            format_: {"tables": {table: {"remove": sorted(names)} for table, names in sorted(tables.items())}}
            for format_, tables in sorted(counts.items())
        },
    }
    lines = [
        "# Names in slide files that no rule knows. The slides were put aside.",
        "# A name may itself be a patient's value. Look at each; what is none, copy into the file that `deid: files:` of",
        "# pathcurate.yaml names, under `remove`, or under `keep` if it is needed and identifies nobody.",
        *(
            f"# {format_} {table}: names: {len(names)}; slides with the commonest of them: {max(names.values())}"
            for format_, tables in sorted(counts.items())
            for table, names in sorted(tables.items())
        ),
        yaml.safe_dump(suggested, allow_unicode=True, sort_keys=False),
    ]
    path = private_directory(workspace.catalog / "review") / "deid-files-unknown.yaml"
    write_bytes(path, "\n".join(lines).encode("utf-8", "backslashreplace"), mode=0o600)
    return path
