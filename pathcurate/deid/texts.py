"""The texts of the reports that cohorts need, scrubbed: from the cache where nothing they are made of has changed.

A kernel finds what must go, without any key. Here, where the vault is, each place becomes a placeholder with internal codes
and days. ``manifest build`` and ``deliver`` render these in the codes and days of their own layer.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import placeholders
from pathcurate.deid.textrows import noted, removal_row, removed_digest, span_row, written_table
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.diagnosis import DIAGNOSES, REPORT_CONCEPTS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.person import IDENTITIES
from pathcurate.model.removal import Kind, Removal
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.text import REMOVALS, SCRUBBED_TEXTS, TEXT_REPORTS, TEXT_SPANS, TEXTS
from pathcurate.model.textreview import TEXT_REVIEWS, missed_texts
from pathcurate.profiles import load_profile
from pathcurate.pseudonyms import Layer
from pathcurate.relations import relation
from pathcurate.scrubbers.text import SiteRules, rules_digest
from pathcurate.scrubbers.text.kernel import REMOVALS_FOUND, Scrub, find_text_removals, lost_report
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog, arrow_schema, column_values, from_rows, read_metadata, read_parquet
from pathcurate.verification import SCHEME, demand_seal, demand_texts, read_text_seal
from pathcurate.workspace import Workspace

ALL = "*"
"""Stands for the texts of the whole archive, among names of cohorts."""
NONE = ""
"""Asks for no texts any more."""
_BATCH_ROWS = 500
_HELD_BACK = {
    "known": "an identifier that the catalog knows",
    "look": "what looks like an identifier",
    "reviewed": "what a reviewer says was missed",
}
_BETWEEN = "\nq\nq\nq\nq\nq\nq\n"
_COMMIT_TEXTS = 50_000
_KNOWN: dict[str, str] = {
    "names": "patient_name", "numbers": "patient_id", "ids": "id_number", "phones": "phone", "cases": "accession",
    "addresses": "address",
}  # fmt: skip
"""What is known of a report's person from all of the person's reports: field to column."""
_STAFF = ("submitting_doctor", "pathologist", "reviewer")
_INPUT = (
    "report_id", "site", "accession", "accession_raw", "accession_external", "language", "received_date", "reported_date",
    "birth_date", "submitting_unit", *_STAFF, *_KNOWN.values(), *TEXT_COLUMNS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextSummary:
    """What scrubbing texts did.

    Attributes:
        cohorts: the cohorts whose texts are there now; ``*`` for those of the archive.
        reports: their reports.
        scrubbed: reports that were scrubbed now, the others came from the cache.
        texts: texts.
        removals: places where something was removed, by kind.
        failed: reports whose texts could not be scrubbed; they are left out.
        withheld: texts that are left out because they still hold, or seem to hold, an identifier.
    """

    cohorts: tuple[str, ...]
    reports: int
    scrubbed: int
    texts: int
    removals: Mapping[str, int]
    failed: int
    withheld: int


@dataclass(frozen=True, slots=True)
class TextState:
    """How far texts are scrubbed.

    Attributes:
        cohorts: whose texts are there; ``*`` for those of the archive.
        texts: texts that are there.
        statuses: reports by status: ok, failed, withheld.
        is_current: whether they are what a run would make now.
        released: whether the profile lets releases have them.
    """

    cohorts: tuple[str, ...]
    texts: int
    statuses: Mapping[str, int]
    is_current: bool
    released: bool


def text_state(workspace: Workspace) -> TextState:
    """How far the workspace's texts are scrubbed.

    Raises:
        PlanIncompleteError: the seal on them is damaged.
        VaultError: the vault's key is there and cannot be used.
    """
    released = load_profile(workspace).texts.released
    seal = read_text_seal(workspace)
    if seal is None:
        return TextState((), 0, {}, is_current=False, released=released)
    directory = workspace.deid / "texts"
    states = column_values(read_parquet(directory / f"{TEXT_REPORTS.name}.parquet", ("status",)), "status")
    texts = read_metadata(directory / f"{TEXTS.name}.parquet").num_rows
    return TextState(seal.wanted, texts, dict(sorted(Counter(states).items())), _is_current(workspace), released)


def _is_current(workspace: Workspace) -> bool:
    try:
        demand_seal(workspace)
        demand_texts(workspace)
    except PlanIncompleteError:
        return False
    return True


def wanted_cohorts(workspace: Workspace, more: str | None) -> tuple[str, ...]:
    """Names of the cohorts whose texts are wanted: those of before that are still there, and one more.

    Args:
        workspace: the workspace.
        more: a cohort, :data:`ALL`, :data:`NONE` to want none any more, or None for those of before.

    Raises:
        PlanIncompleteError: there is no such cohort.
    """
    if more == NONE:
        return ()
    try:
        known = json.loads(_wanted_file(workspace).read_bytes())
    except (FileNotFoundError, ValueError):
        known = []
    before = [name for name in known if name == ALL or _cohort_file(workspace, name).is_file()]
    if more is not None and more != ALL and not _cohort_file(workspace, more).is_file():
        raise PlanIncompleteError(
            "there is no cohort of that name", "Select it with `pathcurate cohort RECIPE`; its name is that of the recipe."
        )
    return tuple(sorted({*before, *((more,) if more else ())}))


def remember_wanted(workspace: Workspace, cohorts: Sequence[str]) -> None:
    """Keep the names of the cohorts whose texts are wanted, whatever becomes of the texts."""
    private_directory(workspace.catalog)
    write_bytes(_wanted_file(workspace), json.dumps(list(cohorts)).encode(), mode=0o600)


def _wanted_file(workspace: Workspace) -> Path:
    return workspace.catalog / "texts_wanted.json"


def _cohort_file(workspace: Workspace, name: str) -> Path:
    return workspace.cohorts / name / COHORT_FILE


def report_codes(catalog: Catalog, layer: Layer) -> pa.Table:
    """Every report of the catalog, ``report_id``, with its code in a layer, ``report_code``."""
    ids = catalog.read(REPORTS, columns=("report_id",))["report_id"]
    codes = layer.codes.code_array("R", ids)
    return pa.table([ids.combine_chunks(), codes], names=["report_id", "report_code"])


def members(workspace: Workspace, rows: pa.Table, cohorts: Sequence[str]) -> Any:
    """Which rows are of the cases of some cohorts; of a cohort of patients, of all their cases.

    Args:
        workspace: the workspace.
        rows: with ``case_id`` and ``patient_id``.
        cohorts: names of cohorts that are there.
    """
    chosen: Any = pa.chunked_array([pa.array([False] * rows.num_rows)])
    for name in cohorts:
        path = workspace.cohorts / name
        level = "patient_id" if _unit(path) == "patient" else "case_id"
        selected = pc.unique(read_parquet(path / "cohort.parquet", (level,))[level]).drop_null()
        chosen = pc.or_(chosen, pc.is_in(rows[level], value_set=selected))
    return chosen


def _unit(cohort: Path) -> str | None:
    try:
        facts: dict[str, Any] = dict(json.loads((cohort / COHORT_FILE).read_bytes()))
        return facts.get("unit")
    except (OSError, ValueError, TypeError):
        raise InputOutputError(
            f"{COHORT_FILE} of cohort {cohort.name}, whose texts are wanted, cannot be read",
            f"Remove cohorts/{cohort.name}, and run `pathcurate cohort` for it again.",
        ) from None


class TextScrubbing:
    """One run over the texts that are wanted.

    Args:
        workspace: the workspace, whose tables were de-identified just now.
        engine: runs the kernel and SQL.
        layer: the internal layer.
        key: fingerprint of the vault's key.
        rules: the rules of each site.
        identifiers: all that the catalog knows; no text that holds one is shown.
    """

    def __init__(
        self, workspace: Workspace, engine: Engine, layer: Layer, key: str, rules: Sequence[SiteRules],
        identifiers: Identifiers,
    ) -> None:  # fmt: skip
        self._workspace, self._engine, self._layer, self._key = workspace, engine, layer, key
        self._catalog = Catalog(workspace.catalog)
        self._rules = tuple(rules)
        self._identifiers = identifiers
        self._digests = {rule.site: rules_digest(rule) for rule in rules}
        self._current: dict[str, str] = {}
        self.findings: list[Finding] = []

    def run(self, cohorts: Sequence[str], progress: Callable[[int, int], None]) -> TextSummary:
        """Scrub what is not in the cache, and write the tables of ``deid/texts/``.

        Args:
            cohorts: what is wanted, as :func:`wanted_cohorts` gives it.
            progress: called with the number of reports looked at, and of all.
        """
        reports = self._wanted(cohorts)
        self._engine.view("wanted_reports", reports)
        failed, scrubbed = self._fill_cache(reports.num_rows, progress)
        return self._write(cohorts, failed, scrubbed)

    def _wanted(self, cohorts: Sequence[str]) -> pa.Table:
        """The reports: identifier in the catalog, codes of report, case, patient and group."""
        names = ("report_id", "case_id", "patient_id", "group_id", "language")
        shown = read_parquet(self._workspace.deid / "reports.parquet", names)
        if ALL not in cohorts:
            shown = shown.filter(members(self._workspace, shown, cohorts))
        known = report_codes(self._catalog, self._layer)
        place = pc.index_in(shown["report_id"], value_set=known["report_code"].combine_chunks())
        renamed = shown.rename_columns(["report_code", *names[1:]])
        return renamed.append_column("report_id", known["report_id"].take(place))

    def _fill_cache(self, total: int, progress: Callable[[int, int], None]) -> tuple[dict[str, str], int]:
        """Scrub what is new or has changed; gives the reports that failed with the reason, and how many were scrubbed."""
        cached = self._cached()
        failed: dict[str, str] = {}
        rows: list[dict[str, Any]] = []
        scrubbed = done = 0
        waiting: dict[str, _Report] = {}

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal done
            for batch in self._inputs():
                reports = [self._report(row) for row in batch.to_pylist()]
                self._current.update((report.report_id, report.made_of) for report in reports)
                fresh = [
                    report for report in reports
                    if report.texts and (report.report_id, report.made_of, len(report.texts)) not in cached
                ]  # fmt: skip
                done += batch.num_rows
                progress(done, total)
                waiting.update((report.report_id, report) for report in fresh)
                if fresh:
                    yield pa.RecordBatch.from_pylist([report.row for report in fresh])

        spec = Scrub(self._rules)
        found = self._engine.run(find_text_removals, batches(), spec, REMOVALS_FOUND, on_crash=lost_report)
        for batch in found:
            for result in batch.to_pylist():
                report = waiting.pop(result["report_id"])
                scrubbed += 1
                if result["error"] is not None:
                    failed[report.report_id] = result["error"]
                    del self._current[report.report_id]
                    continue
                rows += self._assembled(report, result["removals"], set(result["suspicious"]))
            if len(rows) >= _COMMIT_TEXTS:
                self._keep(rows)
                rows = []
        self._keep(rows)
        self.findings += [_not_scrubbed(report, failed[report]) for report in sorted(failed)]
        return failed, scrubbed

    def _cached(self) -> set[tuple[str, str, int]]:
        """Reports with what their cached texts are made of, and how many are made of that."""
        # A report that lost a text and has it again: what is left of before is not all of its texts.
        source = relation(self._engine, self._catalog, SCRUBBED_TEXTS, ("report_id", "made_of"))
        sql = f"SELECT report_id, made_of, count(*) FROM {source} SEMI JOIN wanted_reports USING (report_id) GROUP BY 1, 2"
        return {(report_id, made_of, count) for report_id, made_of, count in self._engine.rows(sql)}

    def _inputs(self) -> Iterator[pa.RecordBatch]:
        """The wanted reports with what is known of their persons, in batches."""
        numbers = relation(self._engine, self._catalog, IDENTITIES, ("site", "id_type", "id_value", "person_id"))
        self._engine.view("case_persons", self._engine.table(
            f"SELECT site, id_value AS accession, person_id FROM {numbers} WHERE id_type = 'accession'"
        ))  # fmt: skip
        source = relation(self._engine, self._catalog, REPORTS, _INPUT)
        of_person = ", ".join(f"list(DISTINCT r.{column}) AS known_{field}" for field, column in _KNOWN.items())
        sql = (
            f"WITH r AS (SELECT * FROM {source}), "
            "p AS (SELECT r.*, c.person_id FROM r JOIN case_persons c USING (site, accession)), "
            "wanted_persons AS (SELECT DISTINCT p.person_id FROM p SEMI JOIN wanted_reports USING (report_id)), "
            f"known AS (SELECT r.person_id, {of_person} FROM p r SEMI JOIN wanted_persons USING (person_id) GROUP BY 1) "
            "SELECT p.* EXCLUDE (person_id), known.* EXCLUDE (person_id), "
            "w.patient_id AS patient_code, w.case_id AS case_code "
            "FROM p JOIN wanted_reports w USING (report_id) JOIN known USING (person_id)"
        )
        for batch in self._engine.batches(sql):
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                yield batch.slice(start, _BATCH_ROWS)

    def _report(self, row: Mapping[str, Any]) -> "_Report":
        return _Report.of(row, self._digests.get(row["site"], ""), self._key)

    def _assembled(
        self, report: "_Report", removals: Iterable[Mapping[str, Any]], suspicious: Collection[str]
    ) -> Iterator[dict[str, Any]]:
        """Rows of the cache for one report."""
        found: dict[str, list[Removal]] = {}
        for item in removals:
            place = Removal(item["start"], item["end"], Kind(item["kind"]), item["rule"], item["value"], item["form"])
            found.setdefault(item["text_column"], []).append(place)
        encode = placeholders.encoder(
            self._layer, report.patient_code, site=report.site, own_numbers=report.row["known"]["numbers"]
        )
        for name, text in report.texts.items():
            whole = placeholders.assemble(text, found.get(name, []), encode)
            yield {
                "report_id": report.report_id, "text_column": name, "made_of": report.made_of, "text": whole.text,
                "is_suspicious": name in suspicious, "removals": json.dumps(noted(found.get(name, []), whole)),
            }  # fmt: skip

    def _keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._catalog.upsert(SCRUBBED_TEXTS, from_rows(SCRUBBED_TEXTS, rows))

    def _write(self, cohorts: Sequence[str], failed: Collection[str], scrubbed: int) -> TextSummary:
        folder = self._workspace.deid / "texts"
        folder.mkdir(parents=True, exist_ok=True)
        self._engine.view("scrubbed_now", _made_of(self._current))
        columns = ("report_id", "text_column", "made_of", "text", "is_suspicious", "removals")
        cache = relation(self._engine, self._catalog, SCRUBBED_TEXTS, columns)
        # A text that its report has lost since is in the cache still, made of what was there then.
        good = f"(SELECT * FROM {cache} SEMI JOIN scrubbed_now USING (report_id, made_of))"
        sql = (
            "SELECT w.report_code AS report_id, t.text_column, w.case_id, w.patient_id, w.group_id, w.language, t.text, "
            f"t.removals, t.is_suspicious, w.report_id AS known_as FROM {good} t "
            "JOIN wanted_reports w USING (report_id) ORDER BY ALL"
        )
        missed = missed_texts(self._catalog.read(TEXT_REVIEWS).to_pylist())
        kinds: Counter[str] = Counter()
        texts = 0
        withheld: list[tuple[str, str, str]] = []
        with written_table(folder, TEXTS) as write_texts, written_table(folder, REMOVALS) as write_removals:
            for batch in self._engine.batches(sql):
                rows = batch.to_pylist()
                leaking = self._leaking([row["text"] for row in rows])
                why = [_why(row, missed, is_leaking=index in leaking) for index, row in enumerate(rows)]
                withheld += [(row["report_id"], row["text_column"], of) for row, of in zip(rows, why, strict=True) if of]
                shown = [(row, json.loads(row["removals"])) for row, of in zip(rows, why, strict=True) if not of]
                write_texts([{**row, "removal_count": len(places)} for row, places in shown])
                write_removals([removal_row(row, place) for row, places in shown for place in places])
                kinds.update(place[0] for _, places in shown for place in places)
                texts += len(shown)
        left_out = {"report_id": [place[0] for place in withheld], "text_column": [place[1] for place in withheld]}
        self._engine.view(
            "withheld_texts", pa.table(left_out, schema=arrow_schema(TEXTS.select(("report_id", "text_column"))))
        )
        with written_table(folder, TEXT_SPANS) as write_spans:
            for batch in self._engine.batches(self._spans_sql(good)):
                write_spans([span for row in batch.to_pylist() if (span := span_row(row)) is not None])
        reports = self._engine.table("SELECT report_code, report_id FROM wanted_reports ORDER BY 1").to_pylist()
        self._tell(reports, withheld)
        states = {**dict.fromkeys((code for code, *_ in withheld), "withheld")}
        with written_table(folder, TEXT_REPORTS) as write_reports:
            write_reports([
                {"report_id": row["report_code"],
                 "status": "failed" if row["report_id"] in failed else states.get(row["report_code"], "ok")}
                for row in reports
            ])  # fmt: skip
        return TextSummary(
            tuple(cohorts), len(reports), scrubbed, texts, dict(sorted(kinds.items())), len(failed), len(withheld)
        )

    def _leaking(self, texts: Sequence[str]) -> set[int]:
        """Which of these texts hold an identifier that the catalog knows, of whomever."""
        # One search for all of them; no identifier has as many pieces as stand between two texts.
        ends = np.cumsum([len(text.encode("utf-16-le")) // 2 + len(_BETWEEN) for text in texts])
        hits = [hit.start for hit in self._identifiers.find(_BETWEEN.join(texts))]
        return set(np.searchsorted(ends, hits, side="right").tolist())

    def _tell(self, reports: Sequence[Mapping[str, str]], withheld: Sequence[tuple[str, str, str]]) -> None:
        """A finding for each text that is withheld."""
        ids = {row["report_code"]: row["report_id"] for row in reports}
        for code, column, why in withheld:
            self.findings.append(
                Finding(
                    "deid.text_withheld",
                    Severity.WARNING,
                    f"a text is left out because it still holds {_HELD_BACK[why]}",
                    stage="deid_texts",
                    table="reports",
                    column=column,
                    subject=ids[code],
                )
            )

    def _spans_sql(self, good: str) -> str:
        """Places of lines of diagnoses and of mentions of concepts, each with the removals of its text."""
        lines = relation(self._engine, self._catalog, DIAGNOSES, ("report_id", "ordinal", "text_column", "start", "end"))
        names = ("report_id", "concept", "concept_sha", "text_column", "start", "end")
        mentions = relation(self._engine, self._catalog, REPORT_CONCEPTS, names)
        both = (
            "SELECT report_id, text_column, 'diagnoses' AS source, CAST(ordinal AS VARCHAR) AS name, "
            f'CAST(NULL AS VARCHAR) AS concept_sha, start, "end" FROM {lines} UNION ALL '
            f"SELECT report_id, text_column, 'report_concepts', concept, concept_sha, start, \"end\" FROM {mentions}"
        )
        return (
            "SELECT w.report_code AS report_id, s.text_column, s.source, s.name, s.concept_sha, s.start, s.end, t.removals "
            f"FROM ({both}) s JOIN {good} t USING (report_id, text_column) JOIN wanted_reports w USING (report_id) "
            "ANTI JOIN withheld_texts h ON h.report_id = w.report_code AND h.text_column = s.text_column "
            "WHERE s.start IS NOT NULL AND s.end IS NOT NULL ORDER BY ALL"
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Report:
    """One report on its way to the kernel: identified, without a useful ``repr``.

    Attributes:
        report_id: in the catalog.
        site: its site.
        patient_code: internal code of its patient.
        made_of: digest of all that decides what its scrubbed texts are.
        row: what the kernel gets.
    """

    report_id: str
    site: str
    patient_code: str
    made_of: str
    row: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any], rules: str, key: str) -> "_Report":
        """From a row of the input."""
        known = {field: sorted({value for value in row[f"known_{field}"] if value}) for field in _KNOWN}
        known["cases"] = sorted({*known["cases"], *_given(row, "accession_raw", "accession_external")})
        known["staff"] = sorted({*_given(row, *_STAFF)})
        known["units"] = sorted({*_given(row, "submitting_unit")})
        birth = row["birth_date"]
        day = row["reported_date"] or row["received_date"]
        asked = {
            "report_id": row["report_id"], "site": row["site"], "language": row["language"],
            "year": day.year if day else None, "known": {**known, "birth": birth},
            **{name: row[name] for name in TEXT_COLUMNS},
        }  # fmt: skip
        told = {**asked, "known": {**known, "birth": birth.isoformat() if birth else None}}
        content = [told, rules, key, SCHEME, row["patient_code"], row["case_code"]]
        digest = hashlib.sha256(canonical_json(content)).hexdigest()
        return cls(row["report_id"], row["site"], row["patient_code"], digest, asked)

    @property
    def texts(self) -> dict[str, str]:
        """Its texts by column."""
        return {name: self.row[name] for name in TEXT_COLUMNS if self.row[name]}


def _given(row: Mapping[str, Any], *names: str) -> list[str]:
    return [row[name] for name in names if row[name]]


def _why(row: Mapping[str, Any], missed: Mapping[tuple[str, str], str | None], *, is_leaking: bool) -> str:
    """What keeps a text in the catalog; empty if nothing does."""
    if is_leaking:
        return "known"
    text = row["known_as"], row["text_column"]
    if text in missed:
        removed = removed_digest((start, end) for _, _, start, end, *_ in json.loads(row["removals"]))
        if missed[text] in {None, removed}:
            return "reviewed"
    return "look" if row["is_suspicious"] else ""


def _made_of(current: Mapping[str, str]) -> pa.Table:
    return pa.table({"report_id": pa.array(current.keys(), pa.string()), "made_of": pa.array(current.values(), pa.string())})


def _not_scrubbed(report: str, reason: str) -> Finding:
    return Finding(
        "deid.text_failed", Severity.ERROR,
        f"the texts of a report could not be scrubbed and are left out ({reason})", stage="deid_texts", table="reports",
        subject=report,
    )  # fmt: skip
