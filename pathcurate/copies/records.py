"""What stands in a target with a proof, remembered in the catalog, so that a run that was interrupted goes on."""

import errno
import functools
import hashlib
import json
import os
import stat
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pathcurate.copies.kernel import Outcome, demand_no_link, packed
from pathcurate.copies.proof import Proof
from pathcurate.model.deidfile import Standing
from pathcurate.model.filescrub import Deed, Unknown, WrittenFiles
from pathcurate.storage import private_directory, write_bytes
from pathcurate.workspace import Workspace

CODE_SIGNS: Final = 18
"""Signs of a code, which the name of each copy begins with."""
DICOM_DIRECTORY: Final = "dicom/DICOMDIR"


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
            "states": [self._state(name) for name in names_of(listed.outcome)],
            "outcome": json.loads(packed(listed.outcome)),
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
        record = self._record(code)
        of_now = rules if made_of is None else made_of
        if record is not None and (record.rules if made_of is None else record.made_of) == of_now and self._stands(record):
            return record.outcome
        self._withdraw(code, record)
        return None

    def others(self, chosen: Container[str]) -> Iterator[Listed]:
        """What stands there of slides and series that are not chosen this time."""
        for code in sorted(self._known):
            if code not in chosen and (record := self._record(code)) is not None and self._stands(record):
                yield Listed(code, record.format, record.rules, record.outcome)

    def _record(self, code: str) -> "_Record | None":
        """What is remembered of copies; None of a record that is missing, damaged or of another version."""
        if code not in self._known:
            return None
        try:
            parts = json.loads((self._directory / f"{code}.json").read_bytes())
            return _Record(parts["made_of"], parts["format"], parts["rules"], parts["states"], unpacked(parts["outcome"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def withdraw(self, code: str) -> None:
        """Remove copies and their record, and what a killed run put in its place before it could say so.

        Raises:
            OSError: something cannot be removed.
        """
        self._withdraw(code, self._record(code))

    def _withdraw(self, code: str, record: "_Record | None") -> None:
        names = names_of(record.outcome) if record else ()
        placed = [self._target / name for name in (*names, dicom_folder(code))]
        for path in (*placed, *self._there.pop(code, ())):
            demand_no_link(self._target, path.parent)
            _removed(path)
        (self._directory / f"{code}.json").unlink(missing_ok=True)
        self._known.discard(code)

    def _stands(self, record: "_Record") -> bool:
        names = names_of(record.outcome)
        try:
            return bool(names) and [self._state(name) for name in names] == record.states
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


@dataclass(frozen=True, slots=True)
class _Record:
    """What is remembered of the copies of one slide or series."""

    made_of: str
    format: str
    rules: str | None
    states: list[list[int]]
    outcome: Outcome


def unpacked(parts: Mapping[str, Any]) -> Outcome:
    """An outcome from what its JSON says."""
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


def names_of(outcome: Outcome) -> tuple[str, ...]:
    """The copies, relative to the target."""
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
