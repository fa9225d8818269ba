"""What a column holds by its values, whatever its head says. Only shares of values are looked at, and none is shown."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import yaml

from pathcurate.text.identities import card_number
from pathcurate.text.values import parse_age, parse_datetime
from pathcurate.text.vocabulary import vocabulary

FEWEST = 3
"""Fewest values that say something about a column."""
_SAMPLE = 2000
# Columns are typed by hand, so a few values are always wrong. Names are told by their surnames, which words begin with too.
_SHARE, _NAME_SHARE, _DISTINCT = 0.8, 0.9, 0.5
_MOBILE = re.compile(r"(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}")
_ACCESSION = re.compile(r"[A-Z]{1,3}(?:19|20)?\d{2}-?\d{4,7}|(?:19|20)?\d{2}-\d{4,7}")
_IDENTIFIER = re.compile(r"(?=\S*\d)[^\s.]{4,40}")
_NAME = re.compile(r"[一-鿿\U00020000-\U0003ffff·]{2,4}")
_LONGEST_NAME = 3
_LONG = 20
# Dates, numbers and names are shorter, whatever stands beside them.
_LONGEST = 60


def kind(values: Sequence[str]) -> str | None:
    """What a column holds, None if that cannot be told.

    ``identity card``, ``telephone``, ``date``, ``sex``, ``case number``, ``small number`` (as ages are), ``name``,
    ``identifier`` (with digits, and nearly all different) or ``text``. Eight digits alone are no date: numbers that begin
    with the year look the same.

    Args:
        values: cells of one column; empty ones do not count, and at most the first 2,000 are looked at.
    """
    given = list(itertools.islice(filter(None, values), _SAMPLE))
    if len(given) < FEWEST:
        return None
    if sum(len(value) > _LONGEST for value in given) > (1 - _SHARE) * len(given):
        return "text"
    sample = [unicodedata.normalize("NFKC", value).strip() for value in given]
    counts = Counter(sample)
    for name, is_one in _TESTS.items():
        if _are_mostly(counts, is_one, len(sample)):
            return name
    if _are_names(sample):
        return "name"
    identifiers = sum(_IDENTIFIER.fullmatch(text) is not None for text in sample)
    if identifiers >= _NAME_SHARE * len(sample) and len(set(sample)) >= _NAME_SHARE * len(sample):
        return "identifier"
    return "text" if sum(map(len, sample)) >= _LONG * len(sample) else None


def _are_mostly(counts: Counter[str], is_one: Callable[[str], bool], total: int) -> bool:
    misses, most = 0, (1 - _SHARE) * total
    for text, count in counts.items():
        if not is_one(text):
            misses += count
            if misses > most:
                return False
    return True


def _are_names(sample: Sequence[str]) -> bool:
    return (
        sum(map(is_name, sample)) >= _NAME_SHARE * len(sample)
        and len(set(sample)) >= _DISTINCT * len(sample)
        # Lists of diagnoses and organs begin with surnames too (高血压, 左乳), but never with many different ones.
        and len({text[0] for text in sample}) >= min(FEWEST, len(sample))
    )


def is_name(text: str) -> bool:
    """Whether a text of Han characters may be the name of a person: it begins with a surname, and is no organ."""
    single, compound = _surnames()
    if _NAME.fullmatch(text) is None or vocabulary("organs").first(text):
        return False
    return text[:2] in compound or (text[0] in single and len(text) <= _LONGEST_NAME)


@cache
def _surnames() -> tuple[frozenset[str], frozenset[str]]:
    data = yaml.safe_load(Path(__file__).with_name("surnames.yaml").read_text(encoding="utf-8"))
    return frozenset(data["single"]), frozenset(data["compound"])


_TESTS: dict[str, Callable[[str], bool]] = {
    "identity card": lambda text: card_number(text) is not None,
    "telephone": lambda text: _MOBILE.fullmatch(text) is not None,
    "date": lambda text: not text.isdigit() and parse_datetime(text) is not None,
    "sex": lambda text: vocabulary("sexes").exact(text) is not None,
    "case number": lambda text: _ACCESSION.fullmatch(text.upper()) is not None,
    "small number": lambda text: parse_age(text) is not None,
}
"""In order of how much a hit says."""
