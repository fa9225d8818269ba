"""What becomes of values in headers of the TIFF family: unknown names put a slide aside, strange values go."""

from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import zxingcpp

from pathcurate.demo.tiffwriter import Field, ascii_text, undefined
from pathcurate.images.studylabel import study_label
from pathcurate.images.symbols import read_symbols
from pathcurate.model.filerule import FileRule, FileRules
from pathcurate.model.filescrub import Deed, OwnValue, UnscrubbableError
from pathcurate.scrubbers import tiff
from tests.makers import planted
from tests.makers.planted import RULES, job_of, refused, scrub
from tests.makers.tiff import ndpi_slide

# --- What is not known puts a slide aside --------------------------------------------------------------------------


def test_unknown_key_puts_the_slide_aside(tmp_path: Path) -> None:
    made = planted.svs(values={**planted.VALUES, "Herr Wurzelbacher": "x"})
    out = tmp_path / "out"
    out.mkdir()
    plan, written = tiff.write(job_of(made.write(tmp_path), "svs"), out)
    assert written is None
    assert list(out.iterdir()) == []
    assert {(item.table, item.name) for item in plan.unknown} == {("key", "Herr Wurzelbacher")}
    assert not any("Wurzelbacher" in item.place for item in plan.unknown)


def test_unknown_tag_puts_the_slide_aside(tmp_path: Path) -> None:
    made = planted.svs(extra={60_001: ascii_text("Wurzelbacher")})
    plan = tiff.plan(job_of(made.write(tmp_path), "svs"))
    assert [(item.table, item.name, item.place) for item in plan.unknown] == [("tag", "60001", "directory 0, tag 60001")]


def test_unknown_attribute_of_xml_puts_the_slide_aside(tmp_path: Path) -> None:
    made = planted.scn_slide()
    before, _, after = made.data.rpartition(b'<view sizeX="')
    data = before + b'<view nurse="' + after
    plan = tiff.plan(job_of(planted.Planted(data, "scn", ()).write(tmp_path), "scn"))
    assert [(item.table, item.name) for item in plan.unknown] == [("xml", "view@nurse")]


def test_rule_of_a_site_wins(tmp_path: Path) -> None:
    made = planted.svs(values={"Lamp": "Wurzelbacher"})
    shipped = RULES["svs"]
    keys = {**shipped.tables["key"], "lamp": FileRule("Lamp", Deed.REMOVE, is_of_site=True)}
    rules = FileRules("svs", "x", {**shipped.tables, "key": keys}, shipped.options)
    _, _, copy = scrub(made, tmp_path, rules=rules)
    assert b"Lamp" not in copy.read_bytes()


# --- Values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AppMag", "Wurzelbacher"), ("AppMag", "4712"), ("MPP", "王小明"), ("Left", "12345678901"),
        ("MPP", "0.5 Wurzelbacher"),
        ("OriginalWidth", "24-90817"), ("ICC Profile", "SN 5512-X"), ("DisplayColor", "a=b"), ("Top", "0.5\x00Wurzelbacher"),
    ],
)  # fmt: skip
def test_kept_key_with_a_strange_value_goes(key: str, value: str, tmp_path: Path) -> None:
    made = planted.svs(values={key: value})
    _, _, copy = scrub(made, tmp_path)
    data = copy.read_bytes()
    assert not any(form in data for form in planted.forms(value))
    assert b"Wurzelbacher" not in data


def test_value_that_the_catalog_knows_goes_wherever_it_stands(tmp_path: Path) -> None:
    made = planted.svs(values={"StripeWidth": "77123"})
    _, _, copy = scrub(made, tmp_path, known=(OwnValue("case", "77123"), OwnValue("number", "20")))
    data = copy.read_bytes()
    assert b"77123" not in data
    assert b"AppMag = 20" in data


def test_bars_and_equals_signs_in_values(tmp_path: Path) -> None:
    made = planted.svs(
        values={"Title": "A|Wurzelbacher 77|S24-90817-77", "User": "a=b=Wurzelb", "AppMag": "40|Hans Wurzelb"}
    )
    plan, _, copy = scrub(made, tmp_path)
    assert b"Wurzelb" not in copy.read_bytes()
    assert b"S24-90817" not in copy.read_bytes()
    assert {"Wurzelbacher 77", "S24-90817-77", "a=b=Wurzelb", "Hans Wurzelb"} <= {item.value for item in plan.own}
    assert b"AppMag = 40" in copy.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "latin-1"])
def test_words_in_the_first_line_of_a_description_go(encoding: str, tmp_path: Path) -> None:
    name = "Müller-Wurzelb" if encoding == "latin-1" else "王小明"
    text = f"Aperio Image Library v12.0.15 {name} S24-90817 \r\n512x384 [0,0 512x384] (64x64) JPEG/RGB Q=85|AppMag = 20"
    data = text.encode(encoding) + b"\0"
    made = planted.svs(extra={270: Field(2, len(data), data)})
    plan, path, copy = scrub(made, tmp_path)
    said = copy.read_bytes()
    assert not any(form in said for form in (*planted.forms(name), name.encode(encoding), b"S24-90817"))
    assert encoding == "latin-1" or name in {item.value for item in plan.own}
    with openslide.OpenSlide(path) as slide, openslide.OpenSlide(copy) as other:
        assert slide.level_dimensions == other.level_dimensions
        assert slide.properties["openslide.vendor"] == other.properties["openslide.vendor"] == "aperio"


def test_day_that_is_none_goes(tmp_path: Path) -> None:
    made = planted.svs(values={"Date": "Wurzelbacher 3.4.99"}, extra={306: ascii_text("gestern 09:15")})
    _, _, copy = scrub(made, tmp_path)
    assert not any(word in copy.read_bytes() for word in (b"Date", b"gestern", b"3.4.99"))


def test_text_behind_the_end_of_a_text_goes(tmp_path: Path) -> None:
    text = b"NDP.scan 3.2\0Wurzelbacher\0"
    made = ndpi_slide(first={305: (2, text), 65442: (2, b"Wurzelbacher\0")})
    slide = planted.Planted(made.read_at(0, made.size), "ndpi", ("Wurzelbacher",))
    _, _, copy = scrub(slide, tmp_path)
    assert b"NDP.scan 3.2\0" in copy.read_bytes()
    assert slide.leaks(copy.read_bytes()) == []


@pytest.mark.parametrize(
    "values", [b"Wurzelbacher", "Wurzelb".encode("utf-16-le") + b"\0\0", "王小明王小".encode("gb2312") + b"  "]
)
def test_numbers_that_spell_a_text_go(values: bytes, tmp_path: Path) -> None:
    made = planted.svs(extra={318: Field(4, len(values) // 4, values[: len(values) // 4 * 4])})
    _, _, copy = scrub(made, tmp_path)
    assert values[:8] not in copy.read_bytes()


def test_profile_keeps_its_colours_and_says_nothing(tmp_path: Path) -> None:
    _, path, copy = scrub(planted.svs(), tmp_path)
    profiles = []
    for one in (path, copy):
        with openslide.OpenSlide(one) as slide:
            profiles.append(slide.color_profile.profile)
    before, after = profiles
    assert before.profile_description.startswith(planted.ICC_TEXT)
    assert after.profile_description.strip() == ""
    assert after.media_white_point == before.media_white_point
    assert (after.xcolor_space, after.connection_space) == (before.xcolor_space, before.connection_space)


def test_profile_that_is_none_goes(tmp_path: Path) -> None:
    made = planted.svs(extra={34675: undefined(b"Wurzelbacher" * 20)})
    plan, _, copy = scrub(made, tmp_path)
    assert b"Wurzelbacher" not in copy.read_bytes()
    assert ("directory 0, tag 34675", Deed.REMOVE) in {(change.place, change.deed) for change in plan.changes}


NAME = "Wurzelbacher"
XML_CHANGES = {
    "a text between elements": ("<image ", f"{NAME}<image ", "<Image ", f"{NAME}<Image "),
    "a section of characters": ("</collection>", f"<![CDATA[{NAME}]]></collection>",
                                "</Pixels>", f"<![CDATA[{NAME}]]></Pixels>"),
    "an instruction": ("</collection>", f"<?x {NAME}?></collection>", "</Pixels>", f"<?x {NAME}?></Pixels>"),
    "a comment": ("</collection>", f"<!--{NAME}--></collection>", "</Pixels>", f"<!--{NAME}--></Pixels>"),
    "a comment behind the end": ("</scn>", f"</scn><!--{NAME}-->", "</OME>", f"</OME><!--{NAME}-->"),
    "a text behind a NUL": ("</scn>", f"</scn>\0{NAME}", "</OME>", f"</OME>\0{NAME}"),
    "the declaration": ("?>", f' standalone="{NAME}"?>') * 2,
    "a prefix": (" xmlns=", f' xmlns:{NAME}="http://www.w3.org/2001/XMLSchema-instance" xmlns=') * 2,
    "a namespace": (" xmlns=", f' xmlns:x="http://www.w3.org/{NAME}" xmlns=') * 2,
    "a language": (" xmlns=", f' xml:lang="{NAME}" xmlns=') * 2,
    "a number": (' sizeX="', f' sizeX="{NAME}', ' SizeX="', f' SizeX="{NAME}'),
    "references": ('objective>20<', f"objective>{''.join(f'&#{ord(sign)};' for sign in NAME)}<",
                   'NominalMagnification="40"', f'NominalMagnification="{NAME}"'),
    "an identifier": ("urn:uuid:1", NAME, "Objective:0:1", f"{NAME}:0:1"),
    "an element": ("</collection>", f"<{NAME}/></collection>", "</Pixels>", f"<{NAME}/></Pixels>"),
    "the name of an element": ("</collection>", f"<channel{NAME}/></collection>", "</Pixels>", f"<Channel{NAME}/></Pixels>"),
}  # fmt: skip
"""What is changed in Leica's XML, and in OME's."""


@pytest.mark.parametrize("change", XML_CHANGES)
def test_no_corner_of_xml_keeps_a_name(change: str, tmp_path: Path) -> None:
    for made, (before, after) in (
        (planted.scn_slide(), XML_CHANGES[change][:2]), (planted.ome_slide(tmp_path), XML_CHANGES[change][2:]),
    ):  # fmt: skip
        assert before.encode() in made.data
        data = planted._redescribed(made.data, lambda text, pair=(before, after): text.replace(*pair, 1))
        slide = planted.Planted(data, made.format, (NAME,))
        out = tmp_path / made.format
        out.mkdir()
        try:
            plan, written = tiff.write(job_of(slide.write(tmp_path), made.format), out)
        except UnscrubbableError:
            continue
        assert written is not None or plan.unknown
        assert written is None or slide.leaks((out / written.main).read_bytes()) == []


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ('<!DOCTYPE scn [<!ENTITY a "b">]><scn/>', "document type"), ("<scn><collection>", "damaged"),
        ('<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01/Wurzelbacher"/>', "not Leica's"), ("", "damaged"),
    ],
)  # fmt: skip
def test_xml_that_cannot_be_judged_is_refused(xml: str, reason: str, tmp_path: Path) -> None:
    made = planted.scn_slide()
    data = planted._redescribed(made.data, lambda _: xml)
    assert reason in refused(planted.Planted(data, "scn", ()), tmp_path)


def test_study_label_is_read_whatever_release_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(read_symbols(study_label("S-0123456789ABCDEF")), "text", None) == "S-0123456789ABCDEF"
    writer: Any = zxingcpp
    if hasattr(writer, "create_barcode"):
        # Releases before 2.3 have another function.
        made = np.asarray(writer.create_barcode("P-1", zxingcpp.BarcodeFormat.QRCode).to_image(scale=1))
        monkeypatch.delattr(zxingcpp, "create_barcode")
        monkeypatch.setattr(zxingcpp, "write_barcode", lambda kind, text: made, raising=False)
    assert getattr(read_symbols(study_label("P-1")), "text", None) == "P-1"
