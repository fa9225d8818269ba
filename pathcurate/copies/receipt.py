"""What a run leaves beside the copies: a table and a receipt without identifiers; and in the workspace what identifies."""

import csv
import hashlib
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from pathcurate import __version__
from pathcurate.copies.choosing import Chosen
from pathcurate.copies.kernel import UNFINISHED, Outcome, packed
from pathcurate.copies.proof import Proof
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.deidfile import DEID_FILES, DEID_FILES_NAME, RECEIPT_NAME, RECEIPT_SCHEMA, Standing
from pathcurate.model.filescrub import Deed, Unknown, WrittenFiles
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import from_rows, write_parquet
from pathcurate.vault import Vault
from pathcurate.workspace import Workspace

_OURS: Final = frozenset({DEID_FILES_NAME, RECEIPT_NAME, UNFINISHED, ".lock", "slides", "dicom"})
DICOM_DIRECTORY: Final = "dicom/DICOMDIR"
_UID_MAP, _PATIENT_MAP = "uid_map.csv", "patid_map.csv"


def demand_target(target: Path, workspace: Workspace, layer: str) -> None:
    """Make the directory that copies go to, and refuse one that they must not go to.

    Raises:
        UsageError: it lies in the workspace's identified places or an archive, holds anything else, or copies of another
            layer: in one place, codes of two layers could be joined.
        InputOutputError: it cannot be made.
    """
    resolved = target.resolve()
    archives = [archive.root for site in workspace.settings.sites for archive in site.archives]
    own = [workspace.catalog, workspace.vault, workspace.deid, workspace.cohorts, workspace.releases]
    for place in (path.resolve() for path in (*own, *(root for root in archives if isinstance(root, Path)))):
        if resolved.is_relative_to(place) or place.is_relative_to(resolved):
            raise UsageError(
                "the copies would lie in an archive or among the workspace's own files", "Give another directory."
            )
    try:
        target.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in target.iterdir()}
    except OSError as error:
        raise InputOutputError(
            f"the directory for the copies cannot be made or read ({os.strerror(error.errno or 5).lower()})",
            "Give another one, or open it for writing.",
        ) from None
    if names - _OURS:
        raise UsageError("the directory for the copies holds other files", "Give a new one, or an empty one.")
    if RECEIPT_NAME in names and _layer_of(target) != layer:
        raise UsageError(
            "the directory holds copies in the codes of another layer, so that the two could be joined",
            "Give a directory of its own to each release and each recipient.",
        )


def _layer_of(target: Path) -> str | None:
    try:
        layer = json.loads((target / RECEIPT_NAME).read_bytes())["layer"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(layer)


class Records:
    """What stands in a target with a proof, so that a run that was interrupted goes on.

    They say sizes and times of archive files, so they lie in the catalog and not beside the copies.
    """

    def __init__(self, workspace: Workspace, target: Path) -> None:
        name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:16]
        self._target = target
        self._directory = private_directory(private_directory(workspace.catalog / "files-done") / name)

    def keep(self, code: str, made_of: str, outcome: Outcome) -> None:
        """Remember copies that stand in their place."""
        document = {"made_of": _digest(made_of), "outcome": json.loads(packed(outcome))}
        write_bytes(self._directory / f"{code}.json", json.dumps(document, ensure_ascii=False).encode(), mode=0o600)

    def standing(self, code: str, made_of: str) -> Outcome | None:
        """What was remembered, if its copies are all there as they were, and would be made the same again; else they go."""
        record = self._record(code)
        if record is not None and record[0] == _digest(made_of) and self._stands(record[1]):
            return record[1]
        self.withdraw(code)
        return None

    def _record(self, code: str) -> tuple[str, Outcome] | None:
        """What copies were made of, and their outcome; None of a record that is missing, damaged or of another version."""
        try:
            document = json.loads((self._directory / f"{code}.json").read_bytes())
            return str(document["made_of"]), self.unpacked(json.dumps(document["outcome"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def withdraw(self, code: str) -> None:
        """Remove copies and their record."""
        record = self._record(code)
        written = record[1].written if record else None
        for name in written.files if written else ():
            (self._target / name).unlink(missing_ok=True)
        if written is None:
            self._sweep(code)
        (self._directory / f"{code}.json").unlink(missing_ok=True)

    def _sweep(self, code: str) -> None:
        """Remove what a killed run put in its place before it could say so."""
        for path in (self._target / "slides").glob(f"{code}*"):
            _removed(path)
        body = code[2:]
        _removed(self._target / "dicom" / code[0] / body[:8] / body[8:])

    def _stands(self, outcome: Outcome) -> bool:
        written = outcome.written
        try:
            return written is not None and all(
                (self._target / name).stat().st_size == size for name, size in zip(written.files, outcome.sizes, strict=True)
            )
        except OSError:
            return False

    @staticmethod
    def unpacked(text: str) -> Outcome:
        """An outcome from its JSON."""
        parts = json.loads(text)
        written, proof = parts["written"], parts["proof"]
        return Outcome(
            Standing(parts["standing"]),
            parts["reason"],
            tuple((Deed(deed), rule, count) for deed, rule, count in parts["deeds"]),
            tuple(Unknown(**unknown) for unknown in parts["unknown"]),
            WrittenFiles(written["main"], tuple(written["files"]), written["uids"], written["dropped"]) if written else None,
            tuple(parts["sizes"]),
            Proof(**{**proof, "readers": tuple(proof["readers"]), "faults": tuple(proof["faults"])}) if proof else None,
            tuple(Unknown(**unknown) for unknown in parts["unknown_drawn"]),
            parts["left_out"],
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for below in sorted(path.rglob("*"), reverse=True):
            below.rmdir() if below.is_dir() and not below.is_symlink() else below.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def conclude(
    target: Path, layer: str, chosen: Sequence[Chosen], outcomes: Mapping[str, Outcome], rules: Mapping[str, str]
) -> tuple[Path, str]:
    """Write the table and the receipt; the receipt's path and SHA-256. They hold no identifier, no path, no time."""
    rows = [_row(one, outcomes[one.code], rules) for one in chosen if one.code in outcomes]
    table = from_rows(DEID_FILES, rows)
    write_parquet(target / DEID_FILES_NAME, table)
    receipt = {
        "schema": RECEIPT_SCHEMA,
        "tool": {"name": "pathcurate", "version": __version__},
        "layer": layer,
        "state": "de-identified (去标识化); a crosswalk exists, so this is not anonymised",
        "standings": dict(sorted(Counter(row["standing"] for row in rows).items())),
        "reasons": dict(Counter(outcome.reason for outcome in outcomes.values() if outcome.reason).most_common()),
        "rules": {one: rules[one] for one in sorted({row["format"] for row in rows}) if one in rules},
        "table": {"path": DEID_FILES_NAME, "sha256": _file_sha256(target / DEID_FILES_NAME)},
        "files": [
            {"path": name, "sha256": outcome.proof.sha256[name.split("/", 1)[1]], "size": size}
            for one in chosen
            if (outcome := outcomes.get(one.code)) is not None and outcome.written is not None and outcome.proof is not None
            for name, size in zip(outcome.written.files, outcome.sizes, strict=True)
        ]
        + [
            {"path": name, "sha256": _file_sha256(target / name), "size": (target / name).stat().st_size}
            for name in (DICOM_DIRECTORY,)
            if (target / name).is_file()
        ],
    }
    data = json.dumps(receipt, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
    write_bytes(target / RECEIPT_NAME, data)
    return target / RECEIPT_NAME, hashlib.sha256(data).hexdigest()


def _row(one: Chosen, outcome: Outcome, rules: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "code": one.code, "format": one.format, "standing": str(outcome.standing), "rules": rules.get(one.format),
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


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            counts["annotation"][item[0]][item[1]] += 1
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
        "# Names in slide files that no rule knows, and how many slides have each. The slides were put aside.",
        "# A name may itself be a patient's value. Look at each; what is none, copy into the file that `deid: files:` of",
        "# pathcurate.yaml names, under `remove`, or under `keep` if it is needed and identifies nobody.",
        *(
            f"# {format_} {table}: {len(names)} names, in up to {max(names.values())} slides each"
            for format_, tables in sorted(counts.items())
            for table, names in sorted(tables.items())
        ),
        yaml.safe_dump(suggested, allow_unicode=True, sort_keys=False),
    ]
    path = private_directory(workspace.catalog / "review") / "deid-files-unknown.yaml"
    write_bytes(path, "\n".join(lines).encode("utf-8", "backslashreplace"), mode=0o600)
    return path
