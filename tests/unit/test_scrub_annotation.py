"""scrubbers.annotation: shapes and known classes stay, what names people, files and times goes."""

import functools
import io
import json
import os
import random
from contextlib import suppress
from datetime import date

import pytest

from pathcurate.annotations import asap as asap_reader
from pathcurate.annotations import geojson as geojson_reader
from pathcurate.filerules import load_rules
from pathcurate.model.filescrub import OwnValue, UnscrubbableError
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.scrubbers.annotation import scrub_annotation
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot, LocalSource
from tests.bytesearch import left_in
from tests.makers.annotations import SQUARE, asap, cell, collection, feature, polygon, qupath

CODE = "S-ABCDEFGHJKMNPQRS"
NAME = "Zhang Guifang 张桂芳"
IDS = {"id": "1b0b1b0e-0000-4000-8000-000000000000"}

IMAGESCOPE = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- exported by {NAME} -->
<Annotations MicronsPerPixel="0.252">
 <Annotation Id="1" Name="Tumor" ReadOnly="0" Type="4" LineColor="65280" MarkupImagePath="//srv/{NAME}/S12-34567.svs">
  <Attributes><Attribute Name="Description" Id="0" Value="{NAME}" /></Attributes>
  <Regions>
   <RegionAttributeHeaders><AttributeHeader Id="9999" Name="Region" ColumnWidth="-1" /></RegionAttributeHeaders>
   <Region Id="1" Type="0" Zoom="0.05" ImageLocation="C:\\{NAME}.svs" Length="1234.5" Area="88" Text="{NAME}">
    <Attributes /><Vertices><Vertex X="100.5" Y="20" Z="0" /><Vertex X="7" Y="8" Z="0" /></Vertices>
   </Region>
  </Regions><Plots />
 </Annotation>
</Annotations>"""
NDPA = f"""<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<annotations><ndpviewstate id="1"><title>Tumor</title><details>{NAME}</details><coordformat>nanometers</coordformat>
<lens>0.445623</lens><x>9087500</x><y>-1203</y><z>0</z><showtitle>0</showtitle>
<annotation type="freehand" displayname="AnnotateFreehand" color="#000000"><measuretype>0</measuretype><closed>1</closed>
<pointlist><point><x>123456789</x><y>-5</y></point></pointlist></annotation></ndpviewstate>
<ndpviewstate id="2"><title>S12-34567 {NAME}</title><user>{NAME}</user></ndpviewstate></annotations>"""


@functools.cache
def rules():
    return load_rules()["annotation"]


@pytest.fixture
def scrub(tmp_path):
    """Scrubs a text; gives the copy, None if there is none, and the plan."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "copies").mkdir()

    def scrub(content, **given):
        path = tmp_path / "archive" / "x.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {"known": (), "days": -77, "rules": rules(), **given}
        codes = LayerCodes((Pseudonyms(b"k" * 32),))
        root = LocalRoot(os.fsencode(path.parent))
        job = ScrubJob(root, (b"x.json",), "svs", CODE, None, None, codes=codes, **options)
        target = tmp_path / "copies" / "copy"
        target.unlink(missing_ok=True)
        with LocalSource(os.fsencode(path)) as source:
            plan = scrub_annotation(source, job, options["rules"], target)
        return (target.read_text() if target.exists() else None), plan

    scrub.copies = tmp_path / "copies"
    return scrub


def shapes(text):
    return [(shape.geometry.text, shape.label, shape.colour) for shape in geojson_reader.read_shapes(io.StringIO(text))]


class TestGeoJson:
    def test_qupath(self, scrub):
        child = qupath(polygon(SQUARE), label="Tumor: Positive")
        content = collection(
            qupath(properties={"name": NAME, "metadata": {"by": NAME}, "childObjects": [child], "isLocked": True}),
            qupath(label=None, properties={"classification": {"names": ["Tumor", "Negative"], "color": [1, 2, 3]}}),
            cell(1), cell(2), image=f"//srv/{NAME}/S12-34567.svs", annotator=NAME,
        )  # fmt: skip
        text, plan = scrub(content)
        assert plan.unknown == ()
        assert left_in(scrub.copies, {"name": NAME, "file": "S12-34567", **IDS}) == set()
        assert json.loads(text)["image"] == CODE
        assert shapes(text) == shapes(content.decode())
        assert {item.value for item in plan.own} >= {NAME, IDS["id"]}
        assert NAME not in repr(plan)

    def test_ids_are_replaced_the_same_everywhere(self, scrub):
        other = qupath(properties={"parentId": IDS["id"]})
        text, _ = scrub(collection(qupath(), other))
        first, second = json.loads(text)["features"]
        assert first["id"] == second["id"] == second["properties"]["parentId"] != IDS["id"]

    @pytest.mark.parametrize("form", ["array", "one", "geometry", "pretty", "utf-16"])
    def test_other_forms(self, scrub, form):
        one = feature(polygon(SQUARE), label="Stroma")
        content = {
            "array": json.dumps([one, one]), "one": json.dumps(one), "geometry": json.dumps(one["geometry"]),
            "pretty": json.dumps({"type": "FeatureCollection", "features": [one]}, indent=4),
            "utf-16": json.dumps([one]).encode("utf-16"),
        }[form]  # fmt: skip
        text, plan = scrub(content)
        assert plan.unknown == ()
        assert shapes(text) == shapes(content.decode("utf-16") if isinstance(content, bytes) else content)

    @pytest.mark.parametrize(
        ("content", "table", "name"),
        [
            (collection(qupath(label="Dr Krüger's cells")), "class", "Dr Krüger's cells"),
            (collection(qupath(properties={"remark": NAME})), "property", "remark"),
            (collection(qupath(), patient_name=NAME), "object", "patient_name"),
            (collection(qupath(properties={"measurements": {NAME: 1.0}})), "measurement", NAME),
            (collection(qupath({**polygon(SQUARE), "drawn_by": NAME})), "geometry", "drawn_by"),
        ],
    )
    def test_what_no_rule_knows_puts_the_file_aside(self, scrub, content, table, name):
        text, plan = scrub(content)
        assert text is None
        assert [(item.table, item.name) for item in plan.unknown] == [(table, name)]

    @pytest.mark.parametrize("value", [NAME, "S12-34567", {"a": NAME}, [NAME], 10**400, 123456, True])
    @pytest.mark.parametrize("key", ["color", "objectType", "isLocked"])
    def test_a_kept_name_with_another_value_loses_it(self, scrub, key, value):
        one = {"type": "Feature", "geometry": polygon(SQUARE), "properties": {key: value}}
        text, plan = scrub(json.dumps([one]), known=(OwnValue("number", "123456"),))
        assert plan.unknown == ()
        assert json.loads(text)[0]["properties"] == ({key: True} if value is True else {})

    def test_texts_among_coordinates(self, scrub):
        text, _ = scrub(json.dumps({"type": "Point", "coordinates": [1, NAME]}))
        assert json.loads(text) == {"type": "Point"}

    def test_a_class_that_holds_what_is_known(self, scrub):
        one = qupath(label="Region 4711")
        assert "4711" in scrub(collection(one))[0]
        assert "4711" not in scrub(collection(one), known=(OwnValue("number", "4711"),))[0]

    def test_dates_by_a_rule_of_the_site(self, scrub, tmp_path):
        said = "files: 1\nformats: {annotation: {tables: {property: {shift: {drawn: auto}}}}}\n"
        (tmp_path / "site.yaml").write_text(said)
        one = feature(polygon(SQUARE), drawn="2024-03-20T10:11:12Z")
        site = load_rules(tmp_path / "site.yaml")["annotation"]
        text, _ = scrub(json.dumps(one), rules=site)
        assert json.loads(text)["properties"] == {"drawn": date(2024, 1, 3).isoformat()}
        assert json.loads(scrub(json.dumps(one), rules=site, days=None)[0])["properties"] == {}

    def test_many_shapes_are_not_held_at_once(self, scrub):
        content = collection(*map(cell, range(1400)))
        assert len(content) > 1 << 20
        text, _ = scrub(content)
        was, now = (json.loads(one)["features"] for one in (content, text))
        assert [(one["geometry"], one["properties"]) for one in was] == [(one["geometry"], one["properties"]) for one in now]

    @pytest.mark.parametrize(
        "content",
        ["", "{", "[", "[1,]", '{"type": "Feature"', "[NaN]", "nonsense", '{"features": [{}}', "[]]",
         '{"image": "\\ud800", "type": "Point"', b"\xff\xfe\xfa",
         "[" * 100_000, b"\x1f\x8b\x08packed", '{"type": "Feature"} {"type": "Feature"}'],
    )  # fmt: skip
    def test_damaged(self, scrub, content):
        with pytest.raises(UnscrubbableError):
            scrub(content)
        assert list(scrub.copies.iterdir()) == []


class TestXml:
    def test_asap(self, scrub):
        content = asap([("Polygon", "Tumor", SQUARE), ("Dot", "None", [(1, 2)])], [("Tumor", "#ff0000")])
        more = f'<Attributes><Attribute Value="{NAME}" /></Attributes>'
        content = content.replace("Annotation 0", NAME).replace("<Attributes />", more)
        text, plan = scrub(content)
        assert plan.unknown == ()
        assert left_in(scrub.copies, {"name": NAME}) == set()
        was, now = (asap_reader.read_shapes(io.StringIO(one), io.StringIO(one)) for one in (content, text))
        assert list(was) == list(now)

    def test_a_group_that_no_rule_knows(self, scrub):
        text, plan = scrub(asap([("Polygon", NAME, SQUARE)], [(NAME, "#ff0000")]))
        assert text is None
        assert [(item.table, item.name) for item in plan.unknown] == [("class", NAME)]

    @pytest.mark.parametrize("content", [IMAGESCOPE, NDPA], ids=["imagescope", "ndpa"])
    def test_others(self, scrub, content):
        text, plan = scrub(content)
        assert plan.unknown == ()
        assert left_in(scrub.copies, {"name": NAME, "file": "S12-34567", "path": "//srv"}) == set()
        assert "Tumor" in text
        assert ('X="100.5"' in text) or ("<x>123456789</x>" in text)
        assert NAME in {item.value for item in plan.own}

    @pytest.mark.parametrize(
        "content",
        ["<a/>", "<Annotations>", "<Annotations></annotations>",
         '<!DOCTYPE a [<!ENTITY b "c">]><Annotations>&b;</Annotations>',
         "<annotations>" + "<annotation>" * 5000, "<Annotations>\0</Annotations>",
         '<?xml version="1.0" encoding="gb2312"?><Annotations/>'],
    )  # fmt: skip
    def test_damaged(self, scrub, content):
        with pytest.raises(UnscrubbableError):
            scrub(content)
        assert list(scrub.copies.iterdir()) == []

    def test_an_unknown_element_or_attribute(self, scrub):
        text, plan = scrub(f'<Annotations Owner="{NAME}"><Hospital>{NAME}</Hospital></Annotations>')
        assert text is None
        assert {item.name for item in plan.unknown} == {"Annotations.Owner", "Hospital"}


def test_whatever_is_damaged(scrub):
    whole = [collection(qupath(properties={"name": NAME}), cell(1)), IMAGESCOPE.encode(), NDPA.encode()]
    chosen, done = random.Random(4), 0
    for number in range(150):
        data = bytearray(whole[number % 3])
        for _ in range(chosen.choice((1, 3))):
            data[chosen.randrange(len(data))] = chosen.randrange(256)
        with suppress(UnscrubbableError):
            text, _ = scrub(bytes(data if chosen.random() < 0.8 else data[: chosen.randrange(len(data))]))
            done += text is not None
            assert text is None or NAME not in text
    assert done > 0
