"""The answers of people about scrubbed texts, taken back from the CSV of a review sheet."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pathcurate import __version__
from pathcurate.deid.review import HEADS, Asked, read_asked, read_quality
from pathcurate.deid.reviewdraw import is_word
from pathcurate.deid.texts import ALL
from pathcurate.delimited import read_sheet
from pathcurate.engines import Engine
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.text import DECISIONS, SCRUBBED_TEXTS, TEXT_DECISIONS
from pathcurate.model.textreview import TEXT_REVIEWS, TextQuality
from pathcurate.relations import relation
from pathcurate.reviews import answer_rows, remove_expired
from pathcurate.scrubbers.text.merging import occurrences
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.folding import half_width
from pathcurate.vault import append_event
from pathcurate.verification import read_text_seal
from pathcurate.workspace import Workspace

_NEEDED: Final = ("sheet", "item", "answer")
_GIVEN: Final = (*_NEEDED, "word")


def _by_word(words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {word: meaning for meaning, spellings in words.items() for word in (meaning, *spellings)}


_DECISIONS: Final = _by_word({
    "remove": ("删除", "删", "去除"), "keep": ("保留", "留"), "hospital": ("本院", "医院", "our hospital"),
    "staff": ("本院人员", "医务人员", "职工", "our staff"), "nothing": ("不处理", "无"),
})  # fmt: skip
_VERDICTS: Final = _by_word({
    "right": ("全部正确", "正确", "对", "√", "✓", "ok", "yes"), "missed": ("有遗漏", "遗漏", "漏"),
    "wrong": ("有误删", "误删"), "both": ("两者都有", "missed wrong", "wrong missed"),
})  # fmt: skip
_ASKED: Final = "text_review_asked"
_BRACKETS: Final = "「」"

Row = Mapping[str, Any]
Word = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken from a file of answers.

    Attributes:
        decisions: new decisions about words, by kind.
        unchanged: words about which the same was decided before.
        reviewed: texts that were said to be right, or what is wrong with them.
        refused: rows that were not taken; ``findings`` says why.
        stale: scrubbed texts of the sites with new decisions, at most: they must be scrubbed again.
        cohort: a cohort whose texts were scrubbed: asking for them again brings those of all others up to date too.
        findings: one for each refused row.
        expired: folders of older reviews that were removed now.
        quality: what all reviews say of this version, None if there are none.
    """

    decisions: Mapping[str, int]
    unchanged: int
    reviewed: int
    refused: int
    stale: int
    cohort: str
    findings: tuple[Finding, ...]
    expired: int
    quality: TextQuality | None


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    """A row of the file: about a word, or about a text."""

    number: int
    item: str
    site: str
    word: str
    said: str


def import_answers(workspace: Workspace, engine: Engine, file: Path, *, now: datetime, actor: str) -> Imported:
    """Take the answers of a file; a row that cannot be taken is refused and keeps no other out.

    A row about a word (``W…``) decides about it for all texts of its site; a later decision wins. A row about a text
    (``T…``) says whether it is right; with a word in it, that this word was missed there and what is to become of it.

    Only for whoever holds the lock on the workspace.

    Args:
        workspace: the workspace.
        engine: for SQL.
        file: CSV, or a workbook.
        now: the present, with its zone.
        actor: who imports, and so who decided.

    Raises:
        InputOutputError: the file or the catalog cannot be read.
        UsageError: the file is no table with the columns of a sheet, or answers no open review of this workspace.
    """
    catalog = Catalog(workspace.catalog)
    given = read_sheet(file, expected=HEADS)
    rows = list(answer_rows(given, _NEEDED, _GIVEN))
    # The commonest: a row of another sheet is refused, but a file without any row of one is none.
    name = Counter(row["sheet"] for _, row in rows).most_common(1)[0][0] if rows else ""
    asked = read_asked(workspace, name, now)
    words, verdicts, findings = _answers(rows, name, asked)
    findings += [_finding(number, "deid.review_misfit", "cells that do not fit the heads") for number in given.misfits]
    words, unfound = _standing(engine, catalog, asked, words)
    words, verdicts, torn = _agreed(words, verdicts)
    findings += unfound + torn
    moment = now.astimezone(UTC).replace(tzinfo=None)
    new, unchanged = _new(catalog, words)
    decided = [
        {"site": site, "word": word, "decision": said, "reviewer": actor, "decided_at": moment}
        for (site, word), said in new.items()
    ]
    # A first state without rows would be another state: the texts would have to be scrubbed again for nothing.
    if decided:
        catalog.upsert(TEXT_DECISIONS, from_rows(TEXT_DECISIONS, decided))
    if verdicts:
        catalog.upsert(TEXT_REVIEWS, from_rows(TEXT_REVIEWS, _reviews(verdicts, name, asked, actor, moment)))
    decisions = dict(Counter(new.values()))
    append_event(
        workspace.vault, actor, "deid review import",
        {**decisions, "unchanged": unchanged, "texts": len(verdicts), "refused": len(findings), "version": __version__},
    )  # fmt: skip
    stale = _stale(engine, catalog, {site for site, _ in new})
    # A text in which something was missed stays in the catalog, whether or not anybody says which word it was.
    stale += sum(row.said in {"missed", "both"} and row.site not in {site for site, _ in new} for row in verdicts)
    expired = remove_expired(workspace, now)
    refused = tuple(sorted(findings, key=lambda finding: int(str(finding.subject).partition(" ")[2])))
    seal = read_text_seal(workspace)
    cohort = next(iter(seal.wanted), ALL) if seal is not None else ALL
    return Imported(
        decisions, unchanged, len(verdicts), len(findings), stale, cohort, refused, expired, read_quality(catalog)
    )


def _answers(
    rows: Iterable[tuple[int, dict[str, str]]], name: str, asked: Asked
) -> tuple[list[_Answer], list[_Answer], list[Finding]]:
    """Answers about words, answers about texts, and what is wrong with other rows; rows without an answer are left out."""
    words, verdicts, findings = [], [], []
    for number, row in rows:
        text, question = asked.texts.get(row["item"]), asked.words.get(row["item"])
        word = _bare(row["word"])
        about_word = question is not None or bool(word)
        said = unicodedata.normalize("NFKC", row["answer"]).strip().strip(".。!！").casefold()
        meaning = (_DECISIONS if about_word else _VERDICTS).get(said)
        if row["sheet"] != name or (text is None and question is None):
            # Said of unanswered rows too: whoever sends a text that nobody was shown should know it.
            findings.append(_finding(number, "deid.review_unknown", "an item that its sheet did not show, or another sheet"))
        elif not said:
            continue
        elif meaning is None:
            kinds = (*DECISIONS, "nothing") if about_word else tuple(dict.fromkeys(_VERDICTS.values()))
            findings.append(_finding(number, "deid.review_word", f"no answer that is known: {', '.join(kinds)}"))
        elif question is not None and word and word.split() != question["word"].split():
            findings.append(_finding(number, "deid.review_other_word", "another word than its item had on the sheet"))
        elif question is not None and question["why"] == "known" and meaning == "keep":
            what = "a word kept that the catalog knows of somebody, which no decision can keep"
            findings.append(_finding(number, "deid.review_known", what))
        elif question is not None:
            words.append(_Answer(number, row["item"], question["site"], question["word"], meaning))
        elif text is not None and word:
            words.append(_Answer(number, row["item"], text["site"], word, meaning))
        elif text is not None:
            verdicts.append(_Answer(number, row["item"], text["site"], "", meaning))
    return words, verdicts, findings


def _bare(word: str) -> str:
    """A word without the brackets that the CSV puts it in."""
    opening, closing = _BRACKETS
    stripped = word.strip()
    return stripped[1:-1] if stripped.startswith(opening) and stripped.endswith(closing) else stripped


def _finding(number: int, rule: str, what: str) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} has {what}; it was not taken",
        stage="deid", table="text_decisions", subject=f"row {number}",
    )  # fmt: skip


def _standing(
    engine: Engine, catalog: Catalog, asked: Asked, words: Iterable[_Answer]
) -> tuple[list[_Answer], list[Finding]]:
    """Answers without those about words that do not stand in the text that they are said to be missed in."""
    answers = list(words)
    named = sorted({answer.item for answer in answers if answer.item in asked.texts})
    ids = [asked.texts[item]["report_id"] for item in named]
    engine.view(_ASKED, pa.table({"report_id": pa.array(dict.fromkeys(ids), pa.string())}))
    reports = relation(engine, catalog, REPORTS, ("report_id", *TEXT_COLUMNS))
    found = engine.table(f"SELECT r.* FROM {reports} r JOIN {_ASKED} a ON r.report_id = a.report_id").to_pylist()
    texts = {row["report_id"]: row for row in found}
    kept, findings = [], []
    for answer in answers:
        text = asked.texts.get(answer.item)
        if text is None or _stands(texts.get(text["report_id"], {}).get(text["text_column"]), answer.word):
            kept.append(answer)
        else:
            what = "a word that does not stand in its text, or is too short or too long to be decided about"
            findings.append(_finding(answer.number, "deid.review_no_word", what))
    return kept, findings


def _stands(text: str | None, word: str) -> bool:
    return bool(text) and is_word(word) and next(occurrences(half_width(text or ""), half_width(word)), None) is not None


def _agreed(words: Sequence[_Answer], verdicts: Iterable[_Answer]) -> tuple[list[_Answer], list[_Answer], list[Finding]]:
    """One answer about each word and text; where a file holds several that differ, none is taken."""
    by_word: dict[Word, list[_Answer]] = defaultdict(list)
    for answer in words:
        by_word[answer.site, half_width(answer.word)].append(answer)
    by_text: dict[str, list[_Answer]] = defaultdict(list)
    for answer in verdicts:
        by_text[answer.item].append(answer)
    missed = {answer.item for answer in words if answer.item[:1] == "T" and answer.said != "keep"}
    findings = []
    agreed: tuple[list[_Answer], list[_Answer]] = ([], [])
    for place, groups in enumerate((by_word.values(), by_text.values())):
        for group in groups:
            said = {answer.said for answer in group}
            if len(said) > 1:
                what = "another answer than another row has for the same word or text"
            elif said <= {"right", "wrong"} and group[0].item in missed:
                what = "no word of something missed, which another row names"
            else:
                agreed[place].append(group[0])
                continue
            findings += [_finding(answer.number, "deid.review_contradiction", what) for answer in group]
    return *agreed, findings


def _new(catalog: Catalog, words: Iterable[_Answer]) -> tuple[dict[Word, str], int]:
    """What is decided now and was not before, and of how many words the same was."""
    before = {
        (row["site"], row["word"]): row["decision"]
        for row in catalog.read(TEXT_DECISIONS, columns=("site", "word", "decision")).to_pylist()
    }
    # In half width, as scrubbing reads them: two spellings of one word cannot be decided differently.
    said = {(answer.site, half_width(answer.word)): answer.said for answer in words if answer.said != "nothing"}
    new = {key: decision for key, decision in said.items() if before.get(key) != decision}
    return new, len(said) - len(new)


def _reviews(
    verdicts: Iterable[_Answer], sheet: str, asked: Asked, actor: str, moment: datetime
) -> Iterator[dict[str, Any]]:
    for answer in verdicts:
        text = asked.texts[answer.item]
        yield {
            **{name: text[name] for name in ("report_id", "text_column", "site", "purpose")},
            "sheet": sheet, "is_missed": answer.said in {"missed", "both"}, "is_wrong": answer.said in {"wrong", "both"},
            "removed_sha": text.get("removed"), "version": asked.version, "reviewer": actor, "reviewed_at": moment,
        }  # fmt: skip


def _stale(engine: Engine, catalog: Catalog, sites: Iterable[str]) -> int:
    """Texts in the cache of sites whose rules have changed now."""
    codes = ", ".join(literal(site) for site in sorted(sites))
    if not codes:
        return 0
    cache = relation(engine, catalog, SCRUBBED_TEXTS, ("report_id",))
    reports = relation(engine, catalog, REPORTS, ("report_id", "site"))
    sql = f"SELECT count(*) FROM {cache} c JOIN {reports} r ON c.report_id = r.report_id WHERE r.site IN ({codes})"
    return int(engine.rows(sql)[0][0])
