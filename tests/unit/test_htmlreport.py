"""Pages and figures: nothing from the data becomes markup, every number is there, and no text leaves its box."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from pathcurate.htmlreport.attrition import KINDS, UNITS, attrition_svg, text_width, wrap
from pathcurate.htmlreport.composition import gains, trait_charts
from pathcurate.htmlreport.page import cohort_page
from pathcurate.htmlreport.template import grouped, render, share, shown
from pathcurate.model.attrition import WITHHELD, ShownAttrition, ShownStep, ShownTrait

SVG = "{http://www.w3.org/2000/svg}"
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HAN = "纳入标准：在本中心及协作医院行胸外科手术切除、且病理报告（含补充报告及会诊意见）已最终签发的原发性肺恶性肿瘤病例"


def attrition(labels: list[str], unit: str = "slide") -> ShownAttrition:
    """Nothing hidden: every third step drops nobody."""
    slides, steps = 2_800_000, []
    kinds, levels = list(KINDS), list(UNITS)
    for number, label in enumerate(labels):
        dropped = 123_457 if number % 3 else 0
        slides -= dropped
        steps.append(
            ShownStep(f"step_{number}", label, levels[number % 7], kinds[number % 6], dropped, 1, dropped // 7,
                      counts(slides), {} if kinds[number % 6] in {"label", "sample"} else counts(dropped))
        )  # fmt: skip
    trait = ShownTrait("age_band", (("5-9", "20-24"), ("25-29", "")), (-1, 0), ((400_000, 160_000), (300_000, 100_000)))
    return ShownAttrition(unit, ("slides", "cases", "patients"), counts(2_800_000), tuple(steps), (trait,), 0, 1)


def counts(slides: int) -> dict[str, int | str]:
    return {"slides": slides, "cases": slides // 4, "patients": slides // 5}


def hidden(labels: list[str], unit: str = "slide") -> ShownAttrition:
    """The same with the second and third steps told as one, and what the last leaves not told."""
    shape = attrition(labels, unit)
    nothing = dict.fromkeys(shape.levels, WITHHELD)
    steps = list(shape.steps)
    for place in {1, len(steps) - 1} & set(range(len(steps))):
        steps[place] = replace(steps[place], dropped=WITHHELD, dropped_missing=WITHHELD, remaining=nothing, gained=nothing)
    if len(steps) > 3:
        steps[2] = replace(steps[2], together=2, dropped_missing=WITHHELD, gained=nothing)
    return replace(shape, steps=tuple(steps), min_cell=10, round_to=5)


def page_of(text: str, *, has_permissions: bool = True) -> str:
    """The page of a cohort with this text wherever text can be."""
    return cohort_page(text, attrition([text, text]), has_permissions)


class Page(HTMLParser):
    """Elements with their attributes, and text, as a browser's parser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.others: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)

    @property
    def text(self) -> str:
        return " ".join(part for parts in self.texts.values() for part in parts)

    @property
    def outside_of_figure(self) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
        return [element for element in self.elements if element[0] not in {"text", "rect", "line", "polygon", "svg"}]


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg/onload=alert(1)>", "]]><x/>", "{{7*7}}{% raw %}",
    "</title></style></pre></svg><b>", "<!-- comment", "-->", "<?xml version='1.0'?>", "&lt;b&gt;&#60;&amp;", "${7*7}#{7*7}",
    "javascript:alert(1)", "\x00\x01\x0b\x1b[31m\x7f\x85\x9f", "abc\u202egpj.exe\u2066\u2069\u200f",
    "\ufeff\ufffe\uffff\u2028\u2029", "\ud800 lone", "e\u0301" + "\u0301" * 50, "\U0001f9ec\u200d\U0001f52c",
    "x" * 3000, HAN * 20, "=1+1", "\r\n\t", " ", "",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("has_permissions", [False, True])
def test_no_element_and_no_attribute_comes_from_data(hostile: str, *, has_permissions: bool) -> None:
    page = page_of(hostile, has_permissions=has_permissions)
    page.encode()
    found, plain = Page(page), Page(page_of("plain", has_permissions=has_permissions))
    assert found.outside_of_figure == plain.outside_of_figure
    assert found.others == plain.others == []
    assert found.texts["style"] == plain.texts["style"]
    _assert_only_known_drawing(found, plain)


def _assert_only_known_drawing(found: Page, plain: Page) -> None:
    """In the figure, lines of text add elements and move others: their kinds, classes and forms of numbers stay."""
    known = {(tag, name) for tag, attrs in plain.elements for name, _ in attrs}
    classes = {value for tag, attrs in plain.elements for name, value in attrs if name == "class"}
    for tag, attrs in found.elements:
        assert {(tag, name) for name, _ in attrs} <= known
        for name, value in attrs:
            if name == "class":
                assert value in classes
            elif tag in {"text", "rect", "line", "polygon"}:
                assert re.fullmatch(r"[0-9., ]+", value or "")


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_the_figure_is_xml_whatever_the_labels(hostile: str) -> None:
    svg = attrition_svg(hostile, attrition([hostile, "plain"]))
    root = ET.fromstring(svg.encode())  # noqa: S314 -- our own output
    plain = ET.fromstring(attrition_svg("plain", attrition(["plain", "plain"])))  # noqa: S314
    assert {element.tag for element in root.iter()} == {element.tag for element in plain.iter()}
    assert {name for element in root.iter() for name in element.attrib} == {
        name for element in plain.iter() for name in element.attrib
    }
    assert root.findtext(f"{SVG}title") == shown(hostile).replace("\r\n", "\n")  # XML 1.0 section 2.11
    assert root.findtext(f"{SVG}style") == plain.findtext(f"{SVG}style")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_makes_a_page_of_the_same_elements(text: str) -> None:
    found = Page(page_of(text))
    assert found.outside_of_figure == Page(page_of("plain")).outside_of_figure
    ET.fromstring(attrition_svg(text, attrition([text])).encode())  # noqa: S314


def test_values_are_shown_as_they_are() -> None:
    text = "a<b>&'\"{{7*7}} 肺"
    found = Page(page_of(text))
    assert found.texts["h1"] == [text]
    assert found.texts["title"][0] == text
    assert "49" not in found.text


def test_what_cannot_be_seen_is_named() -> None:
    assert shown("a\u202eb\x00\ud800") == "a[U+202E]b[U+0000][U+D800]"
    assert shown("line\nline\ttab 肺 é 🧬") == "line\nline\ttab 肺 é 🧬"


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("cohort.html.j2", title="t")


# --- What the page says --------------------------------------------------------------------------------------------


def test_a_page_forbids_scripts_and_the_network() -> None:
    page = page_of("plain")
    found = Page(page)
    assert ("meta", (("http-equiv", "Content-Security-Policy"), ("content", CSP))) in found.elements
    assert page.index("Content-Security-Policy") < page.index("<style")
    assert ("html", (("lang", "en"),)) in found.elements
    names = {name for _, attrs in found.elements for name, _ in attrs}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "href", "style", "action"}
    assert not re.search(r"url\(|@import|<script|<link|<a ", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
    ids = [value for _, attrs in found.elements for name, value in attrs if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_missing_permission_list_is_said_first_and_only_then() -> None:
    warned, allowed = page_of("t", has_permissions=False), page_of("t")
    assert warned.index("No permission list was configured") < warned.index('class="counts"')
    assert "未配置授权清单" in warned
    assert "No permission list was configured" not in allowed


def test_every_number_is_on_the_page() -> None:
    shape = attrition(["Adult", HAN, "Not frozen"])
    found = Page(cohort_page("胸科 Thorax", shape, has_permissions=True)).text
    assert "胸科 Thorax" in found
    assert HAN in found
    for step in shape.steps:
        for number in (step.dropped, step.dropped_missing, *step.remaining.values()):
            assert grouped(int(number)) in found


def test_the_same_facts_give_the_same_bytes() -> None:
    assert page_of(HAN) == page_of(HAN)
    assert attrition_svg("t", attrition([HAN])) == attrition_svg("t", attrition([HAN]))


def test_no_steps() -> None:
    assert "2\u202f800\u202f000" in cohort_page("t", attrition([]), has_permissions=True)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "–"), (0, 5, "0.0 %"), (5, 5, "100.0 %"), (1, 10_000, "< 0.1 %"), (9_999, 10_000, "> 99.9 %"), (1, 3, "33.3 %"),
     (1, 2_000, "0.1 %"), (1_999, 2_000, "> 99.9 %")],
)  # fmt: skip
def test_a_share_is_never_none_or_all_by_rounding(part: int, whole: int, text: str) -> None:
    assert share(part, whole).replace("\u202f", " ") == text


# --- The figure ----------------------------------------------------------------------------------------------------


def test_the_figure_tells_those_who_do_not_see_it() -> None:
    root = ET.fromstring(attrition_svg("Thorax", attrition(["Permission", "Adult"])))  # noqa: S314
    assert root.get("role") == "img"
    named = (root.get("aria-labelledby") or "").split()
    assert [element.get("id") for element in root[:2]] == named
    description = root.findtext(f"{SVG}desc") or ""
    assert "Step 1, Adult: − 123\u202f457 slides, 17\u202f636 of them for a missing value 缺失;" in description


def test_the_figure_shows_each_step() -> None:
    shape = attrition(["Permission", "Adult"], unit="case")
    root = ET.fromstring(attrition_svg("Thorax", shape))  # noqa: S314
    lines = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert lines[:2] == ["Thorax", "Counted by case 计数单位：病例"]
    assert "0 cases" in lines
    assert any(line.startswith("− 123\u202f457 cases, 17\u202f636 of them") for line in lines)
    assert [line for line in lines if line in {"Start 起始", "Cohort 队列"}] == ["Start 起始", "Cohort 队列"]
    assert lines.count("slides 切片") == 3


def test_steps_that_are_told_as_one_stand_beside_one_arrow() -> None:
    root = ET.fromstring(attrition_svg("Thorax", hidden(["Permission", "Adult", "HE", "Control", "Grade"])))  # noqa: S314
    lines = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert sum("counted together with step 2" in line for line in lines) == 1
    text = " ".join(lines)
    assert "− 123\u202f457 slides in steps 1 to 2 together" in text
    assert "not shown 不显示" in text
    assert "rounded to 5, numbers from 1 to 9 hidden" in text
    assert lines.count("hidden") == 3, "what the last leaves"
    down = [line for line in root.iter(f"{SVG}line") if line.get("x1") == line.get("x2")]
    assert len(down) == 4


@pytest.mark.parametrize("hostile", ["<script>", '"><img src=x>', "{{7*7}}", "\u202e"])
def test_the_page_of_a_cohort_says_what_is_hidden_and_escapes_the_rest(hostile: str) -> None:
    shape = hidden([hostile, "Adult", hostile, "Control", hostile])
    group = ((hostile, hostile), ("a", hostile))
    shape = replace(shape, traits=(replace(shape.traits[0], trait="site", groups=group),))
    found = Page(cohort_page(hostile, shape, has_permissions=True))
    plain = Page(cohort_page("plain", hidden(["plain"] * 5), has_permissions=True))
    assert found.outside_of_figure == plain.outside_of_figure
    assert found.texts["h1"] == [shown(hostile)]
    assert found.text.count(shown(hostile)) >= 9
    for sentence in ("rounded to multiples of 5", "counts from 1 to 9", "What leaving one step out", "Who is left"):
        assert sentence in found.text
    assert "hidden" in found.texts["strong"], "what is kept"
    assert "71.4\u202f%" in found.text, "400 000 of 560 000"


def test_many_steps_of_a_trait_are_shown_by_six() -> None:
    shape = attrition(["a"] * 20)
    trait = replace(shape.traits[0], after=tuple(range(-1, 20)), patients=((40, 20),) * 21)
    (chart,) = trait_charts(replace(shape, traits=(trait,)))
    assert chart.columns == ("Start 起始", "After 3 之后", "After 7 之后", "After 11 之后", "After 15 之后", "Cohort 队列")
    assert [row.label for row in chart.rows] == ["5-9 … 20-24", "25-29 … missing 缺失"]


def test_gains_come_most_first_and_only_of_what_can_be_left_out() -> None:
    shape = attrition(["a"] * 6)
    found = gains(shape)
    assert [(gain.number, gain.counts[0], gain.width) for gain in found] == [(2, 123_457, "100.0"), (3, 0, "0.0")]


words = st.one_of(
    st.text(max_size=200),
    st.text(st.sampled_from("肺癌切片，。、（）(“”)abc WM1.-"), max_size=200),
    st.text(st.sampled_from("WMm@"), max_size=200),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(words, max_size=5), words, st.integers(0, 2**53 - 1))
def test_no_text_leaves_its_box_and_no_box_another(labels: list[str], title: str, count: int) -> None:
    shape = attrition(labels)
    shape = replace(shape, start=dict.fromkeys(shape.levels, count), steps=tuple(
        replace(step, dropped=count, dropped_missing=count) for step in shape.steps))  # fmt: skip
    for drawn in (shape, hidden(labels)):
        told = sum(step.dropped != WITHHELD or step is drawn.steps[-1] for step in drawn.steps)
        assert_all_text_is_in_its_box(attrition_svg(title, drawn), 1 + len(labels) + told)


def assert_all_text_is_in_its_box(svg: str, count: int) -> None:
    root = ET.fromstring(svg)  # noqa: S314
    width, height = (float(root.get(name, "")) for name in ("width", "height"))
    boxes = [box_of(element) for element in root.iter(f"{SVG}rect")][1:]
    assert len(boxes) == count
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for one in boxes:
        for other in boxes:
            assert one == other or one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for element in root.iter(f"{SVG}text"):
        size, style = float(element.get("font-size", "")), element.get("class", "")
        span = text_width(element.text or "") * size
        x, y = float(element.get("x", "")), float(element.get("y", ""))
        start = x - span / 2 if "middle" in style else x
        holder = next((box for box in boxes if box[0] <= x <= box[2] and box[1] <= y <= box[3]), (0.0, 0.0, width, height))
        assert holder[0] <= start
        assert start + span <= holder[2]
        assert holder[1] + 0.7 * size <= y <= holder[3] - 0.25 * size


def box_of(element: ET.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(element.get(name, "0")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


@given(words, st.integers(60, 400))
def test_wrapping_loses_nothing_and_fits(text: str, width: int) -> None:
    lines = wrap(text, width, 13)
    assert 1 <= len(lines) <= 6
    assert all(text_width(line) * 13 <= width for line in lines)
    whole, wrapped = re.sub(r"[ \t\r\n]", "", shown(text)), "".join(lines).replace(" ", "")
    if len(lines) == 6 and wrapped != whole:
        assert wrapped.endswith("…")
        assert whole.startswith(wrapped[:-1])
    else:
        assert wrapped == whole


def test_lines_break_where_a_reader_expects_it() -> None:
    assert wrap("Linked to a report", 70, 13) == ["Linked to", "a report"]
    assert wrap("切片，（肺）已归档。", 13 * 3, 13) == ["切片，", "（肺）", "已归", "档。"]
    assert wrap("20x以上don’t", 13 * 5, 13) == ["20x以上", "don’t"]
    assert wrap("x" * 20, 13 * 6, 13) == ["x" * 10, "x" * 10]
    assert wrap("", 100, 13) == [""]
    assert wrap("肺" * 100, 13 * 5, 13)[-1] == "肺肺肺肺…"
    assert wrap("− 1\u202f234\u202f567 slides", 13 * 7, 13) == ["− 1\u202f234\u202f567", "slides"]
