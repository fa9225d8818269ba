"""Certificates of registration as people receive them: PDF files in a folder, and a table that says which is whose."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.certificate import Certificate
from pathcurate.model.finding import Finding, Severity
from pathcurate.registrationtable import STAGE, RegistrationRow, fault, in_order, read_rows, without_conflicts
from pathcurate.storage import LocalSource

_LARGEST = 64 << 20
_MOST_FILES = 100_000
_BEGINNING, _END, _TAIL = b"%PDF-", b"%%EOF", 4096
"""ISO 32000-2, 7.5.2 and 7.5.5; some writers add bytes after the end."""
_REQUIRED = ("file", "number", "authority", "issued", "regime")


class _UnusableError(Exception):
    """A file that cannot be a certificate: name of the rule, and why."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(rule, why)
        self.rule, self.why = rule, why


def read_certificates(
    table: Path, folder: Path, *, today: date, regime: str | None = None
) -> tuple[tuple[Certificate, ...], tuple[Finding, ...]]:
    """The certificates of a table, each bound to the digest of its file.

    A row is refused, with a finding, if it lacks something or has another form, if its certificate has expired, if its file
    is missing, no whole PDF, a link, or out of the folder, if the file has another digest than the table gives for it, or if
    two rows share a file, a number of one authority, or a release and regime. The others go on.

    Args:
        table: CSV, TSV or Excel: release (or product and version), file, number, authority, day of issue, and perhaps
            regime, last day and SHA-256; heads in Chinese or English, see ``registrationtable.yaml``.
        folder: that the files are in.
        today: the day that the certificates must be valid on.
        regime: that they were given under, where the table does not say it.

    Returns:
        The certificates in the order of their rows, and the findings in the order of theirs.

    Raises:
        InputOutputError: the table or the folder cannot be read.
        UsageError: it is no table, or lacks a column.
    """
    rows, findings = read_rows(table, required=_REQUIRED, regime=regime)
    files = _files(folder)
    bound = []
    for row in rows:
        try:
            bound.append(_bound(row, folder, files))
        except _UnusableError as unusable:
            findings.append(fault(row.row, unusable.rule, unusable.why))
    valid = []
    for row in bound:
        # Before conflicts are looked for: an expired certificate stands beside the one that renewed it.
        if row.valid_until is not None and row.valid_until < today:
            findings.append(fault(row.row, "expired", "the certificate has expired; bring the one that renews it"))
        elif row.issued is not None and row.issued > today:
            findings.append(fault(row.row, "bad_value", "issued is a day to come"))
        else:
            valid.append(row)
    kept, conflicts = without_conflicts(
        valid,
        {
            "the same file": lambda row: row.sha256,
            "the same number of one authority": lambda row: (row.authority, row.number),
            "the same release and regime": lambda row: (row.release, row.regime),
        },
    )
    findings += conflicts
    findings += _unnamed(files, rows)
    return tuple(map(_certificate, kept)), in_order(findings)


def certificate_of(
    file: Path, *, release: str, authority: str, scheme: str, number: str, issued: date, valid_until: date | None = None
) -> Certificate:
    """One certificate, bound to the digest of its file.

    Args:
        file: the PDF.
        release: ``NAME@VERSION``, or a release digest.
        authority: who gave it.
        scheme: the regime it was given under.
        number: of the certificate.
        issued: when it was given.
        valid_until: its last day; None if it does not end.

    Raises:
        InputOutputError: the file cannot be read, is a link, or no whole PDF.
        UsageError: something of it has another form.
    """
    return Certificate(release, authority, scheme, number, issued, valid_until, _digest_of(file))


def check_certificate(certificate: Certificate, file: Path) -> None:
    """Check that a file is the one that a certificate was bound to.

    Raises:
        DigestMismatchError: it is another.
        InputOutputError: it cannot be read, is a link, or no whole PDF.
    """
    if _digest_of(file) != certificate.sha256:
        raise DigestMismatchError(
            f"{file.name} is not the file that the certificate of {certificate.release} was bound to",
            "Find out who exchanged it, and bring back the file that the authority sent.",
        )


def _digest_of(file: Path) -> str:
    try:
        return sha256_text(_pdf(file, None))
    except _UnusableError as unusable:
        raise InputOutputError(f"{file.name}: {unusable.why}", "Give the PDF file as the authority sent it.") from None


def _certificate(row: RegistrationRow) -> Certificate:
    # What is required was looked at when the row was read.
    return Certificate(
        row.release, row.authority or "", row.regime or "", row.number or "", row.issued or date.max, row.valid_until,
        row.sha256 or "",
    )  # fmt: skip


def _files(folder: Path) -> dict[str, str]:
    """The files below a folder: their paths in NFC, and as they are; macOS takes letters with marks apart."""
    if not folder.is_dir():
        raise InputOutputError(f"{folder.name} is no folder that can be read", "Give the folder that holds the PDF files.")
    found: dict[str, str] = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name).relative_to(folder).as_posix()
            found.setdefault(unicodedata.normalize("NFC", path), path)
            if len(found) > _MOST_FILES:
                raise UsageError(
                    f"{folder.name} holds more than {_MOST_FILES:,} files", "Give the certificates' own folder."
                )
    return found


def _asked(row: RegistrationRow) -> str:
    """The path that a row gives for its file, perhaps as Windows writes it."""
    return unicodedata.normalize("NFC", (row.file or "").replace("\\", "/"))


def _bound(row: RegistrationRow, folder: Path, files: dict[str, str]) -> RegistrationRow:
    """The row with the path of its file as it is on disk, and the file's digest."""
    text = _asked(row)
    steps = text.split("/")
    if text.startswith("/") or ":" in steps[0] or {"", ".", ".."}.intersection(steps) or not text.isprintable():
        raise _UnusableError("path", "file must be a path within the folder, without `..`")
    relpath = files.get(text, text)
    place = folder
    for step in PurePosixPath(relpath).parts:
        place /= step
        if place.is_symlink():
            raise _UnusableError("link", "its file is a link, or in a folder that is one; put the file itself there")
    digest = sha256_text(_pdf(place, folder))
    if row.sha256 is not None and row.sha256 != digest:
        raise _UnusableError("swapped", "its file has another SHA-256 than the table gives: it was exchanged or changed")
    return replace(row, file=relpath, sha256=digest)


def _pdf(file: Path, within: Path | None) -> bytes:
    try:
        with LocalSource(os.fsencode(file), os.fsencode(within) if within is not None else None) as source:
            content = source.read_at(0, _LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise _UnusableError("file_missing", "its file is not there") from None
    except (OSError, ValueError) as error:
        raise _UnusableError("file_unreadable", f"its file cannot be read, or is a link ({type(error).__name__})") from None
    if len(content) > _LARGEST:
        raise _UnusableError("not_a_pdf", "its file is larger than 64 MB, which no certificate is")
    if not content.startswith(_BEGINNING):
        raise _UnusableError("not_a_pdf", "its file is no PDF")
    if _END not in content[-_TAIL:]:
        raise _UnusableError("not_a_pdf", "its file is a PDF without its end: it was cut off")
    return content


def _unnamed(files: dict[str, str], rows: list[RegistrationRow]) -> Iterator[Finding]:
    """PDF files that no row names: a certificate may be missing from the table."""
    count = sum(path.lower().endswith(".pdf") for path in files.keys() - set(map(_asked, rows)))
    if count:
        yield Finding(
            "registration.not_named", Severity.WARNING, f"PDF files of the folder that no usable row names: {count}",
            stage=STAGE, subject="folder", count=count,
        )  # fmt: skip
