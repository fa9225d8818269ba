"""The datasheets: every section in both languages, nothing made up, and no word of somebody's becomes markup."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.metadata.datasheet import datasheet
from pathcurate.metadata.markdown import code, escaped, paragraphs
from pathcurate.model.attrition import WITHHELD
from pathcurate.model.description import Description
from tests.unit.descriptions import bare_description, hostile_description, orthopaedic_description, slide_description

Language = Literal["zh", "en"]
HEADS = {
    "zh": ["0101 基本信息", "0102 内容特征", "0103 建设过程", "0104 应用说明"],
    "en": ["Motivation", "Composition", "Collection process", "Preprocessing, cleaning, labelling", "Uses", "Distribution",
           "Maintenance"],
}  # fmt: skip
UNSAID = {"zh": "未说明。", "en": "The product file does not say."}
ALL = [slide_description, orthopaedic_description, hostile_description, bare_description]
_ESCAPE = re.compile(r"\\[!-/:-@\[-`{-~]")
_CODE = re.compile(r"`[^`\n]*`")


def bare_of_markup(text: str) -> str:
    """What is left for a Markdown reader to obey: neither escapes nor names in their own type."""
    return _CODE.sub("", _ESCAPE.sub("", text))


def shape(text: str) -> list[str]:
    """What each line of a text is: heading, table row with its number of cells, list item."""
    found = []
    for line in bare_of_markup(text).split("\n"):
        kind = re.match(r"(#+ |\|[-:|]+\|$|\||- |\*\*|)", line)
        assert kind is not None
        found.append(f"{kind[1]}{line.count('|')}" if line else "")
    return [line for line in found if line not in {"", "0"}]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_section_is_there_and_the_same_description_gives_the_same_text(
    make: Callable[[], Description], language: Language
) -> None:
    text = datasheet(make(), language)
    assert text == datasheet(make(), language)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADS[language]
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert "None" not in _CODE.sub("", text)
    assert "{{" not in text
    assert text.endswith("\n")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_words_change_nothing_about_the_shape(language: Language) -> None:
    good, hostile = slide_description(), hostile_description()
    lines = shape(datasheet(hostile, language))
    wanted = shape(datasheet(good, language))
    # The list of legal papers is another one; the rest has the same headings, tables and rows.
    assert [line for line in lines if not line.startswith("- ")] == [line for line in wanted if not line.startswith("- ")]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_words_hold_no_markup(language: Language) -> None:
    text = datasheet(hostile_description(), language)
    left = bare_of_markup(text)
    assert "<" not in left
    assert "](" not in left
    assert "&" not in left
    assert "://" not in left
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)
    assert "[U+202E" in re.sub(r"\\(.)", r"\1", text)


@settings(max_examples=100)
@given(st.text(max_size=40) | st.text(alphabet="\\`*_{}[]<>()#+-.!|~&$^:/@w12= \n\t\r\u202e\u2028a", max_size=25))
def test_escaped_text_is_one_line_of_no_markup_that_reads_the_same(text: str) -> None:
    found = escaped(text)
    assert "\n" not in found
    assert "\r" not in found
    assert not re.search(r"[\\`*_{}\[\]<>|~&$^]", _ESCAPE.sub("", found))
    assert not re.match(r"[#+\-=:!>]|\d{1,9}[.)](\s|$)", found)
    assert "://" not in found
    plain = re.sub(r"\\(.)", r"\1", found)
    # What cannot be seen is shown by its number; all else stands as it did.
    shown = "".join(
        f"[U+{ord(sign):04X}]" if unicodedata.category(sign)[0] == "C" else sign for sign in " ".join(text.split())
    )
    assert plain == shown


def test_paragraphs_stay_apart_and_are_escaped() -> None:
    assert paragraphs("# one\r\n\n- two\n\n\n   \n> three") == "\\# one\n\n\\- two\n\n\\> three"


@pytest.mark.parametrize(("text", "shown"), [
    ("slide_id", "`slide_id`"), ("a`b", "a\\`b"), ("urn:x:1.0", "`urn:x:1.0`"), ("", ""), ("a b", "a b"), ("中", "中"),
    ("x" * 121, "x" * 121),
])  # fmt: skip
def test_only_a_plain_name_stands_in_its_own_type(text: str, shown: str) -> None:
    assert code(text) == shown


def test_a_version_does_not_begin_a_list() -> None:
    assert escaped("1.2.0") == "1.2.0"
    assert escaped("1. one") == "1\\. one"
    assert escaped("www.example.org http://a.b") == "www\\.example.org http\\://a.b"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_nobody_says_is_said_so(language: Language) -> None:
    assert datasheet(bare_description(), language).count(UNSAID[language]) >= 10
    said = datasheet(slide_description(), language)
    assert said.count(UNSAID[language]) == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_release_without_permission_lists_says_so(language: Language) -> None:
    warning = {"zh": "未核对使用许可", "en": "nobody's permission was checked"}[language]
    assert warning in datasheet(bare_description(), language)
    assert warning not in datasheet(slide_description(), language)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_number_that_may_not_be_told_is_not_told(language: Language) -> None:
    description = slide_description()
    first = description.attrition.steps[0]
    hidden = replace(first, dropped=WITHHELD, remaining=dict.fromkeys(first.remaining, WITHHELD))
    attrition = replace(description.attrition, steps=(hidden, *description.attrition.steps[1:]))
    text = datasheet(replace(description, attrition=attrition), language)
    row = next(line for line in text.splitlines() if "苏木精-伊红" in line and line.startswith("|"))
    assert row.count({"zh": "不显示", "en": "not shown"}[language]) == 4
    assert not re.search(r"\d", row.split("|", 2)[2])


def test_what_nobody_counted_is_not_told_as_none() -> None:
    events = replace(orthopaedic_description(), counts={"slides": 0, "cases": 0, "patients": 290})
    assert "计数单位为临床事件，共 312。患者 290。数据年份" in datasheet(events, "zh")
    assert "The unit is one event, of which there are 312 (patients 290). The data" in datasheet(events, "en")
    assert "计数单位为切片，共 0。产品说明文件未说明数据年份" in datasheet(bare_description(), "zh")


def test_both_tell_the_same_numbers() -> None:
    description = slide_description()
    chinese, english = datasheet(description, "zh"), datasheet(description, "en")
    for number in ("20,480", "4,870", "31,022", "14,336", "4,112", "1.50"):
        assert number in chinese
        assert number in english
    assert "伦理审查：编号 2026-KY-017，伦理委员会出具" in chinese
    assert "Ethics: number 2026-KY-017, by 伦理委员会" in english
