"""Findings that overlap made one, and those that a site frees taken back."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from pathcurate.model.removal import Kind, Removal

# What is known is most specific, then what a label or a site says; a bracket gives way to all.
_RANKS = {"known": 0, "site": 1, "label": 2, "date": 3, "name": 4, "shape": 5}


def merged(removals: Iterable[Removal]) -> list[Removal]:
    """Disjoint removals in order: those that overlap become one, named after the most specific, the longest of these."""
    ordered = sorted(removals, key=lambda removal: (removal.start, -removal.end))
    result: list[Removal] = []
    end = -1
    best: Removal | None = None
    for removal in ordered:
        if best is not None and removal.start < end:
            end = max(end, removal.end)
            if end > best.end or _rank(removal) < _rank(best):
                named = min(best, removal, key=_rank)
                best = Removal(best.start, end, named.kind, named.rule, named.value, named.form)
            continue
        if best is not None:
            result.append(best)
        best, end = removal, removal.end
    return [*result, best] if best is not None else result


def _rank(removal: Removal) -> tuple[bool, int, int]:
    return removal.kind is Kind.BRACKET, _rank_of(removal.rule), removal.start - removal.end


@cache
def _rank_of(rule: str) -> int:
    return _RANKS.get(rule.partition(".")[0], 3)


def freed(normal: str, removals: Sequence[Removal], keep: Sequence[str]) -> Iterator[Removal]:
    """Removals without those that lie wholly inside a word that reviewers keep; what is known is never given back."""
    kept = [(start, start + len(word)) for word in keep for start in occurrences(normal, word)]
    for removal in removals:
        is_known = removal.rule.startswith("known.") or removal.kind is Kind.BRACKET
        if is_known or not any(start <= removal.start and removal.end <= end for start, end in kept):
            yield removal


def occurrences(text: str, word: str) -> Iterator[int]:
    """Where a word begins in a text; a Latin word counts only where no letter or digit goes on beside it."""
    at = text.find(word) if word else -1
    while at >= 0:
        if not (_goes_on(text[at - 1 : at], word[0]) or _goes_on(text[at + len(word) : at + len(word) + 1], word[-1])):
            yield at
        at = text.find(word, at + 1)


def _goes_on(beside: str, border: str) -> bool:
    return bool(beside) and (beside + border).isascii() and beside.isalnum() and border.isalnum()
