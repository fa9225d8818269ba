"""The answers of people about links, taken back from the CSV of a review sheet into decisions that are only ever added."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.delimited import read_sheet
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.engines import Engine
from pathcurate.errors import UsageError
from pathcurate.link.reviewsheet import HEADS
from pathcurate.model.column import Table
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.link import LINK_DECISIONS
from pathcurate.model.question import LINK_QUESTIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.waiver import is_plain
from pathcurate.relations import relation
from pathcurate.reviews import answer_rows, remove_expired
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns, fold
from pathcurate.vault import append_event
from pathcurate.workspace import Workspace

ANY_CASE: Final = "*"
"""In the column ``accession`` beside ``reject``: none of the cases that were shown, nor any other."""
_NEEDED: Final = ("sheet", "slide_id", "decision")
_GIVEN: Final = (*_NEEDED, "accession", "reviewer", "comment")
_WORDS: Final[Mapping[str, str]] = {
    word: decision
    for decision, words in {
        "confirm": ("confirm", "confirmed", "yes", "y", "true", "right", "是", "确认", "正确", "对", "√", "✓"),
        "reject": ("reject", "rejected", "no", "n", "false", "wrong", "否", "不是", "错误", "错", "不对", "×", "✗", "x"),
        "unsure": ("unsure", "unknown", "?", "不确定", "不清楚", "无法判断", "存疑"),
    }.items()
    for word in words
}
_ASKED: Final = "link_review_named"
_SAID: Final = ("decision", "accession")
_MICROSECOND: Final = timedelta(microseconds=1)
_DIGEST_START, _DIGEST_DIGITS = len("sha256:"), 32

Row = Mapping[str, Any]
Question = tuple[str, str]
CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken from a file of answers.

    Attributes:
        decisions: new decisions by kind.
        unchanged: answers that the same reviewer had given to the same question before.
        unanswered: rows without a decision.
        refused: rows that were not taken; ``findings`` says why.
        findings: one for each refused row.
        expired: folders of older reviews that were removed now.
    """

    decisions: Mapping[str, int]
    unchanged: int
    unanswered: int
    refused: int
    findings: tuple[Finding, ...]
    expired: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """One row of the file that answers a question which was asked."""

    number: int
    question: Row
    decision: str
    named: str
    reviewer: str
    comment: str

    @property
    def key(self) -> Question:
        return self.question["sheet"], self.question["slide_id"]


class _RefusedError(Exception):
    """A row that cannot be taken: the rule that it breaks, and what is wrong with it."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.what = what


def import_answers(
    workspace: Workspace, engine: Engine, file: Path, *, now: datetime, reviewer: str | None, actor: str
) -> Imported:
    """Add the decisions of a file of answers; a row that cannot be taken is refused and keeps no other out.

    ``confirm`` is for the case that ``accession`` names, else the proposed one. ``reject`` is for the proposed one; with
    ``*`` in ``accession``, or where none was proposed, for every case. A row counts only if its sheet had shown its slide.
    The same answers again add nothing; another answer of the same reviewer is a later decision.

    Only for whoever holds the lock on the workspace.

    Args:
        workspace: the workspace.
        engine: for SQL.
        file: CSV, or a workbook.
        now: the present, with its zone.
        reviewer: who decided, for rows that do not say it; None for whoever imports them.
        actor: who imports them.

    Raises:
        InputOutputError: the file or the catalog cannot be read.
        UsageError: the file is no table with the columns of a sheet, or answers no sheet of this workspace.
    """
    catalog = Catalog(workspace.catalog)
    given = read_sheet(file, expected=HEADS)
    rows = list(answer_rows(given, _NEEDED, _GIVEN))
    questions = _of_sheets(catalog, LINK_QUESTIONS, {row["sheet"] for _, row in rows})
    asked = {(row["sheet"], row["slide_id"]): row for row in questions}
    if not asked:
        raise UsageError(
            f"{file.name} answers no review that this workspace exported",
            "Give the CSV of a sheet, with its columns sheet and slide_id as they were.",
        )
    answers, findings = _answers(rows, asked, reviewer or actor)
    unanswered = len(rows) - len(answers) - len(findings)
    findings += [_finding(number, "link.review_misfit", "cells that do not fit the heads") for number in given.misfits]
    cases = _Cases(workspace, engine, catalog, answers)
    taken = []
    for answer in answers:
        try:
            taken.append((answer, _case(answer, cases)))
        except _RefusedError as refused:
            findings.append(_finding(answer.number, refused.rule, refused.what, answer.question["site"]))
    taken, contradictory = _agreed(taken)
    findings += contradictory
    new = _new(catalog, taken, now)
    if new:
        catalog.upsert(LINK_DECISIONS, from_rows(LINK_DECISIONS, new), only_adds=True)
    findings.sort(key=lambda finding: int((finding.subject or "row 0").removeprefix("row ")))
    decisions = Counter(str(row["decision"]) for row in new)
    unchanged = len(taken) - len(new)
    append_event(
        workspace.vault, actor, "link review import",
        {"decisions": len(new), "unchanged": unchanged, "unanswered": unanswered, "refused": len(findings),
         "version": __version__},
    )  # fmt: skip
    # Last, because the file may lie in a folder whose time is over.
    expired = remove_expired(workspace, now)
    return Imported(dict(decisions), unchanged, unanswered, len(findings), tuple(findings), expired)


def _of_sheets(catalog: Catalog, table: Table, sheets: Iterable[str]) -> list[Row]:
    """Rows of a table that belong to some sheets."""
    data = catalog.read(table)
    return list(data.filter(pc.is_in(data["sheet"], pa.array(sorted(sheets), pa.string()))).to_pylist())


def _answers(
    rows: Iterable[tuple[int, dict[str, str]]], asked: Mapping[Question, Row], whoever: str
) -> tuple[list[_Answer], list[Finding]]:
    """The rows with an answer to a question that was asked, and what is wrong with others; rows without one are left out."""
    answers, findings = [], []
    for number, row in rows:
        question = asked.get((row["sheet"], row["slide_id"]))
        word = unicodedata.normalize("NFKC", row["decision"]).strip().strip(".。!！").casefold()
        reviewer = row["reviewer"] or whoever
        if question is None:
            # Said of unanswered rows too: whoever sends a slide that nobody was shown should know it.
            what = "a slide that its sheet did not show, or a sheet that this workspace did not export"
            findings.append(_finding(number, "link.review_unknown", what))
        elif not word and not row["accession"]:
            continue
        elif word not in _WORDS:
            what = "no decision that is known: confirm, reject or unsure"
            findings.append(_finding(number, "link.review_word", what, question["site"]))
        elif not is_plain(reviewer):
            what = "a reviewer's name that is not one line of text"
            findings.append(_finding(number, "link.review_reviewer", what, question["site"]))
        else:
            answers.append(_Answer(number, question, _WORDS[word], row["accession"], reviewer, row["comment"]))
    return answers, findings


def _finding(number: int, rule: str, what: str, site: str | None = None) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} has {what}; it was not taken",
        stage="link", site=site, table="link_decisions", subject=f"row {number}",
    )  # fmt: skip


# --- Which case ----------------------------------------------------------------------------------------------------


class _Cases:
    """Cases that answers name and that the reports have."""

    def __init__(self, workspace: Workspace, engine: Engine, catalog: Catalog, answers: Sequence[_Answer]) -> None:
        self._patterns = {site.code: AccessionPatterns(site.accession.patterns) for site in workspace.sites}
        named = sorted({
            (str(answer.question["site"]), text)
            for answer in answers
            if answer.decision != "unsure"
            for text in self._spellings(answer.question["site"], answer.named or answer.question["accession"] or "")
        })  # fmt: skip
        engine.view(_ASKED, pa.table({
            "site": pa.array([site for site, _ in named], pa.string()),
            "accession": pa.array([text for _, text in named], pa.string()),
        }))  # fmt: skip
        known = relation(engine, catalog, REPORTS, ("site", "accession"))
        self._known = {
            (str(site), str(accession))
            for site, accession in engine.rows(
                f"SELECT DISTINCT n.site, n.accession FROM {known} t JOIN {_ASKED} n "
                "ON t.site = n.site AND t.accession = n.accession"
            )
        }

    def _spellings(self, site: str, text: str) -> list[str]:
        """What a number may be in the table of reports: as it was written, or as the site's patterns read it."""
        patterns = self._patterns.get(site)
        read = [patterns.normalise(text), *(key.key for key in patterns.find(text))] if patterns and text else []
        return list(dict.fromkeys(spelling for spelling in (text, fold(text).strip(), *read) if spelling))

    def find(self, site: str, text: str) -> str:
        """The case of a site that a text names.

        Raises:
            _RefusedError: it names none that the reports have, or two.
        """
        found = [spelling for spelling in self._spellings(site, text) if (site, spelling) in self._known]
        if len(found) != 1:
            what = "a case that no report of its site has" if not found else "a number that may be that of two cases"
            raise _RefusedError("link.review_case", what)
        return found[0]


def _case(answer: _Answer, cases: _Cases) -> str | None:
    """The case that a decision is about; None for every case, and for ``unsure``."""
    site, proposed = answer.question["site"], answer.question["accession"]
    if answer.decision == "unsure":
        return None
    if answer.decision == "confirm":
        if not (answer.named or proposed):
            raise _RefusedError("link.review_case", "a case confirmed where none was proposed, and names none")
        return cases.find(site, answer.named or proposed)
    if unicodedata.normalize("NFKC", answer.named) == ANY_CASE or (not answer.named and proposed is None):
        return None
    # "reject" beside another case than the proposed one may mean either of two things.
    if answer.named and (proposed is None or cases.find(site, answer.named) != proposed):
        raise _RefusedError("link.review_other_case", "another case beside reject; write confirm if that case is right")
    return str(proposed)


def _agreed(
    taken: Sequence[tuple[_Answer, str | None]],
) -> tuple[list[tuple[_Answer, str | None]], list[Finding]]:
    """One answer of each reviewer to each question; where a file holds several that differ, none is taken."""
    groups: dict[tuple[Question, str], list[tuple[_Answer, str | None]]] = defaultdict(list)
    for answer, accession in taken:
        groups[answer.key, answer.reviewer].append((answer, accession))
    agreed, findings = [], []
    for members in groups.values():
        if len({(answer.decision, accession) for answer, accession in members}) == 1:
            agreed.append(members[0])
            continue
        for answer, _ in members:
            what = "another answer than another row has for the same slide"
            findings.append(_finding(answer.number, "link.review_contradiction", what, answer.question["site"]))
    return agreed, findings


# --- Decisions -----------------------------------------------------------------------------------------------------


def _new(catalog: Catalog, taken: Sequence[tuple[_Answer, str | None]], now: datetime) -> list[Row]:
    """Rows of ``link_decisions`` for the answers that are not the last ones of their reviewer to their question."""
    before: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in sorted(catalog.read(LINK_DECISIONS).to_pylist(), key=lambda row: (row["decided_at"], row["decision_id"])):
        before[row["sheet"], row["slide_id"], row["reviewer"]].append(row)
    latest = max((row["decided_at"] for rows in before.values() for row in rows), default=datetime.min)
    # Later than every decision before it, also where the clock was put back; rows of one file keep their order.
    moment = max(now.astimezone(UTC).replace(tzinfo=None), latest + _MICROSECOND)
    rows: list[Row] = []
    for answer, accession in taken:
        earlier = before[(*answer.key, answer.reviewer)]
        said = {"decision": answer.decision, "accession": accession}
        if earlier and all(earlier[-1][name] == said[name] for name in _SAID):
            continue
        # With the count of earlier answers: a mind that was changed and changed back is three decisions.
        content = canonical_json([*answer.key, answer.reviewer, answer.decision, accession, len(earlier)])
        asked = {name: answer.question[name] for name in ("sheet", "slide_id", "site", "report_id", "tier", "rule_set_sha")}
        rows.append({
            **asked, **said, "decision_id": sha256_text(content)[_DIGEST_START:][:_DIGEST_DIGITS],
            "proposed_accession": answer.question["accession"], "purpose": answer.question["purpose"],
            "reviewer": answer.reviewer, "comment": answer.comment or None,
            "decided_at": moment + len(rows) * _MICROSECOND,
        })  # fmt: skip
    return rows
