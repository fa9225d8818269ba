"""Stage: report sources become the ``reports`` table."""

import hashlib
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.delimited import Sheet, shown_head
from pathcurate.digests import canonical_json
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings, record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import PARSERS, lis
from pathcurate.pseudonyms import opaque_code
from pathcurate.tables import Catalog, from_rows
from pathcurate.text import reportrow
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.kinds import kind
from pathcurate.workspace import Mapping, ReportSource, Site, Workspace, load_mapping

_HEAD_BYTES = 4096
_SAME_NUMBER = "reports.same_number"
_PLAIN = re.compile(r"[^\W\d]\w*")
_YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        files: files read.
        rows: rows imported from them.
        total: rows of the table afterwards.
        findings: what was found.
    """

    files: int
    rows: int
    total: int
    findings: tuple[Finding, ...]


def import_reports(
    workspace: Workspace, *, only: Sequence[Path] = (), progress: Callable[[int, int], None] = lambda done, total: None
) -> ImportSummary:
    """Import the configured report sources.

    A file's rows replace those that came from it before, also when it has none any more; other files' rows stay. A file
    that two sources of a site name is read as the first of them says.

    Args:
        workspace: the workspace.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files read and of files to read.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source is in no format that is known, or its mapping does not fit.
    """
    chosen = _chosen_files(workspace, only)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for number, (site, source, path) in enumerate(chosen, start=1):
        found = _read_file(site, source, path, _source_file(workspace, path))
        progress(number, len(chosen))
        rows += found[0]
        findings += found[1]
    catalog = Catalog(workspace.catalog)
    read = {(site.code, _source_file(workspace, path)) for site, _, path in chosen}
    # Importing everything leaves only what is configured: a source that was taken out takes its rows with it.
    before = catalog.read(REPORTS) if only else from_rows(REPORTS, ())
    table = _with_current(_replace_sources(before, from_rows(REPORTS, rows), read))
    catalog.replace(REPORTS, table)
    # Over the whole table: the second report with a number may stand in another file.
    findings += _same_numbers(table)
    others = [finding for finding in read_findings(catalog, "reports") if only and not _is_about(finding, read)]
    others = [finding for finding in others if finding.rule != _SAME_NUMBER]
    record_findings(catalog, "reports", [*others, *findings])
    return ImportSummary(len(chosen), len(rows), table.num_rows, tuple(findings))


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file's columns seem to be.

    Attributes:
        rows: rows of the file.
        encoding: its encoding; None for a workbook.
        columns: our columns to the heads that are imported into them.
        open_columns: number of columns that are not imported.
        mapping: text of a mapping file that says the same; no cell of the file is in it.
    """

    rows: int
    encoding: str | None
    columns: dict[str, tuple[str, ...]]
    open_columns: int
    mapping: str


def guess_mapping(path: Path, *, encoding: str | None = None, sheet: str | None = None) -> Guess:
    """How a file that nobody has described names things, as a mapping file to edit.

    Args:
        path: the file; it need not be configured.
        encoding: Python's name of its encoding; detected if None.
        sheet: name of the sheet of a workbook.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it is no table.
    """
    _parser(ReportSource.model_construct(format="auto"), path)
    mapping = Mapping.model_construct(encoding=encoding, sheet=sheet)
    table = lis.read_mapped(path, mapping)
    heads = resolve("reports", table.heads, {}, path.name)
    lies = lis.lying_heads(table, heads, mapping)
    heads = lis.without(heads, lies)
    lines = [
        f"# How {_quoted(path.name)} names things; {len(table.rows):,} rows below the heads in row {table.head_row}.",
        "# Correct it, and name it as `mapping` of the report source in pathcurate.yaml.",
        *([f"encoding: {table.encoding}"] if table.encoding else ["# A workbook needs no encoding."]),
        *([f"sheet: {_quoted(sheet)}"] if sheet else []),
        "columns:" if heads.columns else "columns: {}",
        *_imported_lines(heads),
        *_open_lines(table, heads, lies),
        *_values_lines(table, heads),
    ]
    return Guess(
        len(table.rows), table.encoding, dict(heads.columns), len(heads.unknown) + len(lies) + len(table.unnamed),
        "".join(f"{line}\n" for line in lines),
    )  # fmt: skip


def _imported_lines(heads: Heads) -> Iterator[str]:
    if "accession" not in heads.columns:
        yield "  # Needed, and not found: the case number. Remove `{}` above.\n  # accession: HEAD"
    for name, chosen in heads.columns.items():
        quoted = [_quoted(head) for head in chosen]
        text = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
        initials = [head for head in chosen if head in heads.by_pinyin]
        yield f"  {name}: {text}  # {'by initials of a known head' if initials else 'known head'}"


def _open_lines(table: Sheet, heads: Heads, lies: dict[str, tuple[str, str]]) -> Iterator[str]:
    for head, (name, held) in lies.items():
        yield f"  # {name}: {_quoted(head)}  # not imported: the values are of another kind ({held})"
    for index in heads.unknown:
        shown = shown_head(table.heads, index)
        head = _quoted(table.heads[index]) if shown.startswith("`") else f"({shown})"
        by_values = _by_values(table, table.heads[index])
        yield f"  # COLUMN: {head}  # {heads.left_out.get(index, f'not known; {by_values}')}"
    for number in table.unnamed:
        yield f"  # column {number} has cells but no head"


def _by_values(table: Sheet, head: str) -> str:
    held = kind([row.cells[head] for row in table.rows])
    return f"{held} by its values" if held else "its values say nothing"


def _values_lines(table: Sheet, heads: Heads) -> Iterator[str]:
    """Stubs for columns with a closed set of values, in whose cells there is something else."""
    stubs = []
    for name, codes in reportrow.CODES.items():
        texts = [heads.cell(row.cells, name) for row in table.rows] if name in heads.columns else []
        count = sum(1 for text in texts if text and not reportrow.is_understood(name, text))
        if count:
            stubs.append(
                f"#   {name}: {{WHAT THE FILE WRITES: {codes[0]}}}  # {count:,} cells mean none of {', '.join(codes)}"
            )
    return iter(["# values:", *stubs] if stubs else [])


def _quoted(text: str) -> str:
    """A text as YAML, on one line whatever is in it."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _source_file(workspace: Workspace, path: Path) -> str:
    # Relative to the workspace, because 2023/reports.csv and 2024/reports.csv are two files.
    return os.path.relpath(path, workspace.root)


def _is_about(finding: Finding, sources: Collection[tuple[str, str]]) -> bool:
    subject = finding.subject or ""
    return any(
        finding.site == site and (subject == source or subject.startswith((f"{source} row ", f"{source} column ")))
        for site, source in sources
    )


def _chosen_files(workspace: Workspace, only: Sequence[Path]) -> list[tuple[Site, ReportSource, Path]]:
    first: dict[tuple[str, Path], tuple[Site, ReportSource, Path]] = {}
    for site in workspace.sites:
        for source in site.reports:
            for path in _files(site, source):
                first.setdefault((site.code, path), (site, source, path))
    configured = list(first.values())
    if not only:
        return configured
    wanted = {path.resolve() for path in only}
    chosen = [item for item in configured if item[2].resolve() in wanted]
    missing = wanted - {path.resolve() for _, _, path in chosen}
    if missing:
        raise UsageError(
            f"{min(missing).name} belongs to no report source of pathcurate.yaml",
            "Name it under `reports:` of its site, so that its site and mapping are known.",
        )
    return chosen


def _files(site: Site, source: ReportSource) -> list[Path]:
    found = source.path.files()
    if not found:
        raise InputOutputError(
            f"report source {source.path.text} of site {site.code}: no such file",
            "Correct `path` in pathcurate.yaml, or put the export there.",
        )
    return found


def _read_file(site: Site, source: ReportSource, path: Path, source_file: str) -> tuple[list[dict[str, Any]], list[Finding]]:
    mapping = load_mapping(source.mapping, reportrow.COLUMNS) if source.mapping else Mapping()
    parser = _parser(source, path)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    seen: set[bytes] = set()
    ordinals: Counter[tuple[str, str]] = Counter()
    for item in parser.parse(path, site.code, AccessionPatterns(site.accession.patterns), mapping):
        if isinstance(item, Finding):
            # The parser knows the file by its name alone, which two files may share.
            subject = source_file + (item.subject or "").removeprefix(path.name)
            findings.append(replace(item, subject=subject))
            continue
        item["source_file"] = source_file
        digest = _content_digest(item)
        if digest in seen:
            findings.append(_repeated(site.code, path.name, source_file, item["source_row"]))
            continue
        seen.add(digest)
        ordinals[item["accession"], item["report_type"]] += 1
        ordinal = ordinals[item["accession"], item["report_type"]]
        identity = [site.code, source_file, item["accession"], item["report_type"], ordinal]
        rows.append({**item, "report_id": opaque_code("R", hashlib.sha256(canonical_json(identity)).digest())})
    return rows, findings


def _same_numbers(table: pa.Table) -> list[Finding]:
    """Cases with several primary reports that stand: supplements are numbered alike by rule, primary reports are not."""
    names = ("report_id", "site", "accession", "report_type", "status", "is_current")
    cases: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in table.select(names).to_pylist():
        if row["report_type"] == "primary" and row["status"] != "withdrawn":
            cases.setdefault((row["site"], row["accession"]), []).append(row)
    return [
        Finding(
            _SAME_NUMBER, Severity.WARNING,
            f"{len(rows)} primary reports have one accession number; the latest stands for the case. Check the export",
            stage="reports", site=site, table="reports", column="accession",
            subject=next((row["report_id"] for row in rows if row["is_current"]), rows[0]["report_id"]), count=len(rows),
        )
        for (site, _), rows in sorted(cases.items())
        if len(rows) > 1
    ]  # fmt: skip


def _parser(source: ReportSource, path: Path) -> ModuleType:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    if not head:
        raise UsageError(f"{path.name} is empty", "Export it again, or take it out of pathcurate.yaml.")
    for parser in PARSERS:
        if source.format == parser.NAME or (source.format == "auto" and parser.detects(head)):
            return parser
    raise UsageError(f"{path.name} is in no report format that is known", "Export it as CSV or TSV with a head row.")


def _content_digest(report: dict[str, Any]) -> bytes:
    content = {name: str(value) for name, value in report.items() if name != "source_row" and value is not None}
    return hashlib.sha256(canonical_json(content)).digest()


def _repeated(site: str, name: str, source_file: str, row: int) -> Finding:
    return Finding(
        "reports.repeated_row", Severity.INFO, f"row {row} of {name} repeats an earlier row and was imported once",
        stage="reports", site=site, table="reports", subject=f"{source_file} row {row}",
    )  # fmt: skip


def _replace_sources(current: pa.Table, new: pa.Table, sources: Collection[tuple[str, str]]) -> pa.Table:
    kept = [
        pair not in sources for pair in zip(current["site"].to_pylist(), current["source_file"].to_pylist(), strict=True)
    ]
    merged = pa.concat_tables([current.filter(pa.array(kept, pa.bool_())), new])
    return merged.sort_by([("site", "ascending"), ("source_file", "ascending"), ("source_row", "ascending")])


def _with_current(table: pa.Table) -> pa.Table:
    """``is_current``: of each case and type, the latest final report, else the latest that is not withdrawn."""
    columns = ("report_id", "site", "accession", "report_type", "status", "reported_date", "source_row")
    rows = sorted(table.select(columns).to_pylist(), key=_case_and_type)
    current = set()
    for _, group in itertools.groupby(rows, key=_case_and_type):
        standing = [row for row in group if row["status"] != "withdrawn"]
        if standing:
            current.add(max(standing, key=_moment)["report_id"])
    flags = pc.is_in(table["report_id"], pa.array(sorted(current), pa.string()))
    return table.set_column(table.schema.get_field_index("is_current"), table.schema.field("is_current"), flags)


def _case_and_type(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["site"], row["accession"], row["report_type"]


def _moment(row: dict[str, Any]) -> tuple[bool, datetime, int, str]:
    return row["status"] == "final", row["reported_date"] or datetime.min, row["source_row"], row["report_id"]
