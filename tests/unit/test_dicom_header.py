"""readers.dicom: the walk over a header, judged by pydicom, and its texts in any character set."""

import io
import os
import struct
import warnings
import zlib

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)  # fmt: skip

from pathcurate import readers
from pathcurate.dicomtexts import decode
from pathcurate.readers.dicom.elements import PRESENCE, Elements
from pathcurate.readers.dicom.facts import DATA_SET, META, common_facts, series_facts, slide_facts
from pathcurate.readers.dicom.header import read_header
from pathcurate.storage import LocalSource
from tests.dicoms import JPEG, SLIDE_CLASS, Memory, item, radiology, slide_part

SYNTAXES = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit,
]  # fmt: skip
BIG = ExplicitVRBigEndian


class Judge:
    """What pydicom reads, asked as the reader asks its own elements."""

    def __init__(self, data):
        self.data = data

    def __contains__(self, tag):
        return tag in self.data

    def _value(self, tag):
        return self.data[tag].value if tag in self.data else None

    def items(self, tag):
        value = self._value(tag)
        return [Judge(one) for one in value] if isinstance(value, Sequence) else []

    def _several(self, tag):
        value = self._value(tag)
        if value is None or value == "":
            return []
        return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]

    def text(self, tag):
        return "\\".join(str(value).strip() for value in self._several(tag)).strip() or None

    def numbers(self, tag):
        try:
            return [float(value) for value in self._several(tag)]
        except ValueError:
            return []

    def number(self, tag, least, most):
        numbers = self.numbers(tag)
        return numbers[0] if len(numbers) == 1 and least <= numbers[0] <= most else None

    def integer(self, tag):
        number = self.number(tag, 0, 2**31)
        return None if number is None else int(number)


def facts_of(data, syntax, sop_class):
    own = slide_facts(data) if sop_class == SLIDE_CLASS else series_facts(data)
    return {**common_facts(data, syntax, sop_class or ""), **own}


def same_facts(raw):
    """The facts that the reader and pydicom find."""
    header = read_header(Memory(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(io.BytesIO(raw), stop_before_pixels=True, force=True)
        sop_class = data.get("SOPClassUID")
        theirs = facts_of(Judge(data), data.file_meta.get("TransferSyntaxUID"), sop_class)
    assert header.broken is None
    assert not header.is_cut
    assert facts_of(header.data, header.syntax, header.sop_class) == theirs
    return theirs


def written(data, syntax=ExplicitVRLittleEndian, *, is_undefined=False):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.get("SOPClassUID", SLIDE_CLASS)
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    if is_undefined:
        make_undefined(data)
    buffer = io.BytesIO()
    file = FileDataset(buffer, data, file_meta=meta, preamble=bytes(128), is_little_endian=syntax != BIG)
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def make_undefined(data):
    for element in data:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for one in element.value:
                one.is_undefined_length_sequence_item = True
                make_undefined(one)


def with_length(value):
    """Kind, length and bytes of a code string in explicit little endian."""
    raw = value.encode() + b" " * (len(value) % 2)
    return b"CS" + struct.pack("<H", len(raw)) + raw


words = st.text("ABC xyz09^王伟张", max_size=12).map(str.strip)
VALUES = {
    "CS": st.sampled_from(["", "YES", "L", "VOLUME", "TILED_FULL"]), "UI": st.sampled_from(["", "1.2.3", "1.2.840.10008.1"]),
    "DA": st.sampled_from(["", "20230102", "18991231"]), "TM": st.sampled_from(["", "010203.5", "0102"]),
    "DT": st.sampled_from(["", "20230704101112.5+0800", "2023"]), "SH": words, "LO": words, "UT": words, "LT": words,
    "PN": words, "UC": words, "DS": st.sampled_from(["", "0.00025", "20", "-1.5"]), "IS": st.sampled_from(["", "3", "0"]),
    "US": st.integers(0, 65_535), "UL": st.integers(0, 2**32 - 1), "FL": st.sampled_from([0.5, 15.0]),
}  # fmt: skip


@st.composite
def data_sets(draw, wanted=DATA_SET, depth=0):
    data = Dataset()
    if depth == 0:
        data.SpecificCharacterSet = draw(st.sampled_from(["GB18030", "ISO_IR 192"]))
        data.SOPClassUID = draw(st.sampled_from([SLIDE_CLASS, "1.2.840.10008.5.1.4.1.1.2"]))
    chosen = draw(st.lists(st.sampled_from(sorted(set(wanted) - {0x0008_0005, 0x0008_0016})), max_size=20, unique=True))
    for tag in chosen:
        want = wanted[tag]
        if want == PRESENCE:
            data.add_new(tag, "OB", b"12")
        elif isinstance(want, str):
            data.add_new(tag, want, draw(VALUES[want]))
        else:
            data.add_new(tag, "SQ", draw(st.lists(data_sets(want, depth + 1), max_size=2)))
    if draw(st.booleans()):
        group = draw(st.sampled_from([0x0009, 0x0029, 0x5201]))
        data.add_new(group << 16 | 0x0010, "LO", "MAKER")
        data.add_new(group << 16 | 0x1001, "OB", draw(st.binary(max_size=9)) * 2)
        data.add_new(group << 16 | 0x1002, "SQ", [item(CodeValue="1", Rows=3), item()])
    return data


class TestWalk:
    def test_the_table_of_attributes_is_the_standards(self):
        def check(wanted):
            for tag, want in wanted.items():
                expected = dictionary_VR(tag)
                if not isinstance(want, str):
                    assert expected == "SQ", hex(tag)
                    check(want)
                elif want != PRESENCE:
                    assert expected == want, hex(tag)

        check(DATA_SET)
        check(META)

    @settings(max_examples=200, deadline=None)
    @given(data_sets(), st.sampled_from(SYNTAXES), st.booleans())
    def test_what_pydicom_writes_reads_as_pydicom_reads_it(self, data, syntax, is_undefined):
        same_facts(written(data, syntax, is_undefined=is_undefined))

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
    @pytest.mark.parametrize("make", [radiology, slide_part])
    def test_every_native_syntax(self, make, syntax):
        data = pydicom.dcmread(io.BytesIO(make()))
        data.file_meta.TransferSyntaxUID = syntax
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, data, little_endian=syntax != BIG, implicit_vr=syntax == ImplicitVRLittleEndian)
        facts = same_facts(buffer.getvalue())
        assert facts["series"] is not None
        part = readers.read_slide(Memory(buffer.getvalue())).part
        assert part.status == "ok"
        if syntax != DeflatedExplicitVRLittleEndian:
            assert readers.read_slide(Memory(buffer.getvalue()[:-3])).part.status in {"truncated", "corrupt"}

    def test_a_wrong_or_missing_transfer_syntax_is_seen_through(self):
        right = readers.read_slide(Memory(radiology())).part.facts
        for syntax in (ImplicitVRLittleEndian, None):
            data = pydicom.dcmread(io.BytesIO(radiology()))
            if syntax is None:
                del data.file_meta.TransferSyntaxUID
            else:
                data.file_meta.TransferSyntaxUID = syntax
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, data, little_endian=True, implicit_vr=False, force_encoding=True)
            facts = readers.read_slide(Memory(buffer.getvalue())).part.facts
            names = set(right) - {"syntax", "compression"}
            assert {name: facts[name] for name in names} == {name: right[name] for name in names}

    def test_a_value_of_unknown_kind_is_of_the_standards(self):
        data = radiology().replace(b"\x08\0\x90\x10LO\x06\0Model ", b"\x08\0\x90\x10UN\0\0\x06\0\0\0Model ")
        assert same_facts(data)["model"] == "Model"

    def test_fifty_thousand_frames_cost_two_reads(self):
        body = (
            b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff"
            + (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + bytes(64) + b"\xfe\xff\x0d\xe0\0\0\0\0") * 50_000
        )
        data = slide_part(syntax=JPEG)
        at = data.index(b"\xe0\x7f\x10\x00OB")
        source = Memory(data[:at] + body + data[at:])
        assert readers.read_slide(source).part.status == "ok"
        assert source.reads <= 3
        assert source.bytes_read < 32_768

    def test_the_real_files_read_as_pydicom_reads_them(self, real_data):
        seen = 0
        for folder in ("dicom", "wsi"):
            for path in sorted((real_data / folder).rglob("*")):
                if not path.is_file():
                    continue
                with LocalSource(os.fsencode(path)) as source:
                    result = readers.read_slide(source)
                    if result is None or result.part is None or result.part.status != "ok":
                        continue
                same_facts(path.read_bytes())
                seen += 1
        if not seen:
            pytest.skip("no DICOM files in PATHCURATE_REAL_DATA")


class TestDamage:
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_whatever_is_done_to_a_header_there_is_an_answer(self, data):
        raw = bytearray(data.draw(st.sampled_from(HOSTS)))
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(raw) - 4))
            raw[at : at + 4] = data.draw(st.sampled_from([
                b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"SQ\0\0", b"UN\0\0", bytes(4),
                b"\xfe\xff\xff\x7f", b"\x00\x52\x30\x92", b"\xe0\x7f\x10\0",
            ]))  # fmt: skip
        raw = raw[: data.draw(st.integers(0, len(raw)))]
        source = Memory(bytes(raw))
        result = readers.read_slide(source)
        assert source.bytes_read < 1 << 20
        assert result is None or result.part is None or result.part.status in {"ok", "truncated", "corrupt"}
        readers.sample_pixels(Memory(bytes(raw)), "dicom")
        count = readers.count_tiles(Memory(bytes(raw)), "dicom")
        assert count is None or 0 <= count.bad <= count.checked
        assert source.bytes_read < 1 << 20

    @pytest.mark.parametrize(
        "element",
        [
            b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
            b"\x40\x00\x60\x05SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
            b"\x40\x00\x60\x05SQ\0\0\xf0\xff\xff\x00" + b"\xfe\xff\x00\xe0\xf0\xff\xf0\x00",
        ],
    )
    def test_a_million_nested_sequences_are_left_after_a_few(self, element):
        data = radiology()
        at = data.index(b"\x08\x00\x70\x00LO")
        source = Memory(data[:at] + element * 1_000_000)
        assert readers.read_slide(source).part.status in {"truncated", "corrupt"}
        assert source.bytes_read < 1 << 20

    def test_items_without_end_are_left_after_sixteen_megabytes(self):
        data = radiology()
        at = data.index(b"\x08\x00\x70\x00LO")
        endless = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 4_000_000
        source = Memory(data[:at] + endless)
        part = readers.read_slide(source).part
        assert (part.status, part.status_detail) == ("corrupt", "the header is too long")
        assert source.bytes_read < 17 << 20

    def test_what_was_read_before_the_damage_is_kept(self):
        data = radiology()
        part = readers.read_slide(Memory(data[: data.index(b"\x20\x00\x13\x00IS") + 20])).part
        assert (part.status, part.group) == ("truncated", part.facts["series"])
        broken = data.replace(b"\x28\x00\x02\x00US", b"\x28\x00\x02\x00SQ\0\0\xff\xff\xff\xff", 1)
        part = readers.read_slide(Memory(broken)).part
        assert (part.status, part.facts["patient_id"]) == ("corrupt", "P0002")
        assert part.group is not None

    def test_a_deflated_header_that_does_not_inflate(self):
        data = pydicom.dcmread(io.BytesIO(radiology()))
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        buffer = io.BytesIO()
        data.save_as(buffer)
        begin = 132 + 12 + int.from_bytes(buffer.getvalue()[140:144], "little")
        assert readers.read_slide(Memory(buffer.getvalue()[:begin] + b"\xff" * 99)).part.status == "corrupt"
        cut = zlib.compressobj(wbits=-15)
        body = cut.compress(struct.pack("<HH2sH", 8, 5, b"CS", 99)) + cut.flush()
        assert readers.read_slide(Memory(buffer.getvalue()[:begin] + body)).part.status == "truncated"


HOSTS = [slide_part(), slide_part(sparse=True, syntax=JPEG), radiology(), radiology(rows=0)]

CHINESE = ["王五", "欧阳锋", "张三^李四", "CT平扫", "胸部正位片", "朱镕基", "右髋关节（正位）", "病理号：A1", "龘龘", "赵喆"]
WESTERN = ["Müller", "Größe", "Äneas^Rüdiger", "Buc^Jérôme", "Müßig", "naïve", "señor", "À la carte"]


class TestTexts:
    @pytest.mark.parametrize("declared", [(), ("",), ("ISO_IR 100",), ("ISO_IR 192",), ("GB18030",), ("GBK",), ("ISO_IR 6",),
                                          ("ISO 2022 IR 58",), ("", "ISO 2022 IR 58"), ("NONSENSE",)])  # fmt: skip
    @pytest.mark.parametrize("text", CHINESE)
    def test_chinese_is_read_whatever_is_declared(self, text, declared):
        assert decode(text.encode("utf-8"), declared) == text
        # Two characters of GB 2312 in a row can be UTF-8 too: then it is what it is declared to be.
        if declared != ("ISO_IR 192",) or text != "CT平扫":
            assert decode(text.encode("gb18030"), declared) == text

    @pytest.mark.parametrize("text", WESTERN)
    def test_western_texts_stay_so(self, text):
        assert decode(text.encode("latin-1"), ("ISO_IR 100",)) == text
        assert decode(text.encode("utf-8"), ("ISO_IR 192",)) == text
        assert decode(text.encode("utf-8"), ("ISO_IR 100",)) == text

    @pytest.mark.parametrize(
        ("text", "codec", "declared"),
        [
            ("Люкceмбypг", "iso8859_5", ("ISO_IR 144",)), ("Διονυσιος", "iso8859_7", ("ISO_IR 126",)),
            ("شرح", "iso8859_6", ("ISO_IR 127",)), ("ﾔﾏﾀﾞ", "shift_jis", ("ISO_IR 13",)),
        ],
    )  # fmt: skip
    def test_other_scripts_as_declared(self, text, codec, declared):
        assert decode(text.encode(codec), declared) == text

    @pytest.mark.parametrize("declared", [("", "ISO 2022 IR 58"), ("ISO 2022 IR 6", "ISO 2022 IR 58"), (), ("ISO_IR 192",)])
    def test_code_extensions(self, declared):
        raw = b"Zhang^XiaoDong=\x1b$)A" + "张".encode("gb2312") + b"^\x1b$)A" + "小东".encode("gb2312") + b"="
        assert decode(raw, declared) == "Zhang^XiaoDong=张^小东="

    def test_japanese_and_korean_code_extensions(self):
        japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
        assert decode(japanese, ("", "ISO 2022 IR 87")) == "Yamada^Tarou=山田^太郎"
        korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
        assert decode(korean, ("", "ISO 2022 IR 149")) == "Hong^Gildong=洪^吉洞"

    @settings(max_examples=300)
    @given(
        st.binary(max_size=60), st.lists(st.sampled_from(["", "ISO_IR 100", "GB18030", "ISO 2022 IR 58", "X"]), max_size=3)
    )
    def test_anything_is_read_as_something(self, raw, declared):
        assert isinstance(decode(raw, declared), str)

    @settings(max_examples=300)
    @given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=12),
           st.sampled_from([(), ("ISO_IR 100",), ("ISO_IR 192",), ("GB18030",)]))  # fmt: skip
    def test_any_hanzi_in_utf_8(self, text, declared):
        assert decode(text.encode(), declared) == text

    @pytest.mark.parametrize("declared", ["ISO_IR 100", "ISO_IR 192", "GB18030", "ISO 2022 IR 58", None])
    @pytest.mark.parametrize("true", ["GB18030", "ISO_IR 192"])
    def test_in_every_text_that_is_kept(self, declared, true):
        texts = {
            "PatientName": "王^五",
            "InstitutionName": "示例市病理诊断中心",
            "SeriesDescription": "胸部正位",
            "StationName": "一号机",
        }
        raw = radiology(SpecificCharacterSet=true, **texts)
        code = b"" if declared is None else b"\x08\0\x05\0" + with_length(declared)
        raw = raw.replace(b"\x08\0\x05\0" + with_length(true), code)
        facts = readers.read_slide(Memory(raw)).part.facts
        names = ("patient_name", "institution", "description", "station")
        assert [facts[name] for name in names] == list(texts.values())

    def test_label_text_and_specimen_with_a_set_of_its_own(self):
        specimen = item(SpecificCharacterSet="ISO_IR 192", SpecimenIdentifier="病1")
        data = slide_part("LABEL", LabelText="张三 HE", SpecimenDescriptionSequence=[specimen])
        facts = readers.read_slide(Memory(data)).part.facts
        assert facts["label_text"] == "张三 HE"
        assert "病1" in facts["texts"]


def test_an_empty_element_set_has_nothing():
    data = Elements(values={1: ("US", b"\1"), 2: ("DS", b"1\\x"), 3: ("OB", b"12"), 4: ("DS", b"nan"), 5: ("LO", b" \0")})
    assert [data.numbers(tag) for tag in range(6)] == [[]] * 6
    assert [data.text(tag) for tag in (0, 1, 3, 5)] == [None] * 4
