"""No identifier is ever missed, wherever it stands, and none is found that looking everywhere does not find."""

import random
import re
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.search import search_directory
from tests.unit.test_leaksearch_files import CONTAINERS, ENCODED, IDENTIFIERS

_WORDS = (
    "张三丰", "李四", "S24-01234", "12345678", "1234", "54321", "ZHANG SAN", "A1", "a", "7", "三", " ", "-", ",", "\n",
    "。", "/",
)  # fmt: skip
_MANY = Identifiers.of({
    "name": ["张三丰", "三丰李", "欧阳 三丰", "ZHANG SAN", "SAN ZHANG"], "case": ["S24-01234", "A1S24"],
    "number": ["12345678", "54321", "77777", "1234-54321"],
})  # fmt: skip
_VALUES = ("张三丰", "三丰李", "欧阳三丰", "ZHANGSAN", "SANZHANG", "S2401234", "12345678", "54321", "77777", "123454321")


def _by_looking_everywhere(text: str) -> set[tuple[int, int]]:
    """Every place that the rules of the search name, tried one by one; of values that need no whole value."""
    kept = [
        (place, sign)
        for place, sign in enumerate(text.upper())
        if sign not in " -" or text[place - 1 : place] in {" ", "-"} or text[place + 1 : place + 2] in {" ", "-"}
    ]
    folded = "".join(sign for _, sign in kept)
    found = set()
    for value in _VALUES:
        for match in re.finditer(f"(?={value})", folded):
            first, last = kept[match.start()][0], kept[match.start() + len(value) - 1][0]
            before, behind = text[:first][-1:], text[last + 1 :][:1]
            same = "[0-9]" if value.isdigit() else "[0-9A-Za-z]"
            named = not re.match("[\\u4e00-\\u9fff]", value)
            if named and (re.match(same, before) or re.match(same, behind)):
                continue
            words = re.findall(r"[0-9]+" if value.isdigit() else r"[0-9A-Za-z]+|[\u4e00-\u9fff]", text[first : last + 1])
            if len(words) <= 4:
                found.add((first, last + 1))
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=12).map("".join))
def test_the_search_finds_what_looking_everywhere_finds(text: str) -> None:
    assume(not re.search("[0-9A-Za-z]{24}", text))  # in such a run short numbers are chance
    there = _by_looking_everywhere(text)
    assert {(hit.start, hit.end) for hit in _MANY.find(text)} == there
    # In a longer text little is looked at around each place first.
    assert {(hit.start - 300, hit.end - 300) for hit in _MANY.find("." * 299 + "\n" + text + "\n" + "." * 300)} == there


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(CONTAINERS)), st.sampled_from(sorted(ENCODED)), st.integers(0, 5000), st.integers(0, 5000),
    st.integers(0, 2**32),
)  # fmt: skip
def test_an_identifier_planted_anywhere_in_anything_is_found(
    tmp_path: Path, container: str, encoding: str, before: int, behind: int, seed: int
) -> None:
    filler = random.Random(seed)
    lead, rest = ("".join(filler.choices("abc ,.\n", k=length)).encode() + b"\n" for length in (before, behind))
    # What is of two bytes a sign may begin at an odd place, and what was cut may be Base64 again.
    (tmp_path / "m").write_bytes(CONTAINERS[container](lead + ENCODED[encoding] + b"\n" + rest))
    assert any(leak.kind in {"name", "phone"} for leak in search_directory(tmp_path, IDENTIFIERS))
