"""Identifiers found by their labels and shapes: every rule of the table tried on a text."""

import re
from collections.abc import Iterable, Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text import accepting
from pathcurate.scrubbers.text.addresses import find_addresses
from pathcurate.scrubbers.text.englishnumbers import find_english_numbers
from pathcurate.scrubbers.text.englishplaces import find_english_places
from pathcurate.scrubbers.text.hospitals import find_hospitals
from pathcurate.scrubbers.text.patterns import ENGLISH_LABEL, MORE, RULES, Rule
from pathcurate.scrubbers.text.shares import find_shares
from pathcurate.scrubbers.text.spelling import spelling
from pathcurate.scrubbers.text.units import find_units
from pathcurate.text.beginnings import Searched, beginning_in

_SEARCHED = {rule.pattern.number: (at, rule) for at, rule in enumerate(RULES) if isinstance(rule.pattern, Searched)}
_IN_LOWER_CASE = tuple(rule for rule in RULES if rule.is_lower)
_LEAST_OF_A_LIST = 4
_MEANT = {"id": Kind.ID, "account": Kind.ACCOUNT, "phone": Kind.PHONE, "case": Kind.CASE}
_CHECKED = frozenset({Kind.ID, Kind.NUMBER})
_CHECK_DIGIT = re.compile(r"\([0-9A]\)(?=[ \t\n,;。|]|$)")
_LABEL_IN_NUMBER = re.compile(r"(?:I[Dd]|N[Oo]\.?|QQ:?|MRN)[-: ]?(?=[0-9A-Z-]{4})")
_HAN_YEARS = {character: number for number, character in enumerate("零一二三四五六七八九")}


def find_shaped(normal: str) -> Iterator[Removal]:
    """What looks like an identifier in a text of half width: no names, no dates, nothing known."""
    # Of two rules that find the same the first of the table counts, whenever its pattern was made.
    for _, rule in sorted(filter(None, map(_SEARCHED.get, beginning_in(normal)))):
        if (matches := rule.pattern.finditer(normal)) and accepting.holds(normal, rule.needs):
            yield from _of_rule(rule, normal, matches)
    if ENGLISH_LABEL.search(normal):
        lower = spelling(normal).lower
        for rule in _IN_LOWER_CASE:
            if accepting.holds(lower, rule.needs):
                yield from _of_rule(rule, lower, rule.pattern.finditer(lower))
    yield from find_hospitals(normal)
    yield from find_units(normal)
    yield from find_addresses(normal)
    yield from find_shares(normal)
    yield from find_english_numbers(normal)
    yield from find_english_places(normal)


def _of_rule(rule: Rule, text: str, matches: Iterable["re.Match[str]"]) -> Iterator[Removal]:
    for match in matches:
        span = rule.accepts(match) if rule.accepts else match.span("v")
        if span is None:
            continue
        kind, name = rule.kind, rule.name
        if name == "label.number":
            kind = _MEANT.get(accepting.meaning(match), kind)
            name = f"label.{kind}"
        span = _bare(text, *span)
        if kind in _CHECKED and (digit := _CHECK_DIGIT.match(text, span[1])):
            span = span[0], digit.end()
        yield Removal(*span, kind, name, _years(match["v"]) if kind is Kind.AGE else "")
        end = span[1]
        while rule.is_list and (more := MORE.match(text, end)):
            if accepting.digits_in(more["v"]) < _LEAST_OF_A_LIST or accepting.is_day(more["v"]):
                break
            yield Removal(*more.span("v"), kind, name)
            end = more.end()


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """A place without the label, bracket or stars around the number in it."""
    label = _LABEL_IN_NUMBER.match(text, start, end)
    start = label.end() if label else start
    # Code 39 writes a star at both ends.
    start += text[start] == "*" == text[end - 1]
    return start, end - (text[start - 1 : start] == "*" == text[end - 1])


def _years(age: str) -> str:
    """An age as it is written, in digits: 九十三 is 93, 一百零一 is 101."""
    if age.isascii():
        return age
    hundreds, rest = (100, age[2:]) if age.startswith("一百") else (0, age)
    tens, is_ten, ones = rest.rpartition("十")
    ten = _HAN_YEARS.get(tens, 1) * 10 if is_ten else 0
    return str(hundreds + ten + _HAN_YEARS.get(ones[-1:], 0))
