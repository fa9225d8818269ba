"""scrubbers.mrxs: planted identifiers are gone from every byte, the slide is the same for readers, damage is refused."""

import functools
import os
import random
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import openslide
import pytest

from pathcurate import readers
from pathcurate.filerules import load_rules
from pathcurate.model.filescrub import Deed, OwnValue, UnscrubbableError
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.scrubbers import mrxs
from pathcurate.scrubbers.mrxs.settings import general_name, new_id
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot, LocalSource
from tests.bytesearch import left_in
from tests.makers.mrxs import PLANTED, SLIDE_ID, make_mrxs, make_planted

CODE = "S-ABCDEFGHJKMNPQRS"


@functools.cache
def shipped_rules():
    return load_rules()["mrxs"]


def job_of(path: Path, **options) -> ScrubJob:
    root = path.parent
    members = sorted(os.fsencode(file.relative_to(root)) for file in path.with_suffix("").rglob("*") if file.is_file())
    codes = LayerCodes((Pseudonyms(b"k" * 32),))
    given = {"patient": None, "case": None, "days": -77, **options}
    return ScrubJob(
        LocalRoot(os.fsencode(root)), (os.fsencode(path.name), *members), "mrxs", CODE, codes=codes,
        rules=shipped_rules(), **given,
    )  # fmt: skip


def edit(path: Path, old: str, new: str) -> None:
    ini = path.with_suffix("") / "Slidedat.ini"
    text = ini.read_bytes().decode("utf-8-sig")
    assert old in text
    ini.write_bytes(text.replace(old, new).encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def runs(path: Path) -> list[tuple[str, bytes]]:
    """Each image of the pyramid with its bytes."""
    found = []
    with LocalSource(os.fsencode(path)) as opened:
        for run in readers.pixel_runs(opened, "mrxs"):
            with opened.beside(run.file) as data:
                found.append((run.image, data.read_at(run.offset, run.length)))
    return found


def same_for_openslide(one: Path, other: Path) -> None:
    with openslide.OpenSlide(one) as before, openslide.OpenSlide(other) as after:
        assert before.level_dimensions == after.level_dimensions
        for name in ("mpp-x", "mpp-y", "objective-power", "vendor"):
            assert before.properties[f"openslide.{name}"] == after.properties[f"openslide.{name}"]
        for level, size in enumerate(before.level_dimensions):
            assert before.read_region((0, 0), level, size).tobytes() == after.read_region((0, 0), level, size).tobytes()
        assert set(after.associated_images) == set()


class TestPlanted:
    @pytest.mark.parametrize("options", [{}, {"wide_ids": True, "bom": False}, {"files": 1, "page_records": 1}], ids=str)
    def test_nothing_is_left(self, source, target, options):
        path = make_planted(source, **options)
        assert {place for _, place in left_in(source, PLANTED)} == PLANTED.keys()
        before = {file: file.read_bytes() for file in source.rglob("*") if file.is_file()}
        plan, written = mrxs.write(job_of(path), target)
        assert plan.unknown == ()
        assert plan.refusal is None
        assert left_in(target, PLANTED) == set()
        assert written.main == f"{CODE}.mrxs"
        assert written.dropped == 1
        assert set(written.files) == {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()}
        assert sum((target / file).stat().st_size for file in written.files) <= plan.size + 4096
        assert {file: file.read_bytes() for file in before} == before

    def test_pixels_and_geometry_are_the_same(self, source, target):
        path = make_planted(source)
        _, written = mrxs.write(job_of(path), target)
        same_for_openslide(path, target / written.main)
        assert runs(path) == runs(target / written.main)
        assert runs(path)[0][0] == "level 0, 512 x 288"
        with LocalSource(os.fsencode(target / written.main)) as copy:
            header = readers.read_slide(copy).header
        assert (header.status, header.scanner_serial) == ("ok", None)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, False, False)
        assert str(header.scan_datetime) == "2005-08-29 00:00:00"

    def test_what_goes_is_to_be_searched_for(self, source):
        plan = mrxs.plan(job_of(make_planted(source)))
        own = {item.value for item in plan.own}
        assert own >= {PLANTED[place] for place in ("name in SLIDE_NAME", "project", "created", "utc", "barcode", "id")}
        assert PLANTED["name"] in own
        said = repr(plan)
        assert not any(value in said for value in PLANTED.values())

    def test_what_is_done_is_said(self, source):
        plan = mrxs.plan(job_of(make_planted(source)))
        deeds = {change.place.rpartition(".")[2]: change.deed for change in plan.changes}
        assert deeds["SLIDE_NAME"] == Deed.PSEUDONYM
        assert deeds["SLIDE_ID"] == Deed.UID
        assert deeds["SLIDE_CREATIONDATETIME"] == Deed.SHIFT
        assert deeds["CAMERA_TYPE"] == Deed.REMOVE
        assert sum(change.place.startswith("record ") for change in plan.changes) == 6


class TestBytes:
    def test_files_hold_nothing_that_nothing_refers_to(self, source, target):
        path = make_planted(source)
        mrxs.write(job_of(path), target)
        data = b"".join((target / CODE / f"Data000{number}.dat").read_bytes() for number in range(3))
        for _, content in runs(target / f"{CODE}.mrxs"):
            data = data.replace(content, b"", 1)
        rest = [byte for byte in data if byte]
        # Three heads (version, id, number) and the position buffer.
        assert len(rest) <= 3 * (5 + len(SLIDE_ID) + 1) + 9 * 48

    def test_the_id_is_the_same_everywhere(self, source, target):
        mrxs.write(job_of(make_mrxs(source)), target)
        made = new_id(CODE, len(SLIDE_ID))
        assert made != SLIDE_ID.encode()
        assert (target / CODE / "Slidedat.ini").read_text("utf-8-sig").count(made.decode()) == 1
        for number, file in enumerate(sorted((target / CODE).glob("Data*"))):
            assert file.read_bytes().startswith(b"01.02" + made + b"%d\0" % number)
        assert (target / CODE / "Index.dat").read_bytes().startswith(b"01.02" + made)

    def test_the_id_in_sixteen_bits_cut_off(self, source, target):
        mrxs.write(job_of(make_mrxs(source, wide_ids=True)), target)
        wide = new_id(CODE, len(SLIDE_ID)).decode().encode("utf-16-le")[: len(SLIDE_ID)]
        assert (target / CODE / "Data0001.dat").read_bytes().startswith(b"01.02" + wide + b"1\0")

    def test_files_with_other_names_get_stock_ones(self, source, target):
        path = make_mrxs(source, index_name="H19-30771.dat")
        (path.with_suffix("") / "Data0001.dat").rename(path.with_suffix("") / "Zhang San.dat")
        edit(path, "FILE_1 = Data0001.dat", "FILE_1 = Zhang San.dat")
        _, written = mrxs.write(job_of(path), target)
        assert {Path(name).name for name in written.files} == {
            f"{CODE}.mrxs", "Slidedat.ini", "Index.dat", "Data0000.dat", "Data0001.dat", "Data0002.dat",
        }  # fmt: skip
        same_for_openslide(path, target / written.main)

    def test_a_copy_of_a_copy_is_the_same(self, source, target, tmp_path):
        mrxs.write(job_of(make_planted(source)), target)
        again = tmp_path / "again"
        again.mkdir()
        mrxs.write(job_of(target / f"{CODE}.mrxs", days=0), again)
        for file in target.rglob("*.*"):
            assert (again / file.relative_to(target)).read_bytes() == file.read_bytes()


class TestRules:
    def test_an_unknown_key_and_record_put_the_slide_aside(self, source, target):
        path = make_mrxs(source, others=[("PatientLayer", "Data", b"x")], general={"SLIDE_REMARK": "Zhang"})
        plan, written = mrxs.write(job_of(path), target)
        assert written is None
        assert list(target.iterdir()) == []
        assert {(item.table, item.name) for item in plan.unknown} == {
            ("ini", "GENERAL.SLIDE_REMARK"), ("record", "PatientLayer/Data"),
        }  # fmt: skip

    def test_an_unknown_layer_of_the_pyramid(self, source):
        path = make_mrxs(source, focus_levels=2)
        edit(path, "Microscope focus level", "Layer of Zhang San")
        assert [item.table for item in mrxs.plan(job_of(path)).unknown] == ["layer"]

    @pytest.mark.parametrize("value", ["Zhang San", "20240615", "13900001111", "14.11.2005 Kr\u00fcger", "S24-1"])
    def test_a_kept_key_with_another_value_loses_it(self, source, target, value):
        path = make_mrxs(source, general={"OBJECTIVE_NAME": value, "ADAPTER_SIZE": value})
        mrxs.write(job_of(path), target)
        assert left_in(target, {"value": value}) == set()

    def test_a_known_value_goes_even_if_it_is_a_number(self, source, target):
        path = make_mrxs(source, general={"ADAPTER_SIZE": "307719"})
        mrxs.write(job_of(path, known=(OwnValue("number", "307719"),)), target)
        assert left_in(target, {"value": "307719"}) == set()

    def test_a_value_that_readers_need_and_that_cannot_stay_is_refused(self, source):
        path = make_mrxs(source)
        edit(path, "DIGITIZER_WIDTH = 64", "DIGITIZER_WIDTH = Zhang")
        with pytest.raises(UnscrubbableError, match="DIGITIZER_WIDTH") as refused:
            mrxs.plan(job_of(path))
        assert "Zhang" not in str(refused.value)

    def test_dates_go_where_the_profile_shows_none(self, source, target):
        path = make_mrxs(source, general={"SLIDE_CREATIONDATETIME": "14/11/2005 11:04:18"})
        mrxs.write(job_of(path, days=None), target)
        assert "CREATIONDATETIME" not in (target / CODE / "Slidedat.ini").read_text("utf-8-sig")

    def test_what_is_needed_of_records_stays_and_is_numbered(self, source, target):
        path = make_mrxs(source, positions=True, others=[("StitchingIntensityLayer", "StitchingIntensityLevel", bytes(90))])
        mrxs.write(job_of(path), target)
        text = (target / CODE / "Slidedat.ini").read_text("utf-8-sig")
        assert "NONHIER_COUNT = 2" in text
        assert "NONHIER_0_NAME = VIMSLIDE_POSITION_BUFFER" in text
        assert "NONHIER_1_VAL_0 = StitchingIntensityLevel" in text
        assert "NONHIER_2" not in text
        same_for_openslide(path, target / f"{CODE}.mrxs")

    @pytest.mark.parametrize(
        ("name", "general"),
        [("NONHIER_3_VAL_12_SECTION", "NONHIER_#_VAL_#_SECTION"), ("ZStackLevel_(-2)", "ZStackLevel_(#)"),
         ("CIS_VCC_F52U25CL", "CIS_VCC_F#U#CL"), ("MICROMETER_PER_PIXEL_X", "MICROMETER_PER_PIXEL_X"),
         ("A12345678", "A12345678")],
    )  # fmt: skip
    def test_numbers_in_names(self, name, general):
        assert general_name(name) == general


class TestRefused:
    def test_a_text_in_a_table_of_numbers(self, source):
        text = b"Zhang San, born 1961-02-03 in Xi'an"
        path = make_mrxs(source, others=[("StitchingIntensityLayer", "StitchingIntensityLevel", bytes(90) + text)])
        with pytest.raises(UnscrubbableError, match="holds a text"):
            mrxs.plan(job_of(path))

    def test_much_that_nobody_refers_to(self, source):
        path = make_mrxs(source)
        with (path.with_suffix("") / "Data0001.dat").open("ab") as file:
            file.write(random.Random(1).randbytes(2 << 20))
        with pytest.raises(UnscrubbableError, match="nothing in it refers to"):
            mrxs.plan(job_of(path))

    def test_much_room_that_is_empty_is_cut(self, source, target):
        path = make_mrxs(source)
        file = path.with_suffix("") / "Data0001.dat"
        size = file.stat().st_size
        os.truncate(file, size + (8 << 20))
        mrxs.write(job_of(path), target)
        assert (target / CODE / "Data0001.dat").stat().st_size == size

    def test_a_label_that_shares_bytes_with_the_pyramid(self, source):
        path = make_mrxs(source)
        index = path.with_suffix("") / "Index.dat"
        data = bytearray(index.read_bytes())
        head = 5 + len(SLIDE_ID)
        (table,) = struct.unpack_from("<i", data, head + 4)
        (pointer,) = struct.unpack_from("<i", data, table + 8)  # the label is the third
        (page,) = struct.unpack_from("<i", data, pointer + 4)
        struct.pack_into("<3i", data, page + 16, 60, 500, 0)
        index.write_bytes(data)
        with pytest.raises(UnscrubbableError, match="shares bytes"):
            mrxs.plan(job_of(path))

    @pytest.mark.parametrize(("offset", "length"), [(20, 30), (60, 2000)])
    def test_an_image_that_shares_bytes(self, source, offset, length):
        """With the head of its data file, or with the next image."""
        path = make_mrxs(source)
        index = path.with_suffix("") / "Index.dat"
        data = bytearray(index.read_bytes())
        at = 5 + len(SLIDE_ID)
        # Table, chain, its empty first page, the next one, whose first record begins behind its two numbers.
        for step in (0, 4, 4):
            (at,) = struct.unpack_from("<i", data, at)
            at += step
        (at,) = struct.unpack_from("<i", data, at)
        struct.pack_into("<2i", data, at + 12, offset, length)
        index.write_bytes(data)
        with pytest.raises(UnscrubbableError, match="bytes with"):
            mrxs.plan(job_of(path))

    def test_a_comment_in_an_image(self, source):
        path = make_mrxs(source)
        file = path.with_suffix("") / "Data0000.dat"
        data = bytearray(file.read_bytes())
        # The JFIF segment of the first image becomes a comment.
        at = data.index(b"\xff\xe0")
        data[at : at + 18] = b"\xff\xfe\0\x10Zhang San, 61.."[:18]
        file.write_bytes(data)
        with pytest.raises(UnscrubbableError, match="hold texts"):
            mrxs.plan(job_of(path))

    @pytest.mark.parametrize("behind", [False, True])
    def test_a_text_in_a_later_image(self, source, behind):
        path = make_mrxs(source)
        file = path.with_suffix("") / "Data0000.dat"
        data = bytearray(file.read_bytes())
        begin = -1
        for _ in range(7):
            begin = data.index(b"\xff\xd8\xff\xe0", begin + 1)
        if behind:
            # Its end comes early, and the rest of its bytes are a text.
            end = data.index(b"\xff\xd8\xff\xe0", begin + 1)
            data[end - 62 : end] = b"\xff\xd9" + b"Zhang San, 61. ".ljust(60)
        else:
            data[begin + 2 : begin + 20] = b"\xff\xfe\0\x10Zhang San, 61.."[:18]
        file.write_bytes(data)
        with pytest.raises(UnscrubbableError, match="hold texts"):
            mrxs.plan(job_of(path))

    def test_the_index_of_another_slide(self, source):
        path = make_mrxs(source)
        edit(path, SLIDE_ID, "F" * 32)
        with pytest.raises(UnscrubbableError, match="not that of this slide"):
            mrxs.plan(job_of(path))

    @pytest.mark.parametrize("name", ["../x.dat", "Slidedat.ini", "Index.dat", "", "Data0000.dat"])
    def test_names_that_lead_elsewhere(self, source, name):
        path = make_mrxs(source)
        edit(path, "FILE_1 = Data0001.dat", f"FILE_1 = {name}")
        with pytest.raises(UnscrubbableError):
            mrxs.plan(job_of(path))

    def test_a_missing_file_is_the_storage_s(self, source):
        path = make_mrxs(source)
        (path.with_suffix("") / "Data0002.dat").unlink()
        with pytest.raises(FileNotFoundError):
            mrxs.plan(job_of(path))

    def test_whatever_is_damaged(self, source, target):
        """Bytes of the index and the settings changed at random: a copy that is right, or one of two errors."""
        path = make_planted(source, images=(4, 3), levels=3)
        chosen = random.Random(8)
        whole = {name: (path.with_suffix("") / name).read_bytes() for name in ("Index.dat", "Slidedat.ini")}
        job, done = job_of(path), 0
        for number in range(70):
            name = chosen.choice(sorted(whole))
            data = bytearray(whole[name])
            for _ in range(chosen.choice((1, 2, 8))):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
            (path.with_suffix("") / name).write_bytes(data if chosen.random() < 0.8 else data[: chosen.randrange(len(data))])
            folder = target / str(number)
            folder.mkdir()
            with suppress(UnscrubbableError, OSError):
                _, written = mrxs.write(job, folder)
                runs(path)
                if written is not None:
                    done += 1
                    assert left_in(folder, {place: PLANTED[place] for place in ("label", "slack", "profile", "id")}) == set()
            for other, content in whole.items():
                (path.with_suffix("") / other).write_bytes(content)
        assert done > 0

    def test_a_site_rule_wins(self, source, target, tmp_path):
        path = make_mrxs(source, general={"SLIDE_REMARK": "Zhang"})
        (tmp_path / "site.yaml").write_text("files: 1\nformats: {mrxs: {tables: {ini: {remove: [GENERAL.SLIDE_REMARK]}}}}\n")
        rules = load_rules(tmp_path / "site.yaml")["mrxs"]
        plan, written = mrxs.write(replace(job_of(path), rules=rules), target)
        assert plan.unknown == ()
        assert written is not None
