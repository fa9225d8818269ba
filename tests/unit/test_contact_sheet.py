"""The contact sheet: whole in one file, without scripts, deaf to what its values say."""

import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from pathcurate.htmlreport.contactsheet import SHEET_ITEMS, VERDICTS, SheetItem, contact_sheet_html
from pathcurate.model.slide import SLIDES

HOSTILE = '"><script>alert(1)</script><img src=//x.test onerror=alert(1)>\u202e'


class Page(HTMLParser):
    """Elements of a page with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def jpeg() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (24, 18), "pink").save(buffer, "JPEG")
    return buffer.getvalue()


def item(slide_id: str = "a1b2", qc: str | None = "ok", picture: bytes | None = None) -> SheetItem:
    return SheetItem(slide_id, jpeg() if picture is None else picture, qc, 0.256, 0.031, 0.0)


def test_every_slide_is_shown_by_its_id_and_can_be_reached_by_keyboard() -> None:
    text = contact_sheet_html([item(f"id{n}") for n in range(SHEET_ITEMS)], "main", 2, 7)
    page = Page(text)
    slides = [attributes for attributes in page.all("li") if (attributes.get("class") or "").startswith("slide")]
    assert len(slides) == len(page.all("img")) == 200
    assert all(attributes["tabindex"] == "0" for attributes in slides)
    assert all((attributes["src"] or "").startswith("data:image/jpeg;base64,") for attributes in page.all("img"))
    assert "Page 2 of 7" in text
    assert "第 2 页，共 7 页" in text
    assert "26" in text


def test_a_page_whose_successors_are_not_counted_yet_says_only_its_number() -> None:
    text = contact_sheet_html([item()], "main", 2)
    assert "Page 2 ·" in text
    assert "None" not in text


def test_more_slides_than_a_page_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="200"):
        contact_sheet_html([item()] * 201, "main", 1, 1)


def test_hostile_values_stay_text() -> None:
    text = contact_sheet_html([item(HOSTILE, HOSTILE, b"<svg onload=alert(1)>")], HOSTILE, 1, 1)
    page = Page(text)
    assert page.all("script") == page.all("img") == page.all("link") == page.all("iframe") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "\u202e" not in text
    assert "no picture" in text


def test_the_page_forbids_scripts_and_any_network() -> None:
    text = contact_sheet_html([item()], "main", 1, 1)
    policies = [meta["content"] for meta in Page(text).all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not re.search(r"https?:|url\(|@import", text)


def test_there_is_a_filter_for_each_verdict_that_occurs_and_a_rule_that_makes_it_work() -> None:
    verdicts: list[str | None] = [*SLIDES["qc"].values, None]
    text = contact_sheet_html([item(str(n), verdict) for n, verdict in enumerate(verdicts)], "main", 1, 1)
    boxes = Page(text).all("input")
    assert {box["id"] for box in boxes} == {f"show-{verdict}" for verdict in VERDICTS}
    assert all("checked" in box for box in boxes)
    for verdict in VERDICTS:
        assert f"body:has(#show-{verdict}:not(:checked)) .slide.{verdict} {{ display: none; }}" in text
    assert {box["id"] for box in Page(contact_sheet_html([item()], "main", 1, 1)).all("input")} == {"show-ok"}


def test_the_same_slides_give_the_same_bytes() -> None:
    assert contact_sheet_html([item()], "main", 1, 1) == contact_sheet_html([item()], "main", 1, 1)
