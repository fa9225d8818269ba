"""Stage: a release in another form, for those who cannot read Parquet. The release itself stays what is signed and sold.

A form holds less than the release; what it cannot hold is said, in the result and in ``export.json`` beside the files.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from pathcurate.digests import file_sha256
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.exporting.csvfiles import write_csv
from pathcurate.exporting.rows import Made, columns_of
from pathcurate.exporting.tc609 import write_tc609
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.description import NAMESPACE
from pathcurate.releases import Release, verify_release
from pathcurate.storage import sync_tree
from pathcurate.wholefolder import in_making

Form = Literal["csv", "tc609"]
EXPORT_FILE = "export.json"
EXPORT_SCHEMA = f"{NAMESPACE}schema/export/1"
_WRITERS: Mapping[Form, Callable[[Release, Path], Made]] = {"csv": write_csv, "tc609": write_tc609}


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export.

    Attributes:
        path: below the directory.
        rows: rows or records in it.
        sha256: of its bytes.
    """

    path: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        directory: where.
        form: ``csv`` or ``tc609``.
        release: the release, as it was verified.
        files: with rows of it.
        losses: what the form cannot hold, a sentence each.
    """

    directory: Path
    form: Form
    release: Release
    files: tuple[ExportedFile, ...]
    losses: tuple[str, ...]


def export(source: Path, form: Form, output: Path) -> Exported:
    """Write a release in another form, whole or not at all; no table is held in memory.

    Args:
        source: directory of the release; every byte of it is checked first.
        form: ``csv`` is a file for each table, ``tc609`` is JSON lines with a record for each unit.
        output: a directory that is made; it may be there if nothing is in it.

    Raises:
        UsageError: the output is not empty, no directory, or inside of the release.
        DigestMismatchError: the release is not what was built.
        InputOutputError: the release cannot be read, or holds what no release does.
    """
    _check_output(source, output)
    release = verify_release(source)
    with in_making(output) as temporary:
        made = _written(release, form, temporary)
        files = tuple(ExportedFile(name, rows, file_sha256(temporary / name)) for name, rows in sorted(made.rows.items()))
        content = _summary(release, form, files, made.losses)
        (temporary / EXPORT_FILE).write_text(json_text(content, sort_keys=False), encoding="utf-8")
        sync_tree(temporary)
        temporary.chmod(0o755)
        temporary.rename(output)
    return Exported(output, form, release, files, made.losses)


def _written(release: Release, form: Form, directory: Path) -> Made:
    try:
        return _WRITERS[form](release, directory)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        kind = type(error).__name__
    # Outside of the except block: the decoder's error carries the text.
    raise InputOutputError(
        f"a table holds what no release does and {form} cannot hold ({kind})", "`pathcurate validate` tells what it is."
    )


def _summary(release: Release, form: Form, files: tuple[ExportedFile, ...], losses: tuple[str, ...]) -> dict[str, Any]:
    return {
        "schema": EXPORT_SCHEMA, "form": form, "product": release.name, "version": release.version,
        "release_digest": release.digest, "content_digest": release.manifest["content_digest"],
        "files": [asdict(file) for file in files], "losses": list(losses),
        "tables": {name: columns_of(release, name) for name in release.tables},
    }  # fmt: skip


def _check_output(source: Path, output: Path) -> None:
    if output.is_symlink() or (output.exists() and (not output.is_dir() or next(output.iterdir(), None) is not None)):
        raise UsageError(f"{output.name} is there already, and is no empty directory", "Give a new directory.")
    if output.resolve().is_relative_to(source.resolve()):
        raise UsageError("the output lies inside of the release, which nothing may be added to", "Give another directory.")
