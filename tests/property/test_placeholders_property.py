"""Spans through removals: a released span always points into the released text, at what stood there."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.model.removal import Kind, Removal
from pathcurate.placeholders import Place, assemble, carry, encoder, moved, placeholders_in, render, style
from pathcurate.pseudonyms import internal, product
from pathcurate.text.dateforms import find_dates, write

KEY = bytes(range(32))
INTERNAL, PRODUCT = internal(KEY), product(KEY, "p")
PATIENT = INTERNAL.codes.code("P", "1")
ENCODE = encoder(INTERNAL, PATIENT, site="NB01", own_numbers=["12345"])
KINDS = [kind for kind in Kind if kind is not Kind.BRACKET]
VALUES = {Kind.DATE: ("2024-05-03", "ymd-han"), Kind.CASE: ("S24-1", "A1")}

Case = tuple[str, list[Removal], int, int]


@st.composite
def removed(draw: st.DrawFn) -> Case:
    """A text, disjoint removals from it, and a span of it."""
    text = draw(st.text("ab左癌12⟦⟧:\n", max_size=30))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    pieces = [pair for pair in pairwise(cuts) if draw(st.booleans())]
    removals = []
    for start, end in pieces:
        kind = draw(st.sampled_from(KINDS))
        removals.append(Removal(start, end, kind, "test.rule", *VALUES.get(kind, ("", ""))))
    start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    return text, removals, start, end


def _without(text: str, start: int, end: int, places: tuple[Place, ...], *, out: bool) -> str:
    """What of a span lies outside the places."""
    spans = [(place.out_start, place.out_end) if out else (place.start, place.end) for place in places]
    return "".join(text[at] for at in range(start, end) if not any(first <= at < last for first, last in spans))


def _plain(text: str) -> str:
    return text.replace("⟦", "[").replace("⟧", "]")


@settings(max_examples=80)
@given(removed())
def test_a_carried_span_holds_what_stood_in_it_outside_removals(case: Case) -> None:
    text, removals, start, end = case
    whole = assemble(text, removals, ENCODE)
    outside = _plain(_without(text, start, end, whole.places, out=False))
    carried = carry(start, end, whole.places)
    touches = any(item.start < end and start < item.end for item in removals)
    if carried is None:
        assert touches
        assert outside == ""
        return
    assert 0 <= carried[0] <= carried[1] <= len(whole.text)
    assert carried[2] == touches
    assert _without(whole.text, carried[0], carried[1], whole.places, out=True) == outside
    # It begins and ends outside what was removed.
    assert all(not place.out_start < edge < place.out_end for place in whole.places for edge in carried[:2])


@settings(max_examples=80)
@given(removed(), st.sampled_from(["zh", "en"]), st.sampled_from(["tag", "surrogate"]), st.integers(-52, 52))
def test_rendering_moves_spans_as_removing_carried_them(case: Case, language: str, names: str, weeks: int) -> None:
    text, removals, start, end = case
    whole = assemble(text, removals, ENCODE)
    rendered = render(whole.text, style(PRODUCT, 7 * weeks, names=names, language=language))
    assert rendered.unknown == 0
    assert len(rendered.places) == len(removals)
    assert not set("⟦⟧") & set(rendered.text)
    kept = _without(text, 0, len(text), whole.places, out=False)
    assert _without(rendered.text, 0, len(rendered.text), rendered.places, out=True) == _plain(kept)
    for place, then in zip(whole.places, rendered.places, strict=True):
        assert (place.out_start, place.out_end) == (then.start, then.end)
        assert moved(place.out_start, place.out_end, rendered.places) == (then.out_start, then.out_end)
    # Straight from the source to the rendered text is the same way as over the text with placeholders.
    direct = tuple(
        Place(place.start, place.end, then.out_start, then.out_end)
        for place, then in zip(whole.places, rendered.places, strict=True)
    )
    carried = carry(start, end, whole.places)
    straight = carry(start, end, direct)
    assert (carried is None) == (straight is None)
    if carried and straight:
        assert moved(*carried[:2], rendered.places) == straight[:2]


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.text("⟦⟧:a-\n", max_size=6), st.sampled_from(["⟦phone⟧", "⟦date:ymd-han:2024-05-03⟧", "⟦date:"])))
)
def test_rendering_shows_no_bracket_and_nothing_of_what_is_malformed(pieces: list[str]) -> None:
    text = "".join(pieces)
    found = list(placeholders_in(text))
    rendered = render(text, style(PRODUCT, 7))
    assert not set("⟦⟧") & set(rendered.text)
    assert rendered.unknown == sum(item.kind is None for item in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    for item, place in zip(found, rendered.places, strict=True):
        shown = rendered.text[place.out_start : place.out_end]
        assert (item.kind is None) == (shown == "[?]")


@settings(max_examples=60)
@given(
    st.text("0123456789年月日号-/., 一二三十〇廿初至Mayugst1:T上午PM日期于(", max_size=40),
    st.one_of(st.none(), st.integers(1890, 2110)),
)
def test_whatever_the_text_dates_lie_in_it_and_can_be_written_and_moved(text: str, year: int | None) -> None:
    found = find_dates(text, year)
    edges = [edge for item in found for edge in (item.start, item.end)]
    assert edges == sorted(edges)
    assert all(0 <= item.start < item.end <= len(text) for item in found)
    removals = [Removal(item.start, item.end, Kind.DATE, item.rule, item.day.isoformat(), item.form) for item in found]
    assert all(write(item.form, item.day) for item in found)
    assert render(assemble(text, removals, ENCODE).text, style(PRODUCT, 7)).unknown == 0
