"""Placeholders: what a removal leaves in a text, what a layer makes of it, and where spans stand afterwards."""

import gc
import re
import time
from datetime import date, timedelta

import pytest

from pathcurate.model.removal import Kind, Removal
from pathcurate.placeholders import (
    Assembled,
    Place,
    Style,
    assemble,
    carry,
    encoder,
    moved,
    placeholders_in,
    render,
    style,
    surrogate,
)
from pathcurate.pseudonyms import Layer, internal, moved_between, product, recipient

KEY = bytes(range(32))
INTERNAL = internal(KEY)
PATIENT = INTERNAL.codes.code("P", "person 1")
LAYERS = [product(KEY, "a"), product(KEY, "b"), recipient(KEY, "a", "buyer"), recipient(KEY, "a", "other")]
ENCODE = encoder(INTERNAL, PATIENT, site="NB01", own_numbers=["0012345678", "ZY-20240001"])
REPORT = (
    "病理号S24-01234-A1，姓名张三，住院号12345678，外院号77777777，电话13800138000，2024年5月3日送检，北京某医院，93岁。"
)


def removal(text: str, found: str, kind: Kind, value: str = "", form: str = "") -> Removal:
    start = text.index(found)
    return Removal(start, start + len(found), kind, "test.rule", value, form)


def assembled() -> Assembled:
    wanted = [
        ("S24-01234-A1", Kind.CASE, "S24-1234", "A1"), ("张三", Kind.PATIENT, "张三", ""),
        ("12345678", Kind.NUMBER, "", ""),
        ("77777777", Kind.NUMBER, "", ""), ("13800138000", Kind.PHONE, "", ""),
        ("2024年5月3日", Kind.DATE, "2024-05-03", "ymd-han"), ("北京某医院", Kind.HOSPITAL, "", ""),
        ("93", Kind.AGE, "93", ""),
    ]  # fmt: skip
    return assemble(REPORT, [removal(REPORT, *item) for item in wanted], ENCODE)


def of_layer(layer: Layer, *, names: str = "tag", language: str = "zh") -> Style:
    return style(layer, moved_between(INTERNAL, layer, PATIENT), names=names, language=language)


def test_a_scrubbed_text_holds_internal_codes_and_days() -> None:
    case, name = INTERNAL.codes.code("C", "NB01", "S24-1234"), INTERNAL.codes.code("H", "张三")
    day = INTERNAL.dates.shift(PATIENT, date(2024, 5, 3))
    assert assembled().text == (
        f"病理号⟦case:{case}:A1⟧，姓名⟦patient:{name}⟧，住院号⟦number:{PATIENT}⟧，外院号⟦number⟧，电话⟦phone⟧，"
        f"⟦date:ymd-han:{day}⟧送检，⟦hospital⟧，⟦age:90⟧岁。"
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_rendered_text_says_what_the_columns_of_its_layer_say(layer: Layer) -> None:
    case = layer.codes.code("C", INTERNAL.codes.code("C", "NB01", "S24-1234"))
    day = layer.dates.shift(PATIENT, date(2024, 5, 3))
    assert day is not None
    assert render(assembled().text, of_layer(layer)).text == (
        f"病理号{case}-A1，姓名[姓名]，住院号{layer.codes.code('P', PATIENT)}，外院号[编号]，电话[电话]，"
        f"{day.year}年{day.month}月{day.day}日送检，[医院]，90+岁。"
    )


def test_no_two_layers_render_one_code_or_day() -> None:
    texts = [render(assembled().text, of_layer(layer)).text for layer in LAYERS]
    codes = [set(re.findall(r"[CP]-[0-9A-Z]{16}", text)) for text in [*texts, assembled().text]]
    assert sum(map(len, codes)) == len(set().union(*codes)) == 2 * len(codes)


@pytest.mark.parametrize(
    ("kind", "value", "form", "placeholder"),
    [
        (Kind.CASE, "", "A1", "⟦case⟧"),
        (Kind.CASE, "S24-1", "A1-3", f"⟦case:{INTERNAL.codes.code('C', 'NB01', 'S24-1')}:A1-3⟧"),
        (Kind.CASE, "S24-1", "-b2", f"⟦case:{INTERNAL.codes.code('C', 'NB01', 'S24-1')}:B2⟧"),
        (Kind.CASE, "S24-1", "张三⟧", f"⟦case:{INTERNAL.codes.code('C', 'NB01', 'S24-1')}⟧"),
        (Kind.CASE, "S24-1", "13800138000", f"⟦case:{INTERNAL.codes.code('C', 'NB01', 'S24-1')}⟧"),
        (Kind.DATE, "2024-05-03", "ymd-⟦", "⟦date⟧"), (Kind.DATE, "2024-02-30", "ymd-han", "⟦date⟧"),
        (Kind.DATE, "", "", "⟦date⟧"), (Kind.DATE, "0001-01-01" if INTERNAL.dates.days(PATIENT) < 0 else "9999-12-31",
                                        "ymd-han", "⟦date⟧"),
        (Kind.HOSPITAL, "NB01", "", "⟦hospital:NB01⟧"), (Kind.HOSPITAL, "NB02", "", "⟦hospital⟧"),
        (Kind.NUMBER, "zy20240001", "", f"⟦number:{PATIENT}⟧"), (Kind.NUMBER, "２０２４ 0001", "", f"⟦number:{PATIENT}⟧"),
        (Kind.NUMBER, "00012345678", "", f"⟦number:{PATIENT}⟧"), (Kind.NUMBER, "112345678", "", "⟦number⟧"),
        (Kind.NUMBER, "1", "", "⟦number⟧"), (Kind.AGE, "101", "", "⟦age:90⟧"), (Kind.ID, "110105194912310021", "", "⟦id⟧"),
        (Kind.PATIENT, "", "", "⟦patient⟧"), (Kind.OTHER, "secret", "secret", "⟦other⟧"),
    ],
)  # fmt: skip
def test_a_removal_leaves_only_what_its_placeholder_may_say(kind: Kind, value: str, form: str, placeholder: str) -> None:
    result = assemble("x" * 9, [Removal(2, 5, kind, "test.rule", value, form)], ENCODE)
    assert result == Assembled(f"xx{placeholder}xxxx", (Place(2, 5, 2, 2 + len(placeholder)),))
    (item,) = placeholders_in(result.text)
    assert item.kind is kind


def test_one_name_has_one_code_whoever_bears_it() -> None:
    kinds = (Kind.PATIENT, Kind.STAFF, Kind.PERSON)
    codes = {ENCODE(Removal(0, 2, kind, "test.rule", "张三")).split(":")[1] for kind in kinds}
    assert len(codes) == 1
    assert ENCODE(Removal(0, 2, Kind.STAFF, "test.rule", "李四")).split(":")[1] not in codes


def test_brackets_of_a_text_are_no_placeholders() -> None:
    text = "⟦date:ymd-han:2024-05-03⟧"
    found = [Removal(0, 1, Kind.BRACKET, "shape.bracket"), Removal(24, 25, Kind.BRACKET, "shape.bracket")]
    for removals in (found, []):
        whole = assemble(text, removals, ENCODE)
        assert whole.text == "[date:ymd-han:2024-05-03]"
        assert not list(placeholders_in(whole.text))


@pytest.mark.parametrize(
    "spans", [[(0, 3), (2, 4)], [(4, 5), (0, 1)], [(0, 99)], [(-1, 2)], [(3, 3)], [(0, 2), (0, 2)]]
)  # fmt: skip
def test_removals_that_overlap_are_refused_without_their_values(spans: list[tuple[int, int]]) -> None:
    removals = [Removal(start, end, Kind.OTHER, "test.rule", "secret") for start, end in spans]
    with pytest.raises(ValueError, match=r"^removals overlap or lie outside their text$"):
        assemble("a secret text", removals, ENCODE)


@pytest.mark.parametrize(
    "forged",
    [
        "⟦⟧", "⟦phone:13800138000⟧", "⟦PHONE⟧", "⟦nobody⟧", "⟦date:ymd-han⟧", "⟦date:ymd-han:2024-13-01⟧",
        "⟦date:ymd:2024-05-03⟧", "⟦date:ymd-han:2024-05-03:⟧", "⟦case:S24-01234⟧", "⟦case:C-0123456789ABCDEF:张三⟧",
        "⟦case:P-0123456789ABCDEF⟧", "⟦number:C-0123456789ABCDEF⟧", "⟦patient:张三⟧", "⟦hospital:北京医院⟧", "⟦age:93⟧",
        "⟦bracket⟧", "⟦phone", "⟦date:ymd-han:2024-05-03\n", "⟦number:P-0123456789ABCDEF\n⟧", "⟦phone\n⟧", "⟦ phone⟧", "⟧",
    ],
)  # fmt: skip
def test_what_is_no_placeholder_is_counted_and_not_shown(forged: str) -> None:
    rendered = render(f"前{forged}", of_layer(LAYERS[0]))
    assert (rendered.text, rendered.unknown) == ("前[?]", 1)


@pytest.mark.parametrize(
    ("text", "shown"), [("⟦⟦phone⟧", "[?][电话]"), ("⟦phone⟧⟧", "[电话][?]"), ("⟦secret ⟦phone⟧", "[?][电话]")]
)
def test_a_placeholder_beside_a_stray_bracket_is_one(text: str, shown: str) -> None:
    assert render(text, of_layer(LAYERS[0])).text == shown


def test_tags_are_in_the_language_of_the_report() -> None:
    text = "".join(f"⟦{kind}⟧" for kind in Kind if kind is not Kind.BRACKET)
    tags = {language: render(text, of_layer(LAYERS[0], language=language)) for language in ("zh", "en", "mixed")}
    assert tags["zh"].text == tags["mixed"].text
    assert re.fullmatch(r"(\[[\u4e00-\u9fff]+\])+", tags["zh"].text)
    assert re.fullmatch(r"(\[[A-Z]+\])+", tags["en"].text)
    assert {item.unknown for item in tags.values()} == {0}
    assert {len(item.places) for item in tags.values()} == {len(Kind) - 1}


def test_surrogates_are_one_for_a_name_in_a_layer_and_another_in_another() -> None:
    text = "".join(f"⟦person:{INTERNAL.codes.code('H', str(number))}⟧，" for number in range(300))
    shown = [render(text, of_layer(layer, names="surrogate")).text for layer in LAYERS]
    names = [item.split("，")[:-1] for item in shown]
    assert all(re.fullmatch("[\u4e00-\u9fff]{3}", name) for name in names[0])
    assert len(set(names[0])) > 295
    assert shown[0] == render(text, of_layer(LAYERS[0], names="surrogate")).text
    for other in names[1:]:
        assert sum(one == two for one, two in zip(names[0], other, strict=True)) < 3
    english = render(text, of_layer(LAYERS[0], names="surrogate", language="en")).text
    assert all(re.fullmatch(r"[A-Z][a-z]+ [A-Z]\. [A-Z][A-Za-z]+", name) for name in english.split("，")[:-1])


def test_there_are_more_surrogates_than_names_in_an_archive() -> None:
    drawn = {language: {surrogate(str(number), language) for number in range(20_000)} for language in ("zh", "en")}
    # By the birthday rule, 20,000 draws of n names have 2e8 / n pairs that are alike.
    assert min(map(len, drawn.values())) > 19_400


def test_days_that_leave_the_calendar_and_dates_that_are_not_shown_become_tags() -> None:
    layer = LAYERS[0]
    assert render("⟦date:ymd-han:9999-12-31⟧", style(layer, 7)).text == "[日期]"
    assert render("⟦date:ymd-han:0001-01-01⟧", style(layer, -7)).text == "[日期]"
    assert render("⟦date:ymd-han:2024-05-03⟧", style(layer, None)).text == "[日期]"


def test_a_whole_date_keeps_its_form() -> None:
    day = date(2024, 5, 3)
    forms = {"ymd-dash-dm": "2024-05-10", "mdy-en-cf": "May 10, 2024", "ymd-cn": "二〇二四年五月十日", "md-han": "5月10日"}
    for form, written in forms.items():
        assert render(f"⟦date:{form}:{day}⟧", style(LAYERS[0], 7)).text == written
    assert date(2024, 5, 10) - day == timedelta(7)


PLACES = (Place(3, 5, 3, 10), Place(5, 6, 10, 12), Place(10, 14, 16, 17))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 3), (0, 3, False)), ((6, 10), (12, 16, False)), ((14, 20), (17, 23, False)), ((0, 0), (0, 0, False)),
        ((3, 5), None), ((4, 5), None), ((3, 6), None), ((11, 13), None), ((12, 12), None),
        ((0, 4), (0, 3, True)), ((4, 8), (12, 14, True)), ((3, 8), (12, 14, True)), ((8, 12), (14, 16, True)),
        ((8, 14), (14, 16, True)), ((12, 20), (17, 23, True)), ((0, 20), (0, 23, True)), ((2, 15), (2, 18, True)),
        ((4, 12), (12, 16, True)), ((6, 14), (12, 16, True)),
    ],
)  # fmt: skip
def test_a_span_is_carried_and_cut(span: tuple[int, int], expected: tuple[int, int, bool] | None) -> None:
    assert carry(*span, PLACES) == expected


def test_where_nothing_was_removed_a_span_stays() -> None:
    assert carry(2, 7, ()) == (2, 7, False)
    assert moved(2, 7, ()) == (2, 7)


@pytest.mark.parametrize(
    ("span", "expected"), [((3, 5), (3, 10)), ((4, 5), (3, 10)), ((2, 12), (2, 17)), ((6, 10), (12, 16))]
)
def test_a_span_of_a_scrubbed_text_moves_with_whole_placeholders(span: tuple[int, int], expected: tuple[int, int]) -> None:
    assert moved(*span, PLACES) == expected


def test_nothing_shows_what_a_placeholder_says_or_how_a_style_codes() -> None:
    shown = repr([*placeholders_in(assembled().text), of_layer(LAYERS[0])])
    assert PATIENT not in shown
    assert "2024" not in shown
    assert "key" not in shown


@pytest.mark.parametrize("piece", ["⟦", "⟧", "⟦⟧", "⟦date:", "⟦date:ymd-han:2024-05-03⟧", "x⟦phone⟧"])
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    times = []
    gc.disable()  # what other tests have left takes time to look through, and the longer text gives more occasions
    try:
        for length in (10_000, 40_000):
            began = time.process_time()
            render((piece * length)[:length], of_layer(LAYERS[0]))
            times.append(time.process_time() - began)
    finally:
        gc.enable()
    assert times[1] < 12 * times[0] + 0.2
