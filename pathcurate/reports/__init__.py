"""Stage: report sources become the ``reports`` table."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.forgotten import Forgotten, read_forgotten
from pathcurate.mapping import Mapping, load_mapping
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import GIVEN, REPORTS, TEXT_COLUMNS, VALUES
from pathcurate.parsers import PARSERS
from pathcurate.reports.appending import append_reports
from pathcurate.reports.changes import CHANGED_LABEL, changed_labels
from pathcurate.reports.order import SAME_NUMBER, same_numbers, with_order
from pathcurate.reports.reading import Reader
from pathcurate.reports.recognised import find_parser
from pathcurate.sources import (
    FileKey,
    ImportSummary,
    Intake,
    SourceFile,
    SourceRow,
    choose,
    digest,
    files_of,
    framed,
    import_files,
    repeated_in_files,
    rules_digest,
)
from pathcurate.sources.appending import Added
from pathcurate.sources.forgetting import forget_files
from pathcurate.tables import Catalog
from pathcurate.text import reportrow
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.kinds import is_name
from pathcurate.text.sitewords import load_words
from pathcurate.workspace import FilePattern, ReportSource, Site, Workspace

_IDENTITY = ("site", "accession", "report_type", "status", "reported_date", "patient_id")
_CONTENT = (*(name for name in GIVEN if name not in {*_IDENTITY, *TEXT_COLUMNS}), "attachment_count")
"""What may be mapped or corrected later, and what word lists make of a report: it is then the same report all the same."""
_READ = ("organ", *(column.name for column in VALUES), "rules_digest")
_WORD = re.compile(r"[^\W\d_]+")
# Such exports are folders of many small files, of which one that is damaged must not keep the others out.
_OF_MANY_FILES = frozenset({"hl7", "fhir", "cda", "text"})


def import_reports(
    workspace: Workspace,
    engine: Engine | None = None,
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``reports`` up to date with the configured sources, and ``diagnoses`` and ``ihc_results`` with their texts.

    A file that has not changed is not read again. What a changed file gives replaces what it gave before; other files' rows
    stay. A report that several files give is one row; one that has changed from one file to the next is two, in order. A
    file that two sources of a site name is read as the first of them says.

    Args:
        workspace: the workspace; the caller holds its lock.
        engine: reads what the reports say, if they are many; None reads them in this process.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source is in no format that is known, or its mapping does not fit.
    """
    words = _words(workspace)
    plans = _plans(workspace, words, files_of)
    configured = [plan.file for plan in plans.values()]
    catalog = Catalog(workspace.catalog)
    intake = _intake(Reader(catalog, words, engine), plans, read_forgotten(workspace.vault))
    chosen = choose(configured, only, "report") if only else None
    try:
        return import_files(catalog, intake, configured, chosen, progress=progress)
    except (InputOutputError, UsageError) as error:
        raise type(error)(_nameless(error.message, plans.values()), error.hint) from None


def forget_reports(workspace: Workspace, files: Collection[FileKey], engine: Engine | None = None) -> int:
    """Undo the import of report files; ``diagnoses`` and ``ihc_results`` follow.

    Args:
        workspace: the workspace; the caller holds its lock.
        files: the files, which need not be there any more.
        engine: as for an import.

    Returns:
        How many reports went.

    Raises:
        UsageError: one of them was not imported, or the last import was interrupted.
    """
    words = _words(workspace)
    plans = _plans(workspace, words, lambda pattern, *_: pattern.files())
    catalog = Catalog(workspace.catalog)
    intake = _intake(Reader(catalog, words, engine), plans, read_forgotten(workspace.vault))
    return forget_files(catalog, intake, files)


def _intake(reader: Reader, plans: "dict[FileKey, _Plan]", forgotten: Forgotten) -> Intake:
    def completed(table: pa.Table, before: pa.Table) -> pa.Table:
        return with_order(reader.read(_carried_over(_unread_if_new(table, before), before)))

    def look(catalog: Catalog) -> list[Finding]:
        found = [*same_numbers(catalog), *repeated_in_files(catalog, REPORTS), *changed_labels(catalog)]
        return [*(_without_names(finding, plans.values()) for finding in found), *reader.findings()]

    def append(catalog: Catalog, added: Added) -> list[Finding] | None:
        found = append_reports(catalog, reader, added, _carried_over)
        return None if found is None else [_without_names(finding, plans.values()) for finding in found]

    return Intake(
        REPORTS, "R", lambda file: plans[file.key].rows(), completed, look,
        frozenset({SAME_NUMBER, CHANGED_LABEL, "reports.repeated_in_file", *reader.rules}), (DIAGNOSES, IHC_RESULTS),
        forgotten, append,
    )  # fmt: skip


def _words(workspace: Workspace) -> dict[str, str]:
    """Words that sites add to the vocabularies, by site, as JSON."""
    named = {site.code: site.vocabulary for site in workspace.sites if site.vocabulary is not None}
    return {code: json.dumps(load_words(file), sort_keys=True) for code, file in named.items()}


@dataclass(frozen=True, slots=True)
class _Plan:
    """A file and how to read it."""

    file: SourceFile
    format: str
    mapping: Mapping
    patterns: AccessionPatterns

    def rows(self) -> Iterator[SourceRow | Finding]:
        """Rows and findings of the file.

        Raises:
            InputOutputError: it cannot be read.
            UsageError: it is no report export, unless it is one of many small files: then that is a finding.
        """
        path, parser_name = self.file.path, self.format
        try:
            parser = find_parser(self.format, path)
            parser_name = parser.NAME
            for item in parser.parse(path, self.file.site, self.patterns, self.mapping):
                if isinstance(item, Finding):
                    # The parser knows the file by its name alone, which two files may share.
                    subject = self.file.source_file + (item.subject or "").removeprefix(path.name)
                    yield replace(item, subject=subject, message=item.message.replace(path.name, self.file.shown))
                else:
                    yield _source_row(item)
        except PathcurateError as error:
            if parser_name not in _OF_MANY_FILES:
                raise
            what = error.message.replace(path.name, self.file.shown)
            yield Finding(
                "reports.file_refused", Severity.ERROR, f"{what}; nothing more of it was imported",
                stage="reports", site=self.file.site, table="reports", subject=self.file.source_file,
            )  # fmt: skip


def _plans(
    workspace: Workspace, words: dict[str, str], find: Callable[[FilePattern, str, str], list[Path]]
) -> dict[FileKey, _Plan]:
    plans: dict[FileKey, _Plan] = {}
    for site in workspace.sites:
        patterns = AccessionPatterns(site.accession.patterns)
        for source in site.reports:
            mapping = _mapping(source.mapping)
            read_as = _read_as(site, source, mapping, words.get(site.code))
            for number, path in enumerate(find(source.path, "report", site.code), start=1):
                # Where each report is a file, its name is often the case's number or the patient's name.
                is_told = bool(patterns.find(path.stem)) or any(map(is_name, _WORD.findall(path.stem)))
                shown = f"file {number} of {source.path.text}" if is_told else path.name
                file = SourceFile(site.code, path, os.path.relpath(path, workspace.root), read_as, shown)
                plans.setdefault(file.key, _Plan(file, source.format, mapping, patterns))
    return plans


def _nameless(message: str, plans: Iterable[_Plan]) -> str:
    """A message without the names of files that may be those of cases or patients."""
    files = (plan.file for plan in plans)
    hidden = {file.path.name: file.shown for file in files if file.shown != file.path.name}
    # S23-1.txt ends T-S23-1.txt too.
    for name in sorted(hidden, key=len, reverse=True):
        message = message.replace(name, hidden[name])
    return message


def _without_names(finding: Finding, plans: Iterable[_Plan]) -> Finding:
    files = frozenset((finding.subject or "").split(" and "))
    named = [plan for plan in plans if plan.file.source_file in files] if len(files) > 1 else ()
    return replace(finding, message=_nameless(finding.message, named)) if named else finding


def _mapping(path: Path | None) -> Mapping:
    return load_mapping(path, reportrow.COLUMNS) if path else Mapping()


def _read_as(site: Site, source: ReportSource, mapping: Mapping, words: str | None) -> str:
    parsers = [f"{parser.NAME} {getattr(parser, 'VERSION', 1)}" for parser in PARSERS]
    rules = [rules_digest(), words, *parsers, source.format, mapping.model_dump_json(), *site.accession.patterns]
    return digest(rules).hex()


def _source_row(row: dict[str, Any]) -> SourceRow:
    texts = [row.get(name) for name in TEXT_COLUMNS]
    said = hashlib.sha256(framed(texts)).hexdigest() if any(texts) else None
    if said is not None:
        about = framed([said, row.get("organ"), row.get("specimen_sites"), row["report_type"]])
        row["text_digest"] = "sha256:" + hashlib.sha256(about).hexdigest()
    identity = digest([said, *_plain(row, _IDENTITY)])
    return SourceRow(identity, digest([identity.hex(), *_plain(row, _CONTENT)]), row)


def _plain(row: dict[str, Any], names: Sequence[str]) -> list[str | None]:
    return [None if (value := row.get(name)) is None else str(value) for name in names]


def _carried_over(table: pa.Table, before: pa.Table) -> pa.Table:
    """What was read in a report's texts, where a row was imported again with texts and source's codes as they were."""
    place = pc.index_in(table["report_id"], before["report_id"].combine_chunks())
    same = _flags(pc.equal(table["text_digest"], before["text_digest"].take(place)))
    same &= _flags(pc.is_null(table["rules_digest"]))
    if not same.any():
        return table
    codes, earlier = table["source_codes"].to_pylist(), before["source_codes"].take(place).to_pylist()
    same &= np.array([(one or []) == (other or []) for one, other in zip(codes, earlier, strict=True)], np.bool_)
    rows = place.to_numpy(zero_copy_only=False)
    for name in _READ:
        read = same & np.array([name not in (one or ()) for one in codes], np.bool_)
        carried = pa.array(np.where(read, rows, 0), pa.int64(), mask=~read)
        at = table.schema.get_field_index(name)
        # By if_else, because coalesce joins no lists.
        values = pc.if_else(pa.array(read), before[name].take(carried), table[name])
        table = table.set_column(at, table.schema.field(at), values)
    return table


def _unread_if_new(table: pa.Table, before: pa.Table) -> pa.Table:
    """Rows without the digest of rules where the identifier is new, because no other table holds anything of it yet.

    A row of before gets another number, and so another identifier, if one of its identity comes that sorts before it.
    """
    is_known = pc.is_in(table["report_id"], value_set=before["report_id"].combine_chunks())
    at = table.schema.get_field_index("rules_digest")
    read_by = pc.if_else(is_known, table["rules_digest"], pa.scalar(None, pa.string()))
    return table.set_column(at, table.schema.field(at), read_by)


def _flags(values: "pa.ChunkedArray[Any] | pa.Array[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """A comparison's answers, a missing one being no."""
    return np.array([value is True for value in values.to_pylist()], np.bool_)
