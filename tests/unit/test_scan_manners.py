"""scan: hours, budgets and cold storage of archives; arrivals that wait; passes and runs that are killed or meet another."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.model.slide import ARRIVALS, SLIDES
from pathcurate.scan import ScanOptions, relocation, scan
from pathcurate.scan.kernels import read_slide
from pathcurate.scan.known import Known
from pathcurate.scan.passes import Pass, PassSpec, run_pass
from pathcurate.storage import LocalRoot
from pathcurate.tables import Catalog
from pathcurate.workspace import load_workspace
from tests.archives import TEXT, Desk, InProcess, tiff
from tests.dicoms import whole_slide

NIGHT = {"window": "19:00-07:00"}


class Blind(InProcess):
    """An engine that asks no root for its path, which a paced one does not have."""

    def run(self, kernel, batches, spec, schema, *, on_crash, timeout=None):
        return (kernel(batch, spec) for batch in batches)


class Polite(Desk):
    """A desk whose archives have manners, and whose scans have a clock."""

    def configure(self, **changes):
        self.manners = changes.pop("manners", getattr(self, "manners", {}))
        super().configure(**changes)
        file = self.workspace_directory / "pathcurate.yaml"
        text = json.loads(file.read_text())
        for site in text["sites"]:
            for archive in site["archives"]:
                archive.update(self.manners.get(archive["name"], {}))
        file.write_text(json.dumps(text))
        return load_workspace(file)

    def look(self, engine=None, *, hour=22, now=None, **options):
        """A scan that may be postponed, so that its sums need not come out."""
        now = now or (lambda: datetime(2024, 5, 1, hour).astimezone())
        return scan(self.configure(), engine or InProcess(), ScanOptions(**options), now=now)


@pytest.fixture
def desk(tmp_path):
    return Polite(tmp_path)


def clock(closes_after):
    """22:00 so many times, then noon."""
    calls = iter(range(10**9))
    night = datetime(2024, 5, 1, 22).astimezone()
    return lambda: night if next(calls) < closes_after else night + timedelta(hours=14)


def sparse(desk, relpath, size=9000, **where):
    """A file of some size without a block on disk, as a stub of hierarchical storage is."""
    path = desk.put(relpath, b"", **where)
    os.truncate(path, size)
    if path.stat().st_blocks:
        pytest.skip("this file system gives sparse files blocks")
    return path


def names(desk):
    rows = desk.catalog.read(SLIDES).to_pylist()
    return {row["relpath"]: row["slide_id"] for row in rows if row["status"] != "gone"}


def gone(desk):
    return [row["relpath"] for row in desk.catalog.read(SLIDES).to_pylist() if row["status"] == "gone"]


def waiting(desk):
    return sorted(desk.catalog.read(ARRIVALS)["relpath"].to_pylist())


def rename(desk, old, new):
    target = desk.main / new
    target.parent.mkdir(parents=True, exist_ok=True)
    (desk.main / old).rename(target)


class TestHours:
    def test_a_closed_archive_is_not_looked_at(self, desk):
        desk.put("a.svs", tiff(1))
        desk.configure(manners={"main": NIGHT})
        engine = InProcess()
        summary = desk.look(engine, hour=12)
        assert (engine.read, summary.walked, summary.postponed) == ([], 0, {"main": "outside its hours"})
        assert desk.look(hour=23).found == 1
        (desk.main / "a.svs").unlink()
        assert desk.look(hour=12).found == 1
        assert gone(desk) == []
        desk.put("note.txt", TEXT)
        desk.look(hour=3)
        assert gone(desk) == [b"a.svs"]

    @pytest.mark.parametrize("closes_after", range(1, 12))
    def test_one_that_closes_meanwhile_ends_the_same_the_next_night(self, desk, closes_after, monkeypatch):
        monkeypatch.setattr("pathcurate.scan._BATCH_ROWS", 2)
        monkeypatch.setattr("pathcurate.scan.intake._SIFTED", 3)
        for number in range(6):
            desk.put(f"a/{number}.svs", tiff(number))
        desk.look()
        before = names(desk)
        for number in range(6):
            rename(desk, f"a/{number}.svs", f"{number % 2}/{number}.svs")
        for number in range(6):
            desk.put(f"new/{number}.svs", tiff(10 + number))
        desk.configure(manners={"main": NIGHT})
        summary = desk.look(now=clock(closes_after))
        if summary.postponed:
            assert gone(desk) == []
            assert set(names(desk).values()) >= set(before.values())
        for _ in range(20):
            if not summary.postponed:
                break
            summary = desk.look(now=clock(6))
        assert not summary.postponed
        assert gone(desk) == waiting(desk) == []
        assert {code for path, code in names(desk).items() if not path.startswith(b"new/")} == set(before.values())
        engine = InProcess()
        assert desk.look(engine).read == 0
        assert engine.read == []

    def test_a_budget_of_reads(self, desk, monkeypatch):
        monkeypatch.setattr("pathcurate.scan._BATCH_ROWS", 2)
        for number in range(20):
            desk.put(f"{number}.svs", tiff(number))
        desk.configure(manners={"main": {"reads_per_run": 30}})
        reads, nights = 0, 0
        while nights < 30:
            summary = desk.look(Blind())
            nights += 1
            reads += summary.read
            assert gone(desk) == []
            if not summary.postponed:
                break
            assert summary.postponed == {"main": "its reads of this run are used up"}
            assert 0 < summary.read < 20
        assert (reads, len(names(desk))) == (20, 20)
        assert nights > 1

    def test_the_other_archives_go_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr("pathcurate.scan._BATCH_ROWS", 2)
        desk = Polite(tmp_path, sites={"NB01": {"main": "main", "more": "more"}, "NB02": {"third": "third"}})
        for number in range(9):
            for archive in ("main", "more", "third"):
                desk.put(f"{number}.svs", tiff(number + 10 * ord(archive[0])), archive=archive)
        desk.configure(manners={"main": {"reads_per_run": 10}})
        summary = desk.look(Blind())
        assert list(summary.postponed) == ["main"]
        rows = desk.catalog.read(SLIDES).to_pylist()
        assert {name: sum(row["archive"] == name for row in rows) for name in ("more", "third")} == {"more": 9, "third": 9}


class TestArrivals:
    @pytest.fixture
    def desk(self, tmp_path):
        desk = Polite(tmp_path, sites={"NB01": {"main": "main", "more": "more"}, "NB02": {"third": "third"}})
        desk.put("a.svs", tiff(1))
        desk.put("b.svs", tiff(2), archive="more")
        desk.put("t.svs", tiff(3), archive="third")
        desk.look()
        self.before = names(desk)
        # One moves within the open archive of NB01 while the other archive of the site is closed; one moves at NB02.
        rename(desk, "a.svs", "moved.svs")
        (desk.directory / "third" / "t.svs").rename(desk.directory / "third" / "u.svs")
        desk.configure(manners={"more": NIGHT})
        desk.look(hour=12)
        return desk

    def test_they_wait_for_their_own_site_alone(self, desk):
        assert waiting(desk) == [b"moved.svs"]
        assert names(desk)[b"u.svs"] == self.before[b"t.svs"]
        engine = InProcess()
        assert desk.look(engine).moved == 1
        assert engine.read == []
        assert (waiting(desk), names(desk)[b"moved.svs"]) == ([], self.before[b"a.svs"])
        assert gone(desk) == []

    def test_one_that_vanishes_before_it_is_settled(self, desk):
        (desk.main / "moved.svs").unlink()
        desk.put("note.txt", TEXT)
        desk.look()
        assert (waiting(desk), gone(desk)) == ([], [b"a.svs"])

    def test_one_that_changes_before_it_is_settled(self, desk):
        desk.put("moved.svs", tiff(7))
        desk.look()
        assert (waiting(desk), gone(desk)) == ([], [b"a.svs"])
        assert names(desk)[b"moved.svs"] not in self.before.values()

    def test_one_that_moves_again_before_it_is_settled(self, desk):
        rename(desk, "moved.svs", "again/moved.svs")
        desk.look()
        assert (waiting(desk), gone(desk)) == ([], [])
        assert names(desk)[b"again/moved.svs"] == self.before[b"a.svs"]

    def test_the_slide_turns_up_in_its_old_place_again(self, desk):
        shutil.copy2(desk.main / "moved.svs", desk.main / "a.svs")
        desk.look()
        assert (waiting(desk), gone(desk)) == ([], [])
        assert names(desk)[b"a.svs"] == self.before[b"a.svs"]
        assert names(desk)[b"moved.svs"] not in self.before.values()

    def test_killed_between_settling_and_clearing(self, desk, monkeypatch):
        kept = desk.directory / "kept"
        catalog = desk.workspace_directory / "catalog"
        shutil.copytree(catalog, kept)
        desk.look()
        undisturbed = desk.state()
        shutil.rmtree(catalog)
        kept.rename(catalog)

        def die(*_):
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "replace", die)
            with pytest.raises(SystemExit):
                desk.look()
        assert names(desk)[b"moved.svs"] == self.before[b"a.svs"]
        assert waiting(desk) == [b"moved.svs"]
        desk.look()
        assert desk.state() == undisturbed
        assert waiting(desk) == []


class TestColdStorage:
    def test_it_is_listed_from_metadata_and_read_when_it_is_back(self, desk):
        path = sparse(desk, "a.svs")
        sparse(desk, "b.dat")
        engine = InProcess()
        summary = desk.scan(engine)
        row = desk.row("a.svs")
        assert (row["status"], row["storage_state"], row["header_fingerprint"]) == ("offline", "offline", None)
        assert summary.statuses == {"offline": 1}
        again = InProcess()
        desk.scan(again)
        assert desk.row("a.svs") == row
        path.write_bytes(tiff(1))
        desk.scan()
        after = desk.row("a.svs")
        assert (after["status"], after["storage_state"], after["slide_id"]) == ("ok", "online", row["slide_id"])

    def test_nothing_of_it_is_opened(self, desk, monkeypatch):
        sparse(desk, "a.svs")

        def never(*_):
            raise AssertionError("opened")

        monkeypatch.setattr(LocalRoot, "open", never)
        assert desk.scan().statuses == {"offline": 1}

    def test_a_known_slide_that_goes_offline_keeps_what_is_known(self, desk, monkeypatch):
        path = desk.put("a.svs", tiff(1) + bytes(9000))
        desk.scan()
        before = desk.row("a.svs")
        time_ns = path.stat().st_mtime_ns
        path.write_bytes(b"")
        os.truncate(path, before["size_bytes"])
        os.utime(path, ns=(time_ns, time_ns))
        if path.stat().st_blocks:
            pytest.skip("this file system gives sparse files blocks")
        engine = InProcess()
        summary = desk.scan(engine)
        assert engine.read == []
        assert summary.statuses == {"ok": 1}
        assert desk.row("a.svs") == {**before, "storage_state": "offline"}
        # It moves meanwhile, told by the user.
        desk.main.rename(desk.directory / "new")
        desk.configure(sites={"NB01": {"new": "new"}})
        desk.scan(engine, relocations=[relocation("main=new")])
        row = desk.row("a.svs")
        assert (engine.read, row["slide_id"], row["storage_state"]) == ([], before["slide_id"], "offline")
        # And comes back online on another move.
        moved = desk.directory / "new" / "a.svs"
        moved.write_bytes(tiff(1) + bytes(9000))
        os.utime(moved, ns=(time_ns, time_ns))
        (desk.directory / "new").rename(desk.main)
        desk.configure(sites={"NB01": {"main": "main"}})
        desk.scan(engine, relocations=[relocation("new=main")])
        row = desk.row("a.svs")
        assert (engine.read, row["slide_id"], row["storage_state"], row["archive"]) == (
            [], before["slide_id"], "online", "main"
        )  # fmt: skip

    def test_it_is_read_where_the_archive_says_so(self, desk):
        sparse(desk, "a.svs")
        desk.configure(manners={"main": {"offline": "read"}})
        assert desk.scan().statuses == {"not_a_slide": 1}
        assert desk.row("a.svs")["storage_state"] == "online"


class TestFilesThatChange:
    def test_one_that_changes_while_it_is_read(self, desk, monkeypatch):
        path = desk.put("a.svs", tiff(1))
        honest = read_slide

        def read(source):
            result = honest(source)
            with path.open("ab") as file:
                file.write(b"more")
            return result

        with monkeypatch.context() as patch:
            patch.setattr("pathcurate.scan.kernels.read_slide", read)
            desk.scan()
        row = desk.row("a.svs")
        assert (row["status"], row["status_detail"]) == ("unreadable", "the file changed while it was read")
        desk.scan()
        assert (desk.row("a.svs")["status"], desk.row("a.svs")["slide_id"]) == ("ok", row["slide_id"])

    def test_a_file_that_becomes_a_folder_and_a_file_again(self, desk):
        desk.put("a.svs", tiff(1))
        desk.put("note.txt", TEXT)
        desk.scan()
        code = desk.id("a.svs")
        (desk.main / "a.svs").unlink()
        desk.put("a.svs/inside.svs", tiff(2))
        desk.scan()
        assert list(names(desk)) == [b"a.svs/inside.svs"]
        assert gone(desk) == [b"a.svs"]
        shutil.rmtree(desk.main / "a.svs")
        desk.put("a.svs", tiff(1))
        desk.scan()
        assert names(desk) == {b"a.svs": code}
        assert desk.scan().read == 0


SAID = pa.schema([("said", pa.string())])


def say(batch, spec):
    """Kernel: the name of each slide's file, in capitals; one of them kills."""
    paths = batch["relpath"].to_pylist()
    if b"5.svs" in paths and spec.seed:
        os._exit(9)
    return pa.RecordBatch.from_arrays([pa.array([path.decode().upper() for path in paths])], schema=SAID)


def unsaid(row, _reason):
    return pa.RecordBatch.from_arrays([pa.array(["LOST"])], schema=SAID)


class TestPasses:
    LOOK = Pass(
        "made up", say, SAID, unsaid, ("status",), lambda data: [True] * data.num_rows,
        lambda row, said: {**row, "status_detail": said["said"]}, timeout=20.0, batch_rows=3,
    )  # fmt: skip

    @pytest.fixture
    def desk(self, tmp_path):
        desk = Polite(tmp_path)
        for number in range(10):
            desk.put(f"{number}.svs", tiff(number))
        for name, content in whole_slide().items():
            desk.put(f"dicom/{name}", content)
        desk.scan()
        return desk

    def run(self, desk, engine, *, look=LOOK, seed=0, progress=lambda done, total: None):
        known = Known.read(desk.catalog, {})
        chosen = np.flatnonzero([row["status_detail"] is None for row in self.in_index(desk, known)])
        spec = PassSpec((LocalRoot(os.fsencode(desk.main)),), seed=seed)
        return run_pass(look, desk.catalog, known, engine, spec, (("NB01", "main"),), chosen, lambda place: True, progress)

    @staticmethod
    def in_index(desk, known):
        rows = dict(known.slides.rows(desk.catalog, np.arange(len(known.slides))))
        return [rows[at] for at in range(len(known.slides))]

    def said(self, desk):
        return {path.decode(): row["status_detail"] for path, row in desk.rows().items()}

    def test_each_row_gets_what_was_said_of_it(self, desk):
        assert self.run(desk, InProcess()) == 11
        assert self.said(desk) == {name: name.upper() for name in self.said(desk)}
        assert self.run(desk, InProcess()) == 0

    def test_it_goes_on_where_it_was_killed(self, desk, monkeypatch):
        monkeypatch.setattr("pathcurate.scan.passes._SAVED_ROWS", 3)
        kills = 0
        done = 0
        while kills < 20:

            def stop(count, _total):
                if count >= 3:
                    raise KeyboardInterrupt

            try:
                done += self.run(desk, InProcess(), progress=stop)
                break
            except KeyboardInterrupt:
                kills += 1
        assert kills == 3
        assert self.said(desk) == {name: name.upper() for name in self.said(desk)}

    def test_a_slide_that_kills_its_reader(self, desk, tmp_path):
        with Embedded(workers=2, temp_directory=tmp_path / "tmp") as engine:
            assert self.run(desk, engine, seed=1) == 11
        assert self.said(desk) == {name: "LOST" if name == "5.svs" else name.upper() for name in self.said(desk)}

    def test_a_merged_slide_is_given_all_its_files(self, desk):
        given = {}

        def note(batch, spec):
            given.update(zip(batch["relpath"].to_pylist(), batch["files"].to_pylist(), strict=True))
            return say(batch, spec)

        look = Pass(**{**{name: getattr(self.LOOK, name) for name in self.LOOK.__dataclass_fields__}, "kernel": note})
        self.run(desk, InProcess(), look=look)
        assert given[b"1.svs"] == [b"1.svs"]
        assert sorted(given[b"dicom/level2.dcm"]) == sorted(f"dicom/{name}".encode() for name in whole_slide())


COMMAND = [sys.executable, "-m", "pathcurate"]


class TestRealProcesses:
    @pytest.fixture(autouse=True)
    def many(self, tmp_path):
        self.desk = Desk(tmp_path)
        for number in range(150):
            self.desk.put(f"{number % 5}/{number}.svs", tiff(number))
        for name, content in whole_slide().items():
            self.desk.put(f"dicom/{name}", content)
        self.desk.configure()

    def start(self, *options, **more):
        return subprocess.Popen(
            [*COMMAND, "scan", *options], cwd=self.desk.workspace_directory, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
        )  # fmt: skip

    def undisturbed(self):
        self.desk.scan()
        state = self.desk.state()
        shutil.rmtree(self.desk.workspace_directory / "catalog")
        return state

    def test_of_two_scans_the_second_says_who_holds_the_lock(self):
        from pathcurate.storage import locked

        with locked(self.desk.workspace_directory, "scan"):
            process = self.start("--workers", "1")
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 14
        assert "scan" in errors
        assert str(os.getpid()) in errors
        assert not self.desk.catalog.read(SLIDES).num_rows

    @pytest.mark.parametrize("options", [("1", "1"), ("4", "8")])
    def test_killed_at_random_moments(self, options):
        state = self.undisturbed()
        rng = random.Random(repr(options))
        (lock := self.desk.workspace_directory / ".lock").touch()
        kills = 0
        for _ in range(3):
            process = self.start("--workers", options[0], "--io-threads", options[1])
            # Nothing is there to be killed before it has the lock.
            while f'"pid": {process.pid},' not in lock.read_text(encoding="utf-8") and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, 1.2))
            kills += process.poll() is None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert kills
        process = self.start("--workers", options[0], "--io-threads", options[1])
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert self.desk.state() == state

    def test_a_full_disk(self, tmp_path):
        """No file may grow beyond some size, as if the disk were full."""
        state = self.undisturbed()
        code = textwrap.dedent("""
            import resource, signal, sys
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            from pathcurate.cli.main import run
            sys.exit(run(["scan", "--workers", "1"]))
        """)
        # A short write of compiled Python would be a broken module for everybody.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        for limit in (500, 6_000, 20_000):
            process = subprocess.run(
                [sys.executable, "-c", code, str(limit)], cwd=self.desk.workspace_directory, text=True,
                capture_output=True, timeout=60, check=False, env=environment,
            )  # fmt: skip
            assert process.returncode == 3, process.stderr
            assert "EFBIG" in process.stderr
            assert "Traceback" not in process.stderr
        self.desk.scan()
        assert self.desk.state() == state
