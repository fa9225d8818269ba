"""`pathcurate scan` as a person and a script see it: its words, its document, its files, its exit codes."""

import contextlib
import io
import json
import stat
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pathcurate.cli.main import run
from pathcurate.cli.session import Session
from pathcurate.demo.slides import write_svs
from pathcurate.tables import Catalog
from tests.archives import STATES, tiff

KEYS = {
    "walked", "found", "companions", "instances", "series", "others", "skipped", "read", "unchanged", "moved", "gone",
    "postponed", "looked", "sheets", "statuses", "findings", "waived", "report",
}  # fmt: skip


class Place:
    """A workspace with two archives of slides, and its command line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.workspace = directory / "ws"
        self.workspace.mkdir()
        for name in ("main", "more"):
            (directory / name).mkdir()
        self.configure()

    def configure(self, **more: object) -> None:
        """Write the settings; ``more`` are those of the archive ``main``."""
        archives = [
            {"name": name, "root": str(self.directory / name), **(more if name == "main" else {})}
            for name in ("main", "more")
        ]
        settings = {"workspace": 1, "name": "test", "sites": [{"code": "NB01", "archives": archives}]}
        (self.workspace / "pathcurate.yaml").write_text(json.dumps(settings))

    def put(self, name: str, content: bytes, archive: str = "main") -> Path:
        path = self.directory / archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*arguments, "-w", str(self.workspace)])
        return code, out.getvalue(), err.getvalue()

    def scan(self, *arguments: str) -> tuple[int, str, str]:
        return self.run("scan", "--workers", "1", *arguments)

    def document(self, *arguments: str, code: int = 0) -> dict:
        exit_code, out, _ = self.scan(*arguments, "--json")
        assert exit_code == code
        return json.loads(out)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels_here: None) -> Place:
    for name in ("PATHCURATE_WORKSPACE", "PATHCURATE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return Place(tmp_path)


def painted(place: Place, name: str = "S23-00131.svs", **more: object) -> None:
    keys = {"AppMag": "20", "MPP": "0.5", "ScanScope ID": "SS7001"}
    write_svs(place.directory / "main" / name, seed=1, size=(900, 700), description=keys, **more)


# --- What it shows ---------------------------------------------------------------------------------------------------


def test_a_person_sees_every_file_accounted_for(place: Place) -> None:
    for name, (content, _) in STATES.items():
        place.put(name, content)
    (place.directory / "main" / "way_out").symlink_to("/")
    code, out, err = place.scan()
    assert (code, err) == (0, "")
    slides = sum(status is not None for _, status in STATES.values())
    others = len(STATES) - slides
    first, *rest = out.splitlines()
    files = f"{len(STATES)} files = {slides} slides + 0 companions + {others} others"
    assert first == f"{files}; {slides} read, 0 unchanged, 0 moved, 0 gone"
    counts = {line.split()[0]: int(line.split()[1]) for line in rest if line.startswith("  ") and len(line.split()) == 2}
    assert counts == Counter(status for _, status in STATES.values() if status is not None)
    assert sorted(next(line for line in rest if line.startswith("others: "))[8:].split(", ")) == [
        ".jpg 1", ".txt 1", "no extension 1",
    ]  # fmt: skip
    assert any(line.startswith("not read: ") for line in rest)
    assert "looked at" not in out
    assert not any(str(place.directory) in line or name in line for name in STATES for line in rest if "." in name)


def test_one_line_a_rule_or_one_a_finding(place: Place) -> None:
    for seed in range(3):
        place.put(f"{seed}.svs", tiff(seed, keys={})[:-60])
    _, short, _ = place.scan()
    assert short.count("scan.truncated") == 1
    assert "(and 2 more)" in short
    _, long, _ = place.scan("-v")
    assert long.count("scan.truncated") == 3
    assert "slides.status: slide S-" in long


def test_the_document_has_what_the_lines_say(place: Place) -> None:
    place.put("whole.svs", tiff(1, keys={}))
    place.put("cut.svs", tiff(2, keys={})[:-60])
    document = place.document()
    assert set(document) == KEYS
    assert {name: document[name] for name in ("walked", "found", "read", "statuses", "looked", "postponed", "report")} == {
        "walked": 2, "found": 2, "read": 2, "statuses": {"ok": 1, "truncated": 1}, "looked": {}, "postponed": {},
        "report": [],
    }  # fmt: skip
    (finding,) = document["findings"]
    assert {name: finding[name] for name in ("rule", "severity", "stage", "site", "count")} == {
        "rule": "scan.truncated", "severity": "error", "stage": "scan", "site": "NB01", "count": 1,
    }  # fmt: skip


def test_quiet_is_for_messages_not_for_the_result(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathcurate.cli.progress._SECONDS", 0.0)
    place.put("whole.svs", tiff(1, keys={}))
    _, _, err = place.scan()
    assert "scan headers: 1 of 1 files" in err
    code, quiet, err = place.scan("-q")
    assert (code, err) == (0, "")
    assert quiet.startswith("1 files = 1 slides")


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("warning", 1), ("info", 1), ("never", 0)])
def test_findings_make_the_exit_code_where_asked(place: Place, level: str, code: int) -> None:
    place.put("cut.svs", tiff(2, keys={})[:-60])
    assert place.scan("--fail-on", level)[0] == code
    place.put("cut.svs", tiff(2, keys={}))
    assert place.scan("--fail-on", level)[0] == 0


def test_what_was_looked_at_is_said(place: Place) -> None:
    painted(place, label_lines=["S23-00131"], label_barcode="S23-00131-A1")
    code, out, err = place.scan("--check", "digest", "--labels", "--qc", "--tiles", "2", "--seed", "5")
    assert (code, err) == (0, "")
    assert "looked at: tiles 1, digest 1, labels 1, quality 1" in out.splitlines()
    (sheet,) = [line.removeprefix("contact sheet: ") for line in out.splitlines() if line.startswith("contact sheet: ")]
    assert stat.S_IMODE(Path(sheet).stat().st_mode) == 0o600
    assert "00131" not in out
    document = place.document("--check", "digest", "--labels", "--qc")
    assert document["looked"] == {"tiles": 0, "digest": 0, "labels": 0, "quality": 0}
    assert document["sheets"] == []


def test_an_archive_that_was_not_finished_is_named_with_the_reason(place: Place) -> None:
    now = datetime.now().astimezone()
    window = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    place.configure(window=window)
    place.put("a.svs", tiff(1, keys={}))
    place.put("b.svs", tiff(2, keys={}), archive="more")
    code, out, _ = place.scan()
    assert code == 0
    assert "1 files = 1 slides" in out
    assert "archive main was not read to its end: outside its hours; what is known of it counts as unchanged." in out
    assert place.document()["postponed"] == {"main": "outside its hours"}


def test_only_the_archives_that_are_named(place: Place) -> None:
    place.put("a.svs", tiff(1, keys={}))
    place.put("b.svs", tiff(2, keys={}), archive="more")
    assert place.document("more")["found"] == 1
    assert place.document("main", "more")["read"] == 1


# --- The report ------------------------------------------------------------------------------------------------------


def test_the_report_is_named_and_names_nobody(place: Place) -> None:
    painted(place, label_lines=["S23-00131"], label_barcode="S23-00131-A1")
    place.put("S23-00777 ZHANG SAN.svs", tiff(2, keys={})[:-60])
    code, out, _ = place.scan("--labels", "--report")
    assert code == 0
    paths = [Path(line.removeprefix("report: ")) for line in out.splitlines() if line.startswith("report: ")]
    assert [path.suffix for path in paths] == [".html", ".json"]
    assert {path.parent for path in paths} == {place.workspace / "reports"}
    page, text = (path.read_text(encoding="utf-8") for path in paths)
    document = json.loads(text)
    assert (document["slides"], document["labels_read"]) == (2, 1)
    ids = Catalog(place.workspace / "catalog")
    from pathcurate.model.slide import SLIDES

    known = {row["slide_id"] for row in ids.read(SLIDES).to_pylist()}
    for content in (page, text):
        for secret in ("00131", "00777", "ZHANG", "SS7001", str(place.directory), *known):
            assert secret not in content
    assert place.document("--report")["report"] != [str(path) for path in paths]


# --- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mian",), "main, more"),
        (("--ocr",), "--labels"),
        (("--relocate", "main"), "OLD=NEW"),
        (("--relocate", "=main"), "OLD=NEW"),
        (("--relocate", "main="), "OLD=NEW"),
        (("--relocate", "main=nowhere"), "nowhere"),
        (("--site", "NB99"), "NB01"),
        (("--check", "all"), "digest"),
        (("--tiles", "0"), "tiles"),
        (("--workers", "0"), "workers"),
        (("--seed", "x"), "seed"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_refused_before_anything_is_read(place: Place, arguments: tuple[str, ...], words: str) -> None:
    place.put("a.svs", tiff(1, keys={}))
    code, out, err = place.run("scan", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert not list((place.workspace / "catalog").rglob("*.parquet"))


def test_print_without_its_extra_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from pathcurate.images import printed

    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    printed._engine.cache_clear()
    place.put("a.svs", tiff(1, keys={}))
    code, out, err = place.scan("--labels", "--ocr")
    assert (code, out) == (2, "")
    assert "pip install 'pathcurate[ocr]'" in err


# --- Waivers ---------------------------------------------------------------------------------------------------------


def at(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Go some days ahead."""
    monkeypatch.setattr(Session, "now", property(lambda self: datetime.now().astimezone() + timedelta(days=days)))


def test_a_waived_finding_does_not_count_until_its_waiver_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2):
        place.put(f"{seed}.svs", tiff(seed, keys={})[:-60])
    place.put("note.sdpc", b"SQ" + bytes(90))
    assert place.scan("--fail-on", "warning")[0] == 1
    waive = ("findings", "waive", "--reason", "old scanner", "--owner", "Li Wei", "--until", "90d", "--by")
    assert place.run(*waive, "rule=scan.truncated,site=NB01")[0] == 0
    code, out, _ = place.scan("--fail-on", "error")
    assert code == 0
    assert "  2 findings waived; see `pathcurate findings list --waived`" in out.splitlines()
    assert "scan.truncated" not in out
    assert "scan.unsupported" in out
    assert place.scan("--fail-on", "warning")[0] == 1
    document = place.document()
    assert (document["waived"], [finding["rule"] for finding in document["findings"]]) == (2, ["scan.unsupported"])
    # It is on record all the same.
    _, listed, _ = place.run("findings", "list", "--json")
    assert sum(group["findings"] for group in json.loads(listed)["waived"]) == 2
    at(monkeypatch, 89)
    assert place.scan("--fail-on", "error")[0] == 0
    at(monkeypatch, 92)
    code, out, _ = place.scan("--fail-on", "error")
    assert code == 1
    assert "waived" not in out
    assert "scan.truncated" in out


def test_a_waiver_for_one_scanner_leaves_the_others(place: Place) -> None:
    for seed, scanner in ((1, "GT450"), (2, "AT2")):
        place.put(f"{scanner}.svs", tiff(seed, keys={"ScannerType": scanner})[:-60])
    place.scan()
    rows = {row["scanner_model"] for row in _slides(place)}
    assert rows == {"GT450", "AT2"}
    waive = ("findings", "waive", "--reason", "known", "--owner", "Li Wei", "--until", "30d", "--by")
    assert place.run(*waive, "rule=scan.truncated,scanner=AT2")[0] == 0
    document = place.document("--fail-on", "error", code=1)
    assert (document["waived"], len(document["findings"])) == (1, 1)


def _slides(place: Place) -> list[dict]:
    from pathcurate.model.slide import SLIDES

    return Catalog(place.workspace / "catalog").read(SLIDES).to_pylist()
