"""What is known never survives in any spelling, and clinical words do, whatever stands around them."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.scrubbers.text.known import KnownSearch
from pathcurate.scrubbers.text.names import find_names, repeated
from pathcurate.scrubbers.text.namewords import pinyin_of
from pathcurate.scrubbers.text.values import KnownValues
from pathcurate.text.folding import half_width
from pathcurate.text.vocabulary import vocabulary

_SENTENCES = (
    "（左乳）浸润性导管癌，WHO II级，ER(+，90%)，{}",
    "标签见“{}”字样，淋巴结（2/15）见癌转移。",
    "{}。镜下见异型细胞，核分裂象5/10HPF",
    "冰冻与石蜡诊断相符，{}，切缘未见癌，大小3.5×2×1.8cm",
    "Invasive carcinoma, T790M, {}; Gleason 3+4=7",
)
_SURNAMES = "王李张刘陈杨赵吴周徐孙朱胡郭林罗郑梁宋唐"
_GIVEN = "建国伟芳娜敏静丽强磊洋艳勇军杰娟涛明超秀英霞平刚桂"
_names = st.builds("".join, st.tuples(st.sampled_from(_SURNAMES), st.text(_GIVEN, min_size=2, max_size=2)))
_numbers = st.from_regex(r"[1-9][0-9]{7,9}", fullmatch=True).filter(lambda number: len(set(number)) > 1)


def _wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


@st.composite
def _spelt_name(draw: st.DrawFn, name: str) -> str:
    surname, given_name = pinyin_of(name)[0]
    return draw(
        st.sampled_from(
            [
                name,
                " ".join(name),
                "　".join(name),
                f"{name[0]} {name[1:]}",
                f"{surname.title()} {given_name.title()}",
                f"{surname.upper()} {given_name.upper()}",
                f"{surname.upper()}, {given_name.title()}",
                f"{given_name.title()} {surname.title()}",
                f"{surname.upper()}^{given_name.upper()}",
                _wide(f"{surname.title()} {given_name.title()}"),
                f"{name[0]}**",
                f"{name[0]}某某",
                f"{name}之女",
            ]
        )
    )


def _left(text: str, known: KnownValues) -> str:
    """A text without what is found in it."""
    for one in reversed(KnownSearch(known).find(half_width(text))):
        text = text[: one.start] + text[one.end :]
    return text


@settings(max_examples=60)
@given(st.data(), _names, st.sampled_from(_SENTENCES))
def test_a_known_name_survives_in_no_spelling(data: st.DataObject, name: str, sentence: str) -> None:
    spelt = data.draw(_spelt_name(name))
    assert _left(sentence.format(spelt), KnownValues(names=(name,))) == sentence.format("")


@settings(max_examples=60)
@given(st.data(), _numbers, st.sampled_from(_SENTENCES))
def test_a_known_number_survives_in_no_spelling(data: st.DataObject, number: str, sentence: str) -> None:
    spelt = data.draw(
        st.sampled_from(
            [
                number,
                _wide(number),
                f"00{number}",
                f"{number[:4]}-{number[4:]}",
                f"{number[:3]} {number[3:]}",
                " ".join(number),
            ]
        )
    )
    assert _left(sentence.format(spelt), KnownValues(numbers=(f"000{number}",))) == sentence.format("")


_TERMS = sorted(word for name in ("organs", "stains", "preparations", "material_kinds") for word in vocabulary(name).words)


@settings(max_examples=150)
@given(
    _names,
    st.sampled_from(_TERMS),
    st.sampled_from((*_SENTENCES, "患者{}", "送检{}组织一块，{}", "取材：{}", "诊断：{}；审核：", "Specimen: {}")),
)
def test_a_clinical_word_survives(name: str, word: str, sentence: str) -> None:
    text = sentence.replace("{}", word)
    assert _left(text, KnownValues(names=(name,), staff=("李建国",), numbers=("12345678",))) == text
    assert find_names(half_width(text), None) == []


_PIECES = (
    "姓名：",
    "患者",
    "审核：",
    "张三",
    "李建国",
    "欧阳",
    "·",
    "某某",
    "*",
    "×",
    "男",
    "，",
    "主任",
    "之女",
    "由",
    "取材",
    "\n",
    "/",
    "、",
    " ",
    "“",
    "”字样",
    "(",
    ")",
    "Dr. ",
    "Patient: ",
    "Smith",
    "John ",
    "MD",
    "van ",
    "13800138000",
    "2024-05-03",
    "左乳",
    "İ",
    "ﬁ",
    "\U00020000",
    "\x00",
    "\ud800",
)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_places_are_valid_and_disjoint_in_any_text(text: str) -> None:
    normal = half_width(text)
    known = KnownValues(
        names=(text, "张三"), numbers=(text,), ids=(text,), phones=(text,), staff=(text,), units=(text,), addresses=(text,)
    )
    labelled = find_names(normal, None)
    for found in (labelled, KnownSearch(known).find(normal), *repeated([normal], labelled)):
        assert all(0 <= one.start < one.end <= len(text) for one in found)
        assert all(one.start < other.start and one.end < other.end for one, other in pairwise(found))
