"""What a run leaves beside the copies: a table and a receipt without identifiers; and in the workspace what identifies."""

import contextlib
import csv
import errno
import fcntl
import functools
import hashlib
import io
import json
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pathcurate import __version__
from pathcurate.copies.choosing import Chosen
from pathcurate.copies.kernel import UNFINISHED, Outcome, demand_no_link, packed
from pathcurate.copies.proof import Proof
from pathcurate.errors import InputOutputError, LockedError, UsageError
from pathcurate.model.deidfile import DEID_FILES, DEID_FILES_NAME, RECEIPT_NAME, RECEIPT_SCHEMA, Standing
from pathcurate.model.filescrub import Deed, Unknown, WrittenFiles
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import from_rows, write_parquet
from pathcurate.vault import Vault
from pathcurate.workspace import Workspace

_LOCK: Final = ".lock"
_OURS: Final = frozenset({DEID_FILES_NAME, RECEIPT_NAME, UNFINISHED, _LOCK, "slides", "dicom"})
CODE_SIGNS: Final = 18
"""Signs of a code, which the name of each copy begins with."""
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
    if any((target / name).is_symlink() for name in names):
        raise UsageError(
            "the directory for the copies holds a link, which would lead elsewhere", "Give a new directory, or an empty one."
        )
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


@contextlib.contextmanager
def holding(target: Path) -> Iterator[None]:
    """Hold the directory of the copies for one run, of whatever workspace; nothing is left of the lock.

    Raises:
        LockedError: another run holds it.
        InputOutputError: it cannot be written to.
    """
    path = target / _LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputOutputError(
            f"the directory for the copies cannot be written to ({os.strerror(error.errno or 5).lower()})",
            "Give another one, or open it for writing.",
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have taken it away meanwhile.
            is_ours = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        except BlockingIOError:
            is_ours = False
        if not is_ours:
            raise LockedError("the directory for the copies is in use by another run", "Wait until it ends.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Listed:
    """What the table and the receipt say of a slide or series.

    Attributes:
        code: its code.
        format: of its source.
        rules: digest of the rules that it was scrubbed by.
        outcome: what became of it.
    """

    code: str
    format: str
    rules: str | None
    outcome: Outcome


class Records:
    """What stands in a target with a proof, so that a run that was interrupted goes on.

    They say sizes and times of archive files, so they lie in the catalog and not beside the copies.
    """

    def __init__(self, workspace: Workspace, target: Path) -> None:
        name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:16]
        self._target = target
        self._directory = private_directory(private_directory(workspace.catalog / "files-done") / name)
        self._known = {path.stem for path in self._directory.glob("*.json")}
        # Listed once: a hundred thousand slides would each ask for all names.
        self._there: dict[str, list[Path]] = defaultdict(list)
        for path in (target / "slides").iterdir() if (target / "slides").is_dir() else ():
            self._there[path.name[:CODE_SIGNS]].append(path)

    def keep(self, listed: Listed, made_of: str) -> None:
        """Remember copies that stand in their place."""
        document = {
            "made_of": made_of, "format": listed.format, "rules": listed.rules,
            "states": [self._state(name) for name in _names(listed.outcome)], "outcome": json.loads(packed(listed.outcome)),
        }  # fmt: skip
        data = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
        write_bytes(self._directory / f"{listed.code}.json", data, mode=0o600)

    def standing(self, code: str, made_of: str | None, rules: str | None) -> Outcome | None:
        """What was remembered, if its copies are all there as they were, and would be made the same again; else they go.

        Args:
            code: of the slide or series.
            made_of: what copies are made of now; None if the source cannot be read, so that only the rules are compared:
                an archive that is away takes no copies with it.
            rules: digest of the rules that are in force.

        Raises:
            OSError: what must go cannot be removed.
        """
        document = self._document(code)
        of_then, of_now = ("rules", rules) if made_of is None else ("made_of", made_of)
        is_same = document is not None and document[of_then] == of_now
        if document is not None and is_same and self._stands(document):
            return self.unpacked(json.dumps(document["outcome"]))
        self.withdraw(code)
        return None

    def others(self, chosen: Container[str]) -> Iterator[Listed]:
        """What stands there of slides and series that are not chosen this time."""
        for code in sorted(self._known):
            if code not in chosen and (document := self._document(code)) is not None and self._stands(document):
                outcome = self.unpacked(json.dumps(document["outcome"]))
                yield Listed(code, document["format"], document["rules"], outcome)

    def _document(self, code: str) -> dict[str, Any] | None:
        """What copies were made of, and their outcome; None of a record that is missing, damaged or of another version."""
        if code not in self._known:
            return None
        try:
            document = json.loads((self._directory / f"{code}.json").read_bytes())
            self.unpacked(json.dumps(document["outcome"]))
            return document if {"made_of", "format", "rules", "states"} <= document.keys() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def withdraw(self, code: str) -> None:
        """Remove copies and their record, and what a killed run put in its place before it could say so.

        Raises:
            OSError: something cannot be removed.
        """
        document = self._document(code)
        names = _names(self.unpacked(json.dumps(document["outcome"]))) if document else ()
        placed = [self._target / name for name in (*names, dicom_folder(code))]
        for path in (*placed, *self._there.pop(code, ())):
            demand_no_link(self._target, path.parent)
            _removed(path)
        (self._directory / f"{code}.json").unlink(missing_ok=True)
        self._known.discard(code)

    def _stands(self, document: Mapping[str, Any]) -> bool:
        names = _names(self.unpacked(json.dumps(document["outcome"])))
        try:
            return bool(names) and [self._state(name) for name in names] == document["states"]
        except OSError:
            return False

    def _state(self, name: str) -> list[int]:
        """Size and time of a copy that is a file of its own, and not a link to one."""
        path = self._target / name
        demand_no_link(self._target, path.parent)
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return [state.st_size, state.st_mtime_ns]

    @staticmethod
    def unpacked(text: str) -> Outcome:
        """An outcome from its JSON."""
        parts = json.loads(text)
        written, proof = parts["written"], parts["proof"]
        return Outcome(
            Standing(parts["standing"]),
            parts["reason"],
            tuple(_deed(*one) for one in parts["deeds"]),
            tuple(Unknown(**unknown) for unknown in parts["unknown"]),
            WrittenFiles(written["main"], tuple(written["files"]), written["uids"], written["dropped"]) if written else None,
            tuple(parts["sizes"]),
            Proof(**{**proof, "readers": tuple(proof["readers"]), "faults": tuple(proof["faults"])}) if proof else None,
            tuple(Unknown(**unknown) for unknown in parts["unknown_drawn"]),
            parts["left_out"],
        )


@functools.lru_cache(maxsize=1 << 16)
def _deed(deed: str, rule: str, count: int) -> tuple[Deed, str, int]:
    """A hundred thousand slides share them: each kept once, or they would take most of the memory of a run."""
    return Deed(deed), rule, count


def _names(outcome: Outcome) -> tuple[str, ...]:
    return outcome.written.files if outcome.written else ()


def dicom_folder(code: str) -> str:
    """Where the instances of a slide or series stand: parts of at most eight signs (PS3.10 section 8.2)."""
    return f"dicom/{code[0]}/{code[2:10]}/{code[10:]}"


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for below in sorted(path.rglob("*"), reverse=True):
            below.rmdir() if below.is_dir() and not below.is_symlink() else below.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


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
        "table": {"path": DEID_FILES_NAME, "sha256": _file_sha256(target / DEID_FILES_NAME)},
        "files": [
            {"path": name, "sha256": outcome.proof.sha256[name.split("/", 1)[1]], "size": size}
            for outcome in (one.outcome for one in listed)
            if outcome.written is not None and outcome.proof is not None
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


def strays(target: Path, listed: Sequence[Listed]) -> int:
    """Files that stand among the copies and that no outcome names: nobody vouches for them."""
    named = {target / name for one in listed for name in (*_names(one.outcome), DICOM_DIRECTORY)}
    return sum(
        Path(place, name) not in named
        for above in ("slides", "dicom")
        for place, folders, names in os.walk(target / above)
        for name in (*names, *(folder for folder in folders if Path(place, folder).is_symlink()))
    )


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
