"""The answers of people about labels, taken back from the CSV of a review sheet."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pathcurate import __version__
from pathcurate.delimited import read_sheet
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import UsageError
from pathcurate.labels.drawing import current_recipe
from pathcurate.labels.quality import write_quality
from pathcurate.labels.review import HEADS, LABELS
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.labelreview import ANSWERS, LABEL_REVIEWS, NO_LABEL
from pathcurate.reviews import answer_rows, remove_expired
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import append_event
from pathcurate.workspace import Workspace

_NEEDED: Final = ("sheet", "item", "answer")
_MICROSECOND: Final = timedelta(microseconds=1)
_WORDS: Final = {
    word: answer
    for answer, words in {
        "right": ("正确", "对", "√", "✓", "ok", "yes"), "wrong": ("错误", "错", "×", "no"),
        "unsure": ("无法判断", "不确定", "cannot say", "?"),
    }.items()
    for word in (answer, *words)
}  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken from a file of answers.

    Attributes:
        cohort: the cohort whose labels it is about.
        answers: new answers by kind.
        unchanged: labels about which the same reviewer had said the same before.
        unanswered: rows without an answer.
        findings: one for each row that was not taken.
        expired: folders of older reviews that were removed now.
    """

    cohort: str
    answers: Mapping[str, int]
    unchanged: int
    unanswered: int
    findings: tuple[Finding, ...]
    expired: int


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """A row of the file that answers a question of its sheet."""

    number: int
    asked: Row
    said: str
    instead: str | None


def import_answers(workspace: Workspace, file: Path, *, now: datetime, reviewer: str | None, actor: str) -> Imported:
    """Add the answers of a file, and measure the cohort's labels anew; a row that cannot be taken keeps no other out.

    The same answers again add nothing; another answer of the same reviewer is a later one, and counts from then on.

    Only for whoever holds the lock on the workspace.

    Args:
        workspace: the workspace.
        file: CSV, or a workbook.
        now: the present, with its zone.
        reviewer: who answered; None for whoever imports.
        actor: who imports.

    Raises:
        InputOutputError: the file or the catalog cannot be read.
        UsageError: the file is no table with the columns of a sheet, answers no open review of this workspace, or one of a
            cohort that was selected by another recipe since.
    """
    given = read_sheet(file, expected=HEADS)
    rows = list(answer_rows(given, _NEEDED, HEADS))
    # The commonest: a row of another sheet is refused, but a file without any row of one is none.
    sheet = Counter(row["sheet"] for _, row in rows).most_common(1)[0][0] if rows else ""
    asked = LABELS.read(workspace, sheet, now)
    cohort, sha256 = asked["cohort"], asked["recipe_sha256"]
    if current_recipe(workspace, cohort)[1] != sha256:
        raise UsageError(
            "the cohort was selected by another recipe since that review was exported, so its labels are others",
            f"Export a new one with `pathcurate labels review export {cohort}`.",
        )
    items = {row["item"]: row for row in asked["items"]}
    answers, findings = _answers(rows, sheet, items)
    unanswered = len(rows) - len(answers) - len(findings)
    findings += [_finding(number, "labels.review_misfit", "cells that do not fit the heads") for number in given.misfits]
    answers, torn = _agreed(answers)
    findings += torn
    catalog = Catalog(workspace.catalog)
    common = {"cohort": cohort, "recipe_sha256": sha256, "sheet": sheet, "reviewer": reviewer or actor}
    new = _new(catalog, answers, common, now)
    if new:
        catalog.upsert(LABEL_REVIEWS, from_rows(LABEL_REVIEWS, new), only_adds=True)
    write_quality(workspace, cohort)
    counts = dict(Counter(str(row["answer"]) for row in new))
    append_event(
        workspace.vault, actor, "labels review import",
        {"cohort": cohort, "answers": len(new), "unchanged": len(answers) - len(new), "unanswered": unanswered,
         "refused": len(findings), "version": __version__},
    )  # fmt: skip
    findings.sort(key=lambda finding: int(str(finding.subject).partition(" ")[2]))
    # Last, because the file may lie in a folder whose time is over.
    expired = remove_expired(workspace, now)
    return Imported(cohort, counts, len(answers) - len(new), unanswered, tuple(findings), expired)


def _answers(
    rows: Iterable[tuple[int, Mapping[str, str]]], sheet: str, items: Mapping[str, Row]
) -> tuple[list[_Answer], list[Finding]]:
    """The rows with an answer to a question that was asked, and what is wrong with others; rows without one are left out."""
    answers, findings = [], []
    for number, row in rows:
        asked = items.get(row["item"])
        word = unicodedata.normalize("NFKC", row["answer"]).strip().strip(".。!！").casefold()
        said, instead = _WORDS.get(word), row["instead"].strip()
        if row["sheet"] != sheet or asked is None:
            # Said of unanswered rows too: whoever sends a label that nobody was shown should know it.
            what = "an item that its sheet did not show, or another sheet"
            findings.append(_finding(number, "labels.review_unknown", what))
        elif (row["label"] and row["label"] != asked["label"]) or (row["value"] and row["value"] != _value(asked)):
            findings.append(_finding(number, "labels.review_other_label", "another label than its item had on the sheet"))
        elif not word:
            continue
        elif said is None:
            findings.append(_finding(number, "labels.review_word", f"no answer that is known: {', '.join(ANSWERS)}"))
        elif instead and (said != "wrong" or instead not in asked["options"]):
            what = "something below `instead` that the label cannot be, or that does not go with its answer"
            findings.append(_finding(number, "labels.review_instead", what))
        else:
            answers.append(_Answer(number, asked, said, instead or None))
    return answers, findings


def _value(asked: Row) -> str:
    return NO_LABEL if asked["value"] is None else str(asked["value"])


def _finding(number: int, rule: str, what: str) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} has {what}; it was not taken",
        stage="labels", table=LABEL_REVIEWS.name, subject=f"row {number}",
    )  # fmt: skip


def _agreed(answers: Iterable[_Answer]) -> tuple[list[_Answer], list[Finding]]:
    """One answer about each label; where a file holds several that differ, none is taken."""
    by_item: dict[str, list[_Answer]] = defaultdict(list)
    for answer in answers:
        by_item[answer.asked["item"]].append(answer)
    agreed, findings = [], []
    for group in by_item.values():
        if len({(answer.said, answer.instead) for answer in group}) == 1:
            agreed.append(group[0])
        else:
            what = "another answer than another row has for the same label"
            findings += [_finding(answer.number, "labels.review_contradiction", what) for answer in group]
    return agreed, findings


def _new(catalog: Catalog, answers: Sequence[_Answer], common: Mapping[str, str], now: datetime) -> list[Row]:
    """Rows for the answers that are not the last ones of their reviewer to their question."""
    before: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    known = sorted(catalog.read(LABEL_REVIEWS).to_pylist(), key=lambda row: (row["reviewed_at"], row["review_id"]))
    for row in known:
        before[_question(row)].append(row)
    latest = max((row["reviewed_at"] for row in known), default=datetime.min)
    # Later than every answer before it, also where the clock was put back.
    moment = max(now.astimezone(UTC).replace(tzinfo=None), latest + _MICROSECOND)
    rows: list[Row] = []
    for answer in answers:
        names = ("label", "unit_id", "site", "report_id", "value", "purpose")
        row = {**common, **{name: answer.asked[name] for name in names}, "answer": answer.said, "instead": answer.instead}
        earlier = before[_question(row)]
        if earlier and all(earlier[-1][name] == row[name] for name in ("answer", "instead")):
            continue
        # With the count of earlier answers: a mind that was changed and changed back is three of them.
        content = canonical_json([*_question(row), answer.said, answer.instead, len(earlier)])
        rows.append({**row, "review_id": sha256_text(content).removeprefix("sha256:")[:32],
                     "reviewed_at": moment + len(rows) * _MICROSECOND})  # fmt: skip
    return rows


def _question(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("sheet", "label", "unit_id", "value", "reviewer"))
