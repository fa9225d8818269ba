"""What must hold of the text scrubber for every text."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text import KnownValues, ReportTexts, SiteRules, TextScrubber, detect
from pathcurate.text.vocabulary import vocabulary

SCRUBBER = TextScrubber(
    SiteRules(
        site="NB01", hospitals=("示例市第一医院",), staff=("欧阳明月",), remove=("示范",), keep=("张三",),
        accession_patterns=(r"(?P<prefix>[A-Z]{0,3})(?P<year>\d{2})-(?P<number>\d{3,7})",),
    )
)  # fmt: skip
KNOWN = KnownValues(names=("张三", "Smith John"), numbers=("0012345678",), phones=("13800138000",), cases=("S24-1234",))
PIECES = (
    "病理号：", "住院号", "电话", "姓名：", "患者", "张三", "李建国", "⟦", "⟧", "⟦phone⟧", "S24-01234", "-A1",
    "13800138000", "138 0013 8000",
    "0012345678", "2024年5月3日", "2024-05-03", "93", "岁", "人民医院", "北京", "市", "区", "路5号", "@", "qq.com",
    "http://", "a.b/",
    "110105194912310021", "MRN: ", "Dr. ", "Smith", "John", " ", "\n", "，", "（", "）", "12", "3", "床", "、", "-", "*",
    "X", "左乳", "第",
    "示范", "示例市第一医院", "地址：", "单位：", "\u200b", "１３８", "QQ", "为", "ID", ".",
)  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.text(max_size=40))
FRAME = ("送检{}组织一块，{}（+），见癌。", "（{}）浸润性癌，{}阳性；", "{}切缘未见癌，免疫组化：{}（-）")


def removals(text: str, known: KnownValues = KNOWN) -> list[Removal]:
    return SCRUBBER.removals([text], known, language="zh", year=2024)[0]


def scrub(text: str, found: list[Removal]) -> str:
    """The text with a placeholder for every removal, as it is assembled."""
    for one in reversed(found):
        text = text[: one.start] + ("[" if one.kind is Kind.BRACKET else f"⟦{one.kind}⟧") + text[one.end :]
    return text


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts)
@example("⟦⟧" * 20)
@example("\ud800电话13800138000")
def test_removals_are_sorted_disjoint_and_inside_the_text(text: str) -> None:
    found = removals(text)
    borders = [border for one in found for border in (one.start, one.end)]
    assert borders == sorted(borders)
    assert all(one.start < one.end <= len(text) for one in found)
    assert not re.search("[⟦⟧]", re.sub("⟦[a-z]+⟧", "", scrub(text, found)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("，".join))
def test_what_was_scrubbed_holds_nothing_more(text: str) -> None:
    assert detect(scrub(text, removals(text))) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(PIECES),
    st.sampled_from(PIECES),
    st.sampled_from(("0012345678", "13800138000", "S24-01234", "S2024-1234", "Ｓ２４－１２３４")),
)
def test_a_known_value_never_survives(before: str, after: str, value: str) -> None:
    # A digit beside it would make it another number.
    text = f"{before}，{value}；{after}"
    start = text.index(f"，{value}；") + 1
    assert any(one.start <= start and start + len(value) <= one.end for one in removals(text))


CODES = sorted(
    {word for name in ("organs", "stains", "markers", "lateralities", "genes") for word in vocabulary(name).words}
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(FRAME), st.sampled_from(CODES), st.sampled_from(CODES))
def test_words_of_the_vocabularies_stay(frame: str, first: str, second: str) -> None:
    for left, right in ((first, second), (first.upper(), second.capitalize())):
        assert removals(frame.format(left, right), KnownValues(names=("张三",))) == []


reports = st.builds(
    ReportTexts,
    texts=st.lists(st.one_of(st.none(), texts), max_size=3),
    known=st.sampled_from([KNOWN, KnownValues(), KnownValues(names=("李建国",), staff=("王芳",))]),
    language=st.sampled_from(["zh", "en", None]),
    year=st.sampled_from([2024, 1998, None]),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(reports, max_size=6))
def test_a_report_is_scrubbed_among_others_as_it_is_alone(several: list[ReportTexts]) -> None:
    alone = [SCRUBBER.removals(one.texts, one.known, language=one.language, year=one.year) for one in several]
    assert SCRUBBER.removals_of(several) == alone
