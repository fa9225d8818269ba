"""scan, over trees and histories that Hypothesis makes up."""

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pathcurate.model.slide import ARRIVALS, SLIDES
from pathcurate.scan import relocation
from pathcurate.tables import Catalog
from tests.archives import KFB, LFS_POINTER, PREVIEW, TEXT, Desk, InProcess, loop, regular_files, tiff


class Content(bytes):
    """Content of a file that a failing example tells by its hash, for Hypothesis refuses to print more."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes {hashlib.sha256(self).hexdigest()[:6]}>"


CONTENTS = [
    Content(content)
    for content in (
        *(tiff(seed) for seed in range(4)),
        tiff(1, keys={"Title": "S23-00123"}),
        *(tiff(5)[:cut] for cut in (0, 3, 60, 900)),
        loop(),
        TEXT,
        LFS_POINTER,
        KFB,
        PREVIEW,
        bytes(4096),
    )
]
STEMS = ["a", "b", "S23-00123-A1 HE", "切片", "片".encode("gb18030"), b"\xff\xfe", ".hidden", "_a_"]
EXTENSIONS = ["", ".svs", ".SVS", ".tif", ".mrxs", ".vsi", ".kfb", ".txt", ".张三"]
FOLDERS = ["", "a", "b", "_a_", "切片", b"\xff\xfe", "a/b", "a.mrxs", "b/a/a"]

names = st.builds(
    lambda stem, extension: os.fsencode(stem) + os.fsencode(extension), *map(st.sampled_from, (STEMS, EXTENSIONS))
)
places = st.builds(lambda folder, name: os.path.join(os.fsencode(folder), name), st.sampled_from(FOLDERS), names)  # noqa: PTH118
trees = st.dictionaries(places, st.sampled_from(CONTENTS), max_size=16)

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
quicker = settings(quick, max_examples=8)


@contextmanager
def new_desk():
    directory = Path(tempfile.mkdtemp())
    try:
        yield Desk(directory)
    finally:
        shutil.rmtree(directory)


def plant(desk, tree):
    for place, content in tree.items():
        # A file may stand where this one's folder should be, or the other way round.
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            desk.put(place, content)


@quick
@given(trees)
def test_every_file_is_accounted_for_and_the_next_scan_finds_nothing_new(tree):
    with new_desk() as desk:
        plant(desk, tree)
        summary = desk.scan()
        assert summary.walked == regular_files(desk.main)
        assert summary.found == len(desk.rows()) == summary.read
        before, state = desk.snapshot(), desk.state()
        engine = InProcess()
        again = desk.scan(engine)
        assert (again.walked, again.found, again.companions, again.others) == (
            summary.walked, summary.found, summary.companions, summary.others,
        )  # fmt: skip
        assert (again.read, again.unchanged, again.moved, again.gone) == (0, summary.found, 0, 0)
        assert engine.read == []
        assert (desk.snapshot(), desk.state()) == (before, state)


numbers = st.integers(0, 99)
# Back to a place that was used before is where identities could be mixed up, so places are few and met again.
steps = st.lists(
    st.tuples(
        st.sampled_from(["move", "copy", "remove", "write", "scan", "scan"]), numbers, numbers, st.sampled_from(CONTENTS)
    ),
    max_size=12,
)


@quick
@given(trees, st.lists(places, min_size=3, max_size=3), steps)
@example(  # moved onto another slide
    {b"a.svs": CONTENTS[0], b"b.svs": CONTENTS[1]},
    [b"c"],
    [("move", 0, 1, b"")],
)
@example(  # moved, and a copy put back
    {b"a.svs": CONTENTS[0]},
    [b"b.svs"],
    [("move", 0, 1, b""), ("scan", 0, 0, b""), ("copy", 0, 0, b"")],
)
def test_whatever_happens_to_an_archive_slides_stay_themselves(tree, more_places, history):
    known_places = [*tree, *more_places]
    with new_desk() as desk:
        plant(desk, {b"never empty.txt": TEXT, **tree})
        desk.scan()
        ids = {path: row["slide_id"] for path, row in desk.rows().items()}
        for action, one, other, content in history:
            target = desk.main / os.fsdecode(known_places[other % len(known_places)])
            files = sorted(path for path in desk.main.rglob("*") if path.is_file() and path.name != "never empty.txt")
            source = files[one % len(files)] if files else target
            if action == "write":
                plant(desk, {known_places[other % len(known_places)]: content})
            elif action == "scan":
                desk.scan()
            elif source.is_file() and target.parent.is_dir() and not target.is_dir():
                match action:
                    case "move":
                        source.rename(target)
                    case "copy" if source != target:
                        shutil.copy2(source, target)
                    case "remove":
                        source.unlink()
        summary = desk.scan()
        # A slide that was written over by another is gone, and both have the one path.
        known_ids = desk.catalog.read(SLIDES)["slide_id"].to_pylist()
        live = desk.rows()
        assert len(live) == summary.found
        assert len(set(known_ids)) == len(known_ids)
        assert set(known_ids) >= set(ids.values())
        for path in live:
            assert (desk.main / os.fsdecode(path)).is_file()
        before, engine = desk.snapshot(), InProcess()
        assert desk.scan(engine).moved == 0
        assert (desk.snapshot(), engine.read) == (before, [])
        # A fresh look says the same of every file as the whole history does.
        seen = {path: (row["status"], row["scan_group"], row["file_count"], row["mtime"]) for path, row in live.items()}
        shutil.rmtree(desk.workspace_directory / "catalog")
        fresh = desk.scan()
        assert fresh.statuses == summary.statuses
        assert seen == {
            path: (row["status"], row["scan_group"], row["file_count"], row["mtime"]) for path, row in desk.rows().items()
        }


@contextmanager
def dying(number):
    """Kill what happens in the block at its commit of this number; the rest of the process lives on."""
    honest, left = Catalog._log, [number]

    def log(self, *arguments):
        if not left[0]:
            raise SystemExit
        left[0] -= 1
        honest(self, *arguments)

    with mock.patch.object(Catalog, "_log", log), mock.patch("pathcurate.scan.intake._COMMIT_ROWS", 2), suppress(SystemExit):
        yield


def change(desk, tree, more, history):
    """Move, copy, remove and write files, without a scan."""
    known_places = [*tree, *more]
    for action, one, other, content in history:
        target = desk.main / os.fsdecode(known_places[other % len(known_places)])
        files = sorted(path for path in desk.main.rglob("*") if path.is_file() and path.name != "never empty.txt")
        source = files[one % len(files)] if files else target
        if action == "write":
            plant(desk, {known_places[other % len(known_places)]: content})
        elif source.is_file() and target.parent.is_dir() and not target.is_dir():
            match action:
                case "move":
                    source.rename(target)
                case "copy" if source != target:
                    shutil.copy2(source, target)
                case "remove":
                    source.unlink()


@quicker
@given(trees, st.lists(places, min_size=3, max_size=3), steps, st.lists(st.integers(0, 8), min_size=1, max_size=3))
@example({b"a.svs": CONTENTS[0], b"b.svs": CONTENTS[1]}, [b"c.svs"], [("move", 0, 2, b"")], [2])
def test_however_often_a_scan_is_killed_it_ends_as_undisturbed(tree, more_places, history, kills):
    with new_desk() as desk:
        plant(desk, {b"never empty.txt": TEXT, **tree})
        desk.scan()
        change(desk, tree, more_places, history)
        catalog, kept = desk.workspace_directory / "catalog", desk.directory / "kept"
        shutil.copytree(catalog, kept)
        desk.scan()
        undisturbed = desk.state()
        shutil.rmtree(catalog)
        kept.rename(catalog)
        for number in kills:
            with dying(number):
                desk.scan()
        desk.scan()
        assert desk.state() == undisturbed
        assert desk.catalog.read(ARRIVALS).num_rows == 0


@quicker
@given(trees, st.sampled_from(["main=new", "main=new/deep/er"]))
def test_a_relocated_root_is_moved_and_nothing_is_gone_or_read(tree, text):
    with new_desk() as desk:
        plant(desk, {b"never empty.txt": TEXT, **tree})
        desk.scan()
        rows = desk.catalog.read(SLIDES).to_pylist()
        (desk.directory / "new" / "deep").mkdir(parents=True)
        if text == "main=new":
            shutil.rmtree(desk.directory / "new")
            desk.main.rename(desk.directory / "new")
        else:
            desk.main.rename(desk.directory / "new" / "deep" / "er")
        desk.configure(sites={"NB01": {"new": "new"}})
        engine = InProcess()
        summary = desk.scan(engine, relocations=[relocation(text)])
        prefix = b"" if text == "main=new" else b"deep/er/"
        assert engine.read == []
        assert (summary.moved, summary.gone) == (len(rows), 0)
        after = {
            row["slide_id"]: (row["archive"], row["relpath"], row["status"]) for row in desk.catalog.read(SLIDES).to_pylist()
        }
        assert after == {row["slide_id"]: ("new", prefix + row["relpath"], row["status"]) for row in rows}
        before = desk.state(), desk.snapshot()
        assert desk.scan(engine).moved == 0
        assert (desk.state(), desk.snapshot()) == before
