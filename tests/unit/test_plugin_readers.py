"""readers.plugins: a made-up vendor's reader, installed as such, in processes that know it; files that kill and hang it."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from pathcurate.model.slide import SLIDES
from pathcurate.readers import plugins
from pathcurate.tables import Catalog

READER = """
import os, sys, time
from datetime import datetime
from PIL import Image
from pathcurate.model.slide import SlideHeader

EXTENSIONS = (".acm", ".sdpc")
print("noise on standard output: ZHANG SAN")

def claim(head, source):
    if head.startswith(b"HANG IN CLAIM"):
        time.sleep(600)
    return head.startswith((b"ACME", b"SQ"))

def read(source):
    print("ZHANG SAN", file=sys.stderr)
    body = source.read_at(4, 100)
    if body.startswith(b"DIE"):
        os.abort()
    if body.startswith(b"EXIT"):
        sys.exit(0)
    if body.startswith(b"HANG"):
        time.sleep(600)
    if body.startswith(b"RAISE"):
        raise ValueError("ZHANG SAN")
    if body.startswith(b"NONSENSE"):
        name, _, value = body[8:].decode().strip().partition("=")
        return SlideHeader("ok", **{name: eval(value)})
    if body.startswith(b"NONE"):
        return None
    if body.startswith(b"CUT"):
        return SlideHeader("truncated", "slide of ZHANG SAN", width=7)
    return SlideHeader(
        "ok", "ZHANG SAN", format="other", vendor="sqray", width=1000, height=800, level_downsamples=(1.0, 2.0),
        mpp_x=0.25, mpp_y=352.8, scan_datetime=datetime(2024, 5, 6, 7, 8, 9), has_label=True, metadata_texts=("S24-1",),
        scanner_serial=str(os.getpid()), barcode=os.fsdecode(source.local_path),
    )

def picture(source, kind):
    if kind == "overview":
        os.abort()
    return Image.new("L", (30, 20), 200) if kind == "label" else None
"""

PROGRAM = """
import json, os, sys
from dataclasses import asdict
from pathcurate import readers
from pathcurate.model.slide import SLIDES
from pathcurate.readers import plugins
from pathcurate.tables import Catalog
from pathcurate.storage import LocalSource

plugins.ANSWER_SECONDS = float(sys.argv[1])

def look(path):
    with LocalSource(os.fsencode(path)) as source:
        result = readers.read_slide(source)
    return result and {"reader": result.reader, "version": result.reader_version, **asdict(result.header)}

if __name__ == "__main__":
    results = [look(path) for path in sys.argv[2:]]
    print(json.dumps({"results": results, "versions": dict(readers.READER_VERSIONS), "family": readers.FAMILY_VERSION},
                     default=str))
"""


class Site:
    """A directory on ``PYTHONPATH`` into which distributions are installed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.packages = directory / "packages"
        self.packages.mkdir()
        self.files = directory / "slides"
        self.files.mkdir()

    def install(self, code, *, name="acme", module="acme_reader", version="1.2", distribution="acme-pathcurate", attr=""):
        (self.packages / f"{module}.py").write_text(code)
        info = self.packages / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[pathcurate.readers]\n{name} = {module}{attr}\n")

    def put(self, name, content) -> Path:
        path = self.files / name
        path.write_bytes(content)
        return path

    def run(self, code, *arguments) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(self.packages)}
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            check=False, capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip

    def read(self, *paths, seconds=20.0) -> dict:
        done = self.run(PROGRAM, seconds, *paths)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "noise" not in done.stdout
        return json.loads(done.stdout)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_without_plugins_there_is_nothing():
    assert plugins.VERSIONS == {}
    assert plugins.plugins() == []


def test_a_plugin_reads_slides_and_survives_those_that_kill_it(site):
    site.install(READER)
    names = ("good.acm", "dies.acm", "next.acm", "exits.acm", "raises.acm", "last.acm", "张三 S24-1.sdpc")
    contents = (b"ACME", b"ACMEDIE", b"ACME", b"ACMEEXIT", b"ACMERAISE", b"ACME", b"SQ" + bytes(99))
    paths = [site.put(name, content) for name, content in zip(names, contents, strict=True)]
    found = site.read(*paths)
    good, dies, following, exits, raises, last, closed = found["results"]
    assert {result["reader"] for result in found["results"]} == {"acme"}
    assert {result["version"] for result in found["results"]} == {found["versions"]["acme"]}
    for result in (good, following, last, closed):
        assert (result["status"], result["status_detail"], result["vendor"]) == ("ok", None, "sqray")
        assert (result["width"], result["mpp_x"], result["has_label"]) == (1000, 0.25, True)
        assert result["mpp_y"] is None, "352.8 µm is no pixel size"
        assert result["scan_datetime"] == str(datetime(2024, 5, 6, 7, 8, 9))  # noqa: DTZ001
        assert (result["metadata_texts"], result["level_downsamples"]) == (["S24-1"], [1.0, 2.0])
    assert closed["barcode"] == str(paths[-1])
    assert [result["status"] for result in (dies, exits, raises)] == ["reader_crashed"] * 3
    # One process as long as it lives: a new one after each death, none after an error.
    pids = [result["scanner_serial"] for result in (good, following, last, closed)]
    assert len(set(pids)) == 3
    assert last["scanner_serial"] == closed["scanner_serial"] != following["scanner_serial"]
    assert "ZHANG" not in json.dumps([dies, exits, raises])


@pytest.mark.parametrize("content", [b"ACMEHANG", b"HANG IN CLAIM"])
def test_a_file_that_hangs_costs_only_itself(site, content):
    site.install(READER)
    started = time.monotonic()
    found = site.read(site.put("hangs.acm", content), site.put("good.acm", b"ACME"), seconds=3)
    assert [result["status"] for result in found["results"]] == ["timeout", "ok"]
    assert time.monotonic() - started < 60


def test_what_is_not_for_a_plugin_is_left_alone(site):
    site.install(READER)
    paths = [
        site.put("letter.txt", b"ACME but no extension of its own"),
        site.put("other.acm", b"not claimed"),
        site.put("other.sdpc", b"not claimed\0"),
        site.put("renamed.bin", b"BKIO" + bytes(99)),
        site.put("empty.sdpc", b""),
    ]
    letter, other, sdpc, motic, empty = site.read(*paths)["results"]
    assert letter is other is None
    assert (sdpc["status"], sdpc["reader"]) == ("unsupported:sqray", "none")
    assert (motic["status"], motic["reader"]) == ("unsupported:motic", "none")
    assert empty["status"] == "truncated"


def test_a_file_of_a_closed_format_is_shown_whatever_its_name(site):
    site.install(READER.replace('(b"ACME", b"SQ")', '(b"BKIO", b"\\0\\0\\0\\0KFB")'))
    paths = [site.put("renamed.bin", b"BKIO" + bytes(99)), site.put("unknown_layout", bytes(4) + b"KFB" + bytes(99))]
    assert [result["reader"] for result in site.read(*paths)["results"]] == ["acme", "acme"]


NONSENSE = (
    "width='1000'", "width=-1", "width=2**70", "width=True", "mpp_x='a'", "mpp_x=float('nan')", "vendor='acme'",
    "format='ACM'", "compression='best'", "has_label=1", "scan_datetime='yesterday'", "scan_datetime=5",
    "metadata_texts=(1,)", "level_downsamples=('a',)", "barcode=b'S24-1'", "scanner_model=object()",
)  # fmt: skip


def test_a_value_that_no_column_can_hold_is_no_header(site):
    site.install(READER)
    paths = [site.put(f"{at}.acm", b"ACMENONSENSE" + text.encode()) for at, text in enumerate(NONSENSE)]
    for text, result in zip(NONSENSE, site.read(*paths)["results"], strict=True):
        assert result["status"] == "reader_crashed", text
        assert result["width"] is result["barcode"] is None


def test_no_header_and_a_status_with_a_value(site):
    site.install(READER)
    nothing, cut = site.read(site.put("n.acm", b"ACMENONE"), site.put("c.acm", b"ACMECUT"))["results"]
    assert nothing["status"] == "reader_crashed"
    assert (cut["status"], cut["status_detail"], cut["width"]) == ("truncated", "so says the plug-in acme", 7)


def test_surrogates_and_endless_texts_do_no_harm(site):
    site.install(READER)
    lone = site.put("a.acm", b"ACMENONSENSEbarcode='\\udc80'+'x'*99999")
    (result,) = site.read(lone)["results"]
    assert result["status"] == "ok"
    assert result["barcode"].startswith("?x")
    assert len(result["barcode"]) == 65_536


def test_pictures_come_through_the_process(site):
    site.install(READER)
    program = (
        PROGRAM.partition("if __name__")[0]
        + """
with LocalSource(os.fsencode(sys.argv[2])) as source:
    label = readers.picture(source, "acme", "label")
    print(label.mode, label.size, label.getpixel((3, 3)), readers.picture(source, "acme", "thumbnail"))
    try:
        readers.picture(source, "acme", "overview")
    except OSError as error:
        print("lost", error)
    print(readers.picture(source, "acme", "label").size)
    print(readers.sample_pixels(source, "acme"), readers.count_tiles(source, "acme"))
"""
    )
    done = site.run(program, 20, site.put("good.acm", b"ACME"))
    assert done.stdout.splitlines() == [
        "RGB (30, 20) (200, 200, 200) None",
        "lost the plug-in did not survive the file",
        "(30, 20)",
        "None None",
    ], done.stderr


DOCTOR = """
import json
from dataclasses import astuple
from pathcurate.model.slide import SLIDES
from pathcurate.readers import plugins
from pathcurate.tables import Catalog
print(json.dumps([astuple(plugin) for plugin in plugins.plugins()]))
"""


def test_each_plugin_is_listed_with_what_is_wrong_with_it(site):
    site.install(READER)
    site.install("import a_vendors_library_that_is_not_there", name="broken", module="b", distribution="b")
    site.install("EXTENSIONS = ()\nclaim = 5", name="empty", module="c", distribution="c")
    site.install("def claim(head, source): ...", name="bare", module="d", distribution="d")
    site.install("import os; os.abort()", name="deadly", module="e", distribution="e")
    site.install(READER, name="Not A Name", module="f", distribution="f")
    site.install(READER, name="gone", module="g", distribution="g", attr=":Nothing")
    listed = {name: (version, home, problem) for name, version, home, problem in json.loads(site.run(DOCTOR).stdout)}
    assert listed == {
        "acme": ("1.2", "acme-pathcurate", None),
        "broken": ("1.2", "b", "it cannot be imported (ModuleNotFoundError)"),
        "empty": ("1.2", "c", "it has no functions claim and read"),
        "bare": ("1.2", "d", "it cannot be imported (AttributeError)"),
        "deadly": ("1.2", "e", "its process ends, or does not answer, while it is imported"),
        "Not A Name": ("1.2", "f", "its name is no lower-case identifier"),
        "gone": ("1.2", "g", "it cannot be imported (AttributeError)"),
    }
    # The broken ones cost nobody anything.
    assert site.read(site.put("x.acm", b"ACME"))["results"][0]["reader"] == "acme"


def test_of_two_plugins_with_one_name_none_is_used(site):
    site.install(READER)
    site.install(READER, module="other", distribution="other")
    ((_, _, _, problem),) = json.loads(site.run(DOCTOR).stdout)
    assert problem == "another plug-in has the same name"
    assert site.read(site.put("x.acm", b"ACME"))["results"] == [None]


def test_a_plugin_cannot_take_the_name_of_a_reader(site):
    site.install(READER, name="tiff")
    found = site.read(site.put("x.acm", b"ACME"))
    assert found["results"] == [None]
    assert found["versions"]["tiff"] < 1000
    ((_, _, _, problem),) = json.loads(site.run(DOCTOR).stdout)
    assert problem == "it has the name of one of pathcurate's own readers"


def test_another_version_reads_again_what_it_read_and_what_nobody_read(site):
    path = site.put("x.acm", b"ACME")
    before = site.read(path)
    site.install(READER, version="1.0")
    first = site.read(path)
    (site.packages / "acme_pathcurate-1.0.dist-info").rename(site.packages / "acme_pathcurate-1.1.dist-info")
    metadata = site.packages / "acme_pathcurate-1.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    second = site.read(path)
    assert "acme" not in before["versions"]
    assert first["versions"]["acme"] != second["versions"]["acme"]
    assert len({found["versions"]["none"] for found in (before, first, second)}) == 3
    assert len({found["family"] for found in (before, first, second)}) == 3
    assert first["versions"]["svs" if "svs" in first["versions"] else "tiff"] == second["versions"]["tiff"]


def test_nothing_of_a_plugin_is_imported_where_files_are_read(site):
    site.install("raise RuntimeError" + READER)
    program = PROGRAM + "\n    assert 'acme_reader' not in sys.modules\n"
    assert site.run(program, 20, site.put("x.acm", b"ACME")).returncode == 0


def test_it_runs_in_worker_processes_too(site):
    site.install(READER)
    program = site.directory / "program.py"
    head, _, _ = PROGRAM.partition("if __name__")
    program.write_text(
        head
        + """
if __name__ == "__main__":
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        print([result["status"] for result in pool.map(look, sys.argv[2:])])
"""
    )
    paths = [site.put(f"{number}.acm", b"ACMEDIE" if number == 2 else b"ACME") for number in range(5)]
    done = subprocess.run(
        [sys.executable, program, "20", *paths], check=False, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(site.packages)},
    )  # fmt: skip
    assert done.stdout.strip() == str(["ok", "ok", "reader_crashed", "ok", "ok"]), done.stderr


def test_a_plugin_does_not_outlive_its_worker(site):
    site.install(READER)
    program = (
        PROGRAM.partition("if __name__")[0]
        + """
print(look(sys.argv[2])["scanner_serial"], flush=True)
sys.stdin.read()
"""
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, "20", str(site.put("x.acm", b"ACME"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(site.packages)},
    )  # fmt: skip
    with worker:
        pid = int(worker.stdout.readline())
        os.kill(pid, 0)
        worker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(pid)


def test_a_plugin_that_hangs_ends_even_if_its_worker_is_dead(site):
    site.install(READER.replace("def claim", f"open({str(site.files / 'pid')!r}, 'w').write(str(os.getpid()))\n\ndef claim"))
    path = site.put("x.acm", b"ACMEHANG")
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "4", path], stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(site.packages)},
    )  # fmt: skip
    with worker:
        deadline = time.monotonic() + 40
        while not (site.files / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)
        worker.send_signal(signal.SIGKILL)
    pid = int((site.files / "pid").read_text())
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_running(pid)


def _is_running(pid) -> bool:
    """Whether it does anything: one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_scan_lists_what_a_plugin_reads_and_what_kills_it(site):
    site.install(READER)
    site.put("S24-1.acm", b"ACME")
    site.put("S24-2.acm", b"ACMEDIE")
    site.put("S24-3.sdpc", b"SQ" + bytes(9))
    site.put("S24-4.mdsx", b"BKIO" + bytes(99))
    workspace = site.directory / "ws"
    workspace.mkdir()
    archive = {"name": "main", "root": str(site.files)}
    sites = [{"code": "NB01", "name": "test", "archives": [archive]}]
    (workspace / "pathcurate.yaml").write_text(json.dumps({"workspace": 1, "name": "test", "sites": sites}))
    done = subprocess.run(
        [sys.executable, "-m", "pathcurate", "scan", "-w", workspace],
        check=False, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(site.packages)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ZHANG" not in done.stdout + done.stderr
    rows = {row["relpath"]: row for row in Catalog(workspace / "catalog").read(SLIDES).to_pylist()}
    assert {path: (row["status"], row["reader"]) for path, row in rows.items()} == {
        b"S24-1.acm": ("ok", "acme"),
        b"S24-2.acm": ("reader_crashed", "acme"),
        b"S24-3.sdpc": ("ok", "acme"),
        b"S24-4.mdsx": ("unsupported:motic", "none"),
    }
    assert (rows[b"S24-1.acm"]["width"], rows[b"S24-1.acm"]["vendor"]) == (1000, "sqray")
