"""scan: slides that move keep their names, whatever moves, changes, or kills the run meanwhile."""

import os
import shutil

import pytest

from pathcurate.errors import UsageError
from pathcurate.model.series import SERIES
from pathcurate.model.slide import ARRIVALS, FILES, SLIDES
from pathcurate.scan import relocation
from pathcurate.tables import Catalog
from tests.archives import PREVIEW, TEXT, Desk, InProcess, tiff
from tests.dicoms import radiology, whole_slide

CHINESE = "病例 切片".encode("gb18030")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def moves(*texts):
    return [relocation(text) for text in texts]


def path(desk, relpath, archive="main"):
    return os.path.join(os.fsencode(desk.directory / archive), os.fsencode(relpath))  # noqa: PTH118


def rename(desk, old, new, *, archive="main", to=None):
    target = path(desk, new, to or archive)
    os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
    os.rename(path(desk, old, archive), target)  # noqa: PTH104


def names(desk):
    """slide_id by archive and path, of the slides that are there."""
    return {
        (row["archive"], row["relpath"]): row["slide_id"]
        for row in desk.catalog.read(SLIDES).to_pylist()
        if row["status"] != "gone"
    }


def gone(desk):
    return {row["slide_id"] for row in desk.catalog.read(SLIDES).to_pylist() if row["status"] == "gone"}


def settled(desk):
    """Nothing waits, and another scan has nothing to do."""
    before = desk.state(), desk.snapshot()
    engine = InProcess()
    summary = desk.scan(engine)
    assert (engine.read, summary.read, summary.moved) == ([], 0, 0)
    assert (desk.state(), desk.snapshot()) == before
    assert desk.catalog.read(ARRIVALS).num_rows == 0


def plant_all(desk, archive="main"):
    """Slides of one file, of a folder, of DICOM instances; a series; others; and names in another encoding."""
    for number in range(3):
        desk.put(f"{number}/S23-{number:05}-A1 HE.svs", tiff(number, keys={"Title": f"S23-{number:05}"}), archive=archive)
    desk.put(CHINESE + b"/" + CHINESE + b".svs", tiff(7), archive=archive)
    desk.put("twin one.svs", tiff(9), archive=archive)
    desk.put("b/twin two.svs", tiff(9), archive=archive)
    desk.put("mirax/x.mrxs", PREVIEW, archive=archive)
    desk.put("mirax/x/Slidedat.ini", TEXT, archive=archive)
    desk.put("cut.svs", tiff(5, keys={})[:-60], archive=archive)
    desk.put("letter.txt", TEXT, archive=archive)
    for name, content in whole_slide().items():
        desk.put(f"dicom/{name}", content, archive=archive)
    for number in range(1, 4):
        desk.put(f"ct/{number}.dcm", radiology(number), archive=archive)


def move_root(desk):
    """The whole root lies elsewhere, and its archive has a new name."""
    desk.main.rename(desk.directory / "new")
    desk.configure(sites={"NB01": {"new": "new"}})


class TestRelocation:
    @pytest.mark.parametrize("keep_old", [False, True])
    def test_a_whole_root_is_moved_and_not_read_again(self, desk, keep_old):
        plant_all(desk)
        desk.scan()
        before, keys = names(desk), desk.keys()
        series = desk.catalog.read(SERIES).to_pylist()
        move_root(desk)
        if keep_old:
            desk.put("moved away.txt", TEXT)
            desk.configure(sites={"NB01": {"main": "main", "new": "new"}})
        engine = InProcess()
        summary = desk.scan(engine, relocations=moves("main=new"))
        assert {os.path.basename(name) for name in engine.read} == ({b"moved away.txt"} if keep_old else set())  # noqa: PTH119
        assert (summary.moved, summary.gone, summary.read) == (len(before), 0, 0)
        assert names(desk) == {("new", relpath): code for (_, relpath), code in before.items()}
        assert gone(desk) == set()
        assert desk.keys() == keys
        assert [(row["series_id"], row["archive"], row["status"]) for row in desk.catalog.read(SERIES).to_pylist()] == [
            (series[0]["series_id"], "new", "ok")
        ]
        for row in desk.rows().values():
            assert row["uri"].startswith((desk.directory / "new").as_uri())
            assert row["moved_from"] == b"main\0" + row["relpath"]
            assert row["moved_at"] is not None
        settled(desk)

    @pytest.mark.parametrize("way", ["folder to folder", "folder to archive", "archive to folder"])
    def test_parts_of_archives(self, desk, way):
        plant_all(desk)
        if way == "archive to folder":
            shutil.move(desk.main, desk.directory / "kept")
            desk.main.mkdir()
            shutil.move(desk.directory / "kept", desk.main / "old")
            desk.configure(sites={"NB01": {"main": "main/old"}})
        desk.put("stays/s.svs", tiff(33), archive="main/old" if way == "archive to folder" else "main")
        desk.scan()
        before = names(desk)
        match way:
            case "folder to folder":
                rename(desk, "dicom", "x/y")
                rename(desk, CHINESE, b"x/z")
                rename(desk, "b", "b2")
                texts = [
                    "main/dicom=main/x/y",
                    f"main/{CHINESE.decode(errors='surrogateescape')}=main/x/z",
                    "main/b=main/b2",
                ]
            case "folder to archive":
                shutil.move(desk.main / "dicom", desk.directory / "second")
                desk.configure(sites={"NB01": {"main": "main", "second": "second"}})
                texts = ["main/dicom=second"]
            case "archive to folder":
                desk.configure(sites={"NB01": {"whole": "main"}})
                texts = ["main=whole/old"]
        engine = InProcess()
        summary = desk.scan(engine, relocations=moves(*texts))
        after = names(desk)
        assert (engine.read, summary.read) == ([], 0)
        assert set(after.values()) == set(before.values())
        assert gone(desk) == set()
        assert summary.moved == sum((key not in before) for key in after)
        settled(desk)

    def test_a_folder_is_no_prefix_of_a_name(self, desk):
        desk.put("a/1.svs", tiff(1))
        desk.put("ab/2.svs", tiff(2))
        desk.put("a.svs", tiff(3))
        desk.scan()
        before = names(desk)
        rename(desk, "a", "c")
        assert desk.scan(relocations=moves("main/a=main/c")).moved == 1
        assert names(desk) == {**{key: code for key, code in before.items() if key[1] != b"a/1.svs"},
                               ("main", b"c/1.svs"): before["main", b"a/1.svs"]}  # fmt: skip

    def test_to_where_some_files_are_missing(self, desk):
        plant_all(desk)
        desk.scan()
        before = names(desk)
        move_root(desk)
        (desk.directory / "new" / "0" / "S23-00000-A1 HE.svs").unlink()
        (desk.directory / "new" / "dicom" / "level2.dcm").unlink()
        (desk.directory / "new" / "ct" / "1.dcm").unlink()
        engine = InProcess()
        desk.scan(engine, relocations=moves("main=new"))
        assert engine.read == []
        lost = before.pop(("main", b"0/S23-00000-A1 HE.svs"))
        assert {code for (archive, _), code in names(desk).items() if archive == "new"} == set(before.values())
        assert set(names(desk).values()) | gone(desk) == {*before.values(), lost}
        [series] = [row for row in desk.catalog.read(SERIES).to_pylist() if row["status"] != "gone"]
        assert (series["archive"], series["file_count"]) == ("new", 2)
        # Without the option, what could not be found is still there as it was.
        settled(desk)

    def test_nothing_has_moved_yet(self, desk):
        """The option is given, but the copy has not begun."""
        plant_all(desk)
        desk.scan()
        state = desk.state()
        (desk.directory / "new").mkdir()
        (desk.directory / "new" / "note.txt").write_bytes(TEXT)
        desk.configure(sites={"NB01": {"main": "main", "new": "new"}})
        desk.scan(relocations=moves("main=new"))
        assert gone(desk) == set()
        assert names(desk) == {(row["archive"], row["relpath"]): row["slide_id"] for row in state["slides"]}

    def test_twice_and_back(self, desk):
        plant_all(desk)
        desk.scan()
        before = names(desk)
        move_root(desk)
        desk.scan(relocations=moves("main=new"))
        # Given again, it has nothing more to say.
        engine = InProcess()
        assert desk.scan(engine, relocations=moves("main=new")).moved == 0
        assert engine.read == []
        (desk.directory / "new").rename(desk.main)
        desk.configure(sites={"NB01": {"main": "main"}})
        engine = InProcess()
        assert desk.scan(engine, relocations=moves("new=main")).moved == len(before)
        assert engine.read == []
        assert names(desk) == before
        settled(desk)

    def test_two_archives_are_swapped(self, desk):
        desk.put("1.svs", tiff(1))
        desk.put("2.svs", tiff(2), archive="other")
        desk.configure(sites={"NB01": {"main": "main", "other": "other"}})
        desk.scan()
        before = names(desk)
        desk.configure(sites={"NB01": {"main": "other", "other": "main"}})
        engine = InProcess()
        desk.scan(engine, relocations=moves("main=other", "other=main"))
        assert engine.read == []
        assert names(desk) == {
            ("other", b"1.svs"): before["main", b"1.svs"], ("main", b"2.svs"): before["other", b"2.svs"]
        }  # fmt: skip
        assert gone(desk) == set()
        settled(desk)

    def test_what_has_changed_on_the_way_is_read_and_keeps_its_name(self, desk):
        plant_all(desk)
        desk.scan()
        before = names(desk)
        move_root(desk)
        desk.put("0/S23-00000-A1 HE.svs", tiff(50), archive="new")
        changed = whole_slide()["level1.dcm"]
        desk.put("dicom/level1.dcm", changed, archive="new")
        os.utime(desk.directory / "new" / "dicom" / "level1.dcm", ns=(10**18, 10**18))
        desk.put("ct/1.dcm", radiology(1, rows=8), archive="new")
        engine = InProcess()
        summary = desk.scan(engine, relocations=moves("main=new"))
        assert {os.path.basename(name) for name in engine.read} == {  # noqa: PTH119
            b"S23-00000-A1 HE.svs", b"level1.dcm", b"1.dcm"
        }  # fmt: skip
        assert summary.moved == len(before)
        assert names(desk) == {("new", relpath): code for (_, relpath), code in before.items()}
        assert gone(desk) == set()
        files = {row["relpath"]: row for row in desk.catalog.read(FILES).to_pylist() if row["kind"] != "gone"}
        assert files[b"ct/1.dcm"]["size_bytes"] == (desk.directory / "new" / "ct" / "1.dcm").stat().st_size
        settled(desk)

    def test_an_archive_that_is_not_there(self, desk):
        desk.put("1.svs", tiff(1))
        with pytest.raises(UsageError, match="archive nowhere"):
            desk.scan(relocations=moves("main=nowhere"))

    @pytest.mark.parametrize("text", ["", "=", "main", "main=", "=new"])
    def test_what_is_no_relocation(self, text):
        with pytest.raises(UsageError):
            relocation(text)


class TestFoundAgain:
    """Without being told."""

    @pytest.mark.parametrize("keep_old", [False, True])
    def test_a_whole_root(self, desk, keep_old):
        plant_all(desk)
        desk.scan()
        before, keys = names(desk), desk.keys()
        [code_of_series] = desk.catalog.read(SERIES)["series_id"].to_pylist()
        move_root(desk)
        if keep_old:
            desk.put("moved away.txt", TEXT)
            desk.configure(sites={"NB01": {"main": "main", "new": "new"}})
        summary = desk.scan()
        # Also those of whose header nothing could be read.
        assert names(desk) == {("new", relpath): code for (_, relpath), code in before.items()}
        assert (summary.moved, gone(desk)) == (len(before), set())
        assert desk.keys() == keys
        [series] = [row for row in desk.catalog.read(SERIES).to_pylist() if row["status"] != "gone"]
        assert (series["series_id"], series["archive"]) == (code_of_series, "new")
        settled(desk)

    def test_of_several_copies_the_one_with_the_old_name_is_the_slide(self, desk):
        desk.put("x/S1.svs", tiff(1))
        desk.scan()
        code = desk.id("x/S1.svs")
        (desk.main / "x" / "S1.svs").unlink()
        desk.put("a/copy.svs", tiff(1))
        desk.put("y/S1.svs", tiff(1))
        desk.put("z/copy.svs", tiff(1))
        assert desk.scan().moved == 1
        assert desk.id("y/S1.svs") == code
        assert gone(desk) == set()
        settled(desk)

    def test_to_the_place_of_one_that_is_gone(self, desk):
        desk.put("a.svs", tiff(1))
        desk.put("b.svs", tiff(2))
        desk.scan()
        first, second = desk.id("a.svs"), desk.id("b.svs")
        (desk.main / "b.svs").unlink()
        desk.scan()
        rename(desk, "a.svs", "b.svs")
        assert desk.scan().moved == 1
        assert names(desk) == {("main", b"b.svs"): first}
        assert gone(desk) == {second}
        desk.put("c.svs", tiff(2))
        assert desk.scan().moved == 1
        assert names(desk) == {("main", b"b.svs"): first, ("main", b"c.svs"): second}
        settled(desk)

    def test_to_the_place_of_a_file_that_was_no_slide(self, desk):
        desk.put("a.svs", tiff(1))
        desk.put("b.svs", tiff(2))
        desk.put("notes", TEXT)
        desk.scan()
        first = desk.id("a.svs")
        rename(desk, "a.svs", "notes")
        assert desk.scan().moved == 1
        assert names(desk)["main", b"notes"] == first
        settled(desk)

    def test_gone_in_one_scan_and_found_in_the_next(self, desk):
        plant_all(desk)
        desk.scan()
        before = names(desk)
        desk.main.rename(desk.directory / "away")
        desk.put("empty.txt", TEXT)
        assert desk.scan().found == 0
        shutil.rmtree(desk.main)
        (desk.directory / "away").rename(desk.main)
        rename(desk, "0", "elsewhere")
        rename(desk, "dicom", "elsewhere/dicom")
        desk.scan()
        assert set(names(desk).values()) == set(before.values())
        assert gone(desk) == set()
        settled(desk)

    def test_dicom_copies_that_are_alike_are_told_apart_by_name(self, desk):
        for folder in ("one/a", "one/b"):
            for name, content in whole_slide().items():
                desk.put(f"{folder}/{name}", content, archive=folder[:3] + folder[-1])
        desk.configure(sites={"NB01": {"onea": "onea", "oneb": "oneb"}})
        desk.scan()
        before = {row["archive"]: row["slide_id"] for row in desk.catalog.read(SLIDES).to_pylist()}
        for archive in ("onea", "oneb"):
            (desk.directory / archive / "one").rename(desk.directory / archive / "two")
        desk.scan()
        assert {row["archive"]: row["slide_id"] for row in desk.catalog.read(SLIDES).to_pylist()} == before
        settled(desk)


class TestKilled:
    def everywhere(self, desk, monkeypatch, **options):
        """A scan that is killed before a commit leaves what is there then; the next one must end as if nothing had been."""
        catalog = desk.workspace_directory / "catalog"
        shutil.copytree(catalog, desk.directory / "kept")
        desk.scan(**options)
        undisturbed = desk.state()
        shutil.rmtree(catalog)
        (desk.directory / "kept").rename(catalog)
        monkeypatch.setattr("pathcurate.scan.intake._COMMIT_ROWS", 3)
        honest, left = Catalog._log, []

        def log(self, *arguments):
            left.append(shutil.copytree(catalog, desk.directory / f"killed{len(left)}"))
            honest(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "_log", log)
            desk.scan(**options)
        assert desk.state() == undisturbed
        for number, killed in enumerate(left):
            shutil.rmtree(catalog)
            killed.rename(catalog)
            desk.scan(**options)
            assert desk.state() == undisturbed, number
            assert desk.catalog.read(ARRIVALS).num_rows == 0
        assert len(left) > 5
        settled(desk)

    @pytest.mark.parametrize("is_told", [True, False])
    def test_while_a_root_moves(self, desk, monkeypatch, is_told):
        for number in range(4):
            desk.put(f"{number}.svs", tiff(number))
        desk.put("twin.svs", tiff(1))
        for name, content in whole_slide().items():
            desk.put(f"dicom/{name}", content)
        for number in range(1, 3):
            desk.put(f"ct/{number}.dcm", radiology(number))
        desk.scan()
        move_root(desk)
        desk.put("note.txt", TEXT)
        desk.configure(sites={"NB01": {"main": "main", "new": "new"}})
        desk.put("2.svs", tiff(20), archive="new")
        (desk.directory / "new" / "3.svs").unlink()
        (desk.directory / "new" / "dicom" / "level2.dcm").unlink()
        desk.put("ct/1.dcm", radiology(1, rows=8), archive="new")
        self.everywhere(desk, monkeypatch, **({"relocations": moves("main=new")} if is_told else {}))


class TestSelection:
    @pytest.fixture
    def desk(self, tmp_path):
        desk = Desk(tmp_path, sites={"NB01": {"main": "main", "other": "other"}, "NB02": {"third": "third"}})
        desk.put("1.svs", tiff(1))
        desk.put("2.svs", tiff(2), archive="other")
        desk.put("3.svs", tiff(3), archive="third")
        desk.scan()
        return desk

    def test_what_was_not_selected_is_neither_gone_nor_moved_from(self, desk):
        before = names(desk)
        (desk.directory / "other" / "2.svs").unlink()
        (desk.directory / "third" / "3.svs").unlink()
        desk.put("note.txt", TEXT, archive="other")
        desk.put("copy.svs", tiff(2))
        desk.put("copy3.svs", tiff(3))
        summary = desk.scan(archives=["main"])
        assert (summary.found, summary.moved, summary.gone) == (3, 0, 0)
        assert names(desk).items() >= before.items()
        assert gone(desk) == set()

    def test_parts_that_a_killed_run_left_in_another_archive_wait(self, desk, monkeypatch):
        for name, content in whole_slide().items():
            desk.put(f"dicom/{name}", content, archive="other")

        def die(*_):
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr("pathcurate.scan.families.Families.merge", die)
            with pytest.raises(SystemExit):
                desk.scan()
        assert desk.scan(archives=["main"]).found == 1
        engine = InProcess()
        assert desk.scan(engine).found == 4
        assert engine.read == []
        settled(desk)

    def test_unknown_archive(self, desk):
        with pytest.raises(UsageError, match="no archive nowhere"):
            desk.scan(archives=["nowhere"])
        with pytest.raises(UsageError, match="no archive third"):
            desk.scan(archives=["third"], sites=["NB01"])

    def test_relocation_to_an_archive_that_is_not_selected(self, desk):
        before = names(desk)
        rename(desk, "1.svs", "1.svs", to="other")
        desk.put("note.txt", TEXT)
        with pytest.raises(UsageError, match="archive other"):
            desk.scan(archives=["main"], relocations=moves("main=other"))
        assert desk.scan(archives=["main"]).gone == 1
        assert desk.scan(relocations=moves("main=other")).moved == 1
        assert names(desk) == {
            ("other" if archive == "main" else archive, relpath): code for (archive, relpath), code in before.items()
        }

    def test_the_same_content_at_another_site_is_another_slide(self, desk):
        before = names(desk)
        rename(desk, "1.svs", "1.svs", to="third")
        desk.put("note.txt", TEXT)
        assert desk.scan().moved == 0
        assert gone(desk) == {before["main", b"1.svs"]}
