"""Link review: which slides people are shown, what of them, and that nothing of it leaves."""

import base64
import hashlib
import io
import json
import random
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pathcurate.cli.linkreview import command
from pathcurate.demo.slides import write_svs
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import LockedError, PlanIncompleteError, UsageError
from pathcurate.link import reviewsheet
from pathcurate.link.crops import _print_share, read_crops
from pathcurate.link.reviewdraw import REASONS, _in_proportion, _in_turn
from pathcurate.model.link import LINKED_TIERS, LINKS
from pathcurate.model.question import LINK_QUESTIONS
from pathcurate.storage import locked
from pathcurate.tables import from_rows
from tests.reviewdesk import NOW, Desk, Inline, Row, Sheet, as_csv, link, name, report, slide

HOSTILE = "2024/\u202egvs.<script>alert(1)</script>=cmd|calc'!A0.svs"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path, engine: Embedded) -> Desk:
    return Desk(tmp_path / "w", engine)


# --- Which slides ------------------------------------------------------------------------------------------------

Counts = dict[tuple[str, str], int]
STRATA = st.dictionaries(
    st.tuples(st.sampled_from(LINKED_TIERS), st.sampled_from(("NB01", "NB02", "NB03"))), st.integers(1, 10**7), max_size=12
)


@given(STRATA, st.integers(0, 500))
@settings(max_examples=60)
def test_a_tiers_sample_is_whole_and_in_proportion(counts: Counts, each: int) -> None:
    allotted = _in_proportion(counts, each)
    for tier in {tier for tier, _ in counts}:
        members = {stratum: count for stratum, count in counts.items() if stratum[0] == tier}
        total, wanted = sum(members.values()), min(each, sum(members.values()))
        assert sum(allotted[stratum] for stratum in members) == wanted
        assert all(abs(allotted[stratum] - wanted * count / total) < 1 for stratum, count in members.items())


@given(st.dictionaries(st.tuples(st.sampled_from(list(REASONS)), st.sampled_from(("NB01", "NB02"))), st.integers(1, 10**6)),
       st.integers(0, 400))  # fmt: skip
@settings(max_examples=60)
def test_every_kind_of_doubt_has_its_turn(counts: Counts, wanted: int) -> None:
    allotted = _in_turn(counts, wanted)
    assert sum(allotted.values()) == min(wanted, sum(counts.values()))
    assert all(number <= counts[stratum] for stratum, number in allotted.items())
    short = [number for stratum, number in allotted.items() if number < counts[stratum]]
    assert not short or max(allotted.values()) - min(short) <= 1


def test_the_sample_depends_on_seed_and_slides_alone(desk: Desk) -> None:
    links = [link(n, tier, site=site) for n in range(1, 301)
             for tier, site in [(("barcode", "exact")[n % 2], "NB01" if n % 3 else "NB02")]]  # fmt: skip
    drawn = desk.fill(links).draw(sample=10, uncertain=0)
    assert Counter(links[int(item.slide_id[2:]) - 1]["tier"] for item in drawn) == {"exact": 10, "barcode": 10}
    assert Counter(links[int(item.slide_id[2:]) - 1]["site"] for item in drawn)["NB02"] in {6, 7, 8}
    random.Random(1).shuffle(links)
    other = Desk(desk.workspace.root.parent / "other", desk.engine)
    other.catalog.upsert(LINKS, from_rows(LINKS, [{**row, "tier": "none"} for row in links[:50]]))
    other.catalog.upsert(LINKS, from_rows(LINKS, links))
    assert other.draw(sample=10, uncertain=0) == drawn
    assert set(desk.draw(sample=20, uncertain=0)) > set(drawn)
    assert desk.draw(sample=10, uncertain=0, seed=1) != drawn
    assert {item.slide_id for item in desk.draw(sample=5, tiers=("exact",), sites=("NB02",))} <= {
        row["slide_id"] for row in links if (row["tier"], row["site"]) == ("exact", "NB02")
    }


DOUBTS: dict[str, Row] = {
    "conflict": {"tier": "conflict"},
    "patient_disagrees": {"patient_agrees": False},
    "scanned_before_receipt": {"scanned_after_receipt": False},
    "organ_disagrees": {"organ_agrees": False},
    "other_number": {"confidence": 0.5},
    "by_patient_and_date": {"tier": "patient_date"},
    "stain_unlikely": {"stain_plausible": False},
    "block_not_named": {"block_named": False},
    "candidates_only": {"tier": "none", "losing_candidates": ["S24-9 barcode"]},
}


def test_each_doubt_is_found_and_nothing_else(desk: Desk) -> None:
    assert DOUBTS.keys() == REASONS.keys()
    certain = [
        link(90), link(91, patient_agrees=True, block_named=None), link(92, "none"), link(93, "none", losing_candidates=[]),
        link(94, "reviewed", organ_agrees=False, confidence=0.5),
        {**link(95, "conflict"), "slide_id": None, "series_id": "I-1"},
    ]  # fmt: skip
    doubtful = [link(n, **values) for n, values in enumerate(DOUBTS.values(), start=1)]
    drawn = desk.fill([*certain, *doubtful]).draw(sample=0)
    assert [item.slide_id for item in drawn] == [name(n) for n in range(1, len(DOUBTS) + 1)], "the gravest first"
    assert {item.purpose for item in drawn} == {"uncertain"}


def test_slides_without_a_case_are_shown_if_they_are_asked_for(desk: Desk) -> None:
    desk.fill([link(1, "none"), link(2, "none", losing_candidates=["S24-9 barcode"]), link(3, organ_agrees=False)])
    assert {item.slide_id for item in desk.draw(sample=0, tiers=("none", "conflict"))} == {name(1), name(2)}
    assert {item.slide_id for item in desk.draw(sample=0)} == {name(2), name(3)}


def test_many_of_one_doubt_do_not_hide_the_few_of_another(desk: Desk) -> None:
    links = [link(n, "conflict") for n in range(1, 200)] + [link(200, block_named=False), link(201, organ_agrees=False)]
    drawn = {item.slide_id for item in desk.fill(links).draw(sample=0, uncertain=10)}
    assert len(drawn) == 10
    assert {name(200), name(201)} < drawn


def test_a_sample_is_drawn_of_doubtful_links_too_and_each_slide_once(desk: Desk) -> None:
    desk.fill([link(n, organ_agrees=n % 2 == 0) for n in range(1, 41)])
    drawn = desk.draw(sample=20, uncertain=40)
    sample = {item.slide_id for item in drawn if item.purpose == "sample"}
    assert len(sample) == 20
    assert any(int(slide_id[2:]) % 2 for slide_id in sample)
    doubtful = {name(n) for n in range(1, 41, 2)}
    assert len(drawn) == len({item.slide_id for item in drawn}) == len(sample | doubtful)
    assert len(desk.draw(sample=400, uncertain=400, most=12)) == 12


def test_what_was_decided_under_the_same_rules_is_not_asked_again(desk: Desk) -> None:
    desk.fill([link(1), link(2), link(3, rule_set_sha="sha256:" + "0b" * 32)])
    sheet = desk.sheet()
    desk.answer(as_csv(sheet.answers((1, "unsure", ""), (3, "confirm", ""))))
    assert {item.slide_id for item in desk.draw()} == {name(2)}
    assert {item.slide_id for item in desk.draw(again=True)} == {name(1), name(2), name(3)}
    desk.fill([link(n, rule_set_sha="sha256:" + "0c" * 32) for n in (1, 2, 3)])
    assert len(desk.draw()) == 3


def test_without_links_there_is_nothing_to_review(desk: Desk) -> None:
    with pytest.raises(PlanIncompleteError, match="no slide was linked"):
        desk.export()
    desk.fill([])
    assert desk.export().folder is None
    assert desk.audit() == []


# --- What they see -------------------------------------------------------------------------------------------------


def test_the_sheet_is_private_ends_and_is_audited_by_counts(desk: Desk) -> None:
    desk.fill([link(1), link(2, "conflict", losing_candidates=["S24-1 barcode", "S24-7 file_name"])],
              keys=[(2, "S24-1", "barcode"), (2, "S24-7", "file_name")])  # fmt: skip
    exported = desk.export(days=3)
    assert exported.folder is not None
    assert exported.folder.parent == desk.workspace.catalog / "review"
    assert (exported.slides, exported.purposes) == (2, {"sample": 1, "uncertain": 1})
    assert exported.tiers == {"barcode": 1, "conflict": 1}
    for path in (exported.folder.parent, exported.folder, *exported.folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert sorted(path.name for path in exported.folder.iterdir()) == ["decisions.csv", "review.html", "sheet.json"]
    until = json.loads((exported.folder / "sheet.json").read_text())
    assert datetime.fromisoformat(until["expires_at"]) == NOW + timedelta(days=3)
    (event,) = desk.audit()
    assert (event["action"], event["actor"]) == ("link review export", "expert")
    assert {key: value for key, value in event["facts"].items() if key != "version"} == {
        "slides": 2, "sample": 1, "uncertain": 1, "days": 3,
    }  # fmt: skip
    sheet = Sheet(exported.folder)
    assert "2026-03-07 05:06 UTC" in sheet.page
    assert [(row["proposed_accession"], row["candidates"]) for row in sheet.rows] == [("S24-1", ""), ("", "S24-1")]
    assert {row["sheet"] for row in sheet.rows} == {exported.folder.name}
    asked = desk.catalog.read(LINK_QUESTIONS).to_pylist()
    assert [(row["slide_id"], row["purpose"], row["accession"]) for row in asked] == [
        (name(1), "sample", "S24-1"), (name(2), "uncertain", None),
    ]  # fmt: skip


def test_a_person_can_judge_by_what_is_shown(desk: Desk) -> None:
    values: Row = {
        "patient_agrees": False, "lag_days": -4, "scanned_after_receipt": False, "organ_agrees": True, "specimen": "B",
        "block": "3", "block_named": False,
        "losing_candidates": ["S24-2 file_name: another case", "S24-404 folder: not in the reports"],
    }  # fmt: skip
    desk.fill(
        [link(1, **values)],
        slides=[slide(1, barcode="S24-00001-B3", label_text="乳腺", relpath="室/S24-00002 B3.svs".encode("gb18030"))],
        reports=[report(1, patient_name="欧阳靖远", organ="breast", specimen_sites="左乳", blocks=["A1", "A2"]),
                 report(11, accession="S24-1", report_type="supplementary"), report(2, diagnosis="胃炎")],
        keys=[(1, "S24-1", "barcode"), (1, "S24-2", "file_name"), (1, "S24-404", "folder")],
    )  # fmt: skip
    page = desk.sheet().page
    for text in (
        "欧阳靖远", "左乳", "A1, A2", "2024-03-01", "S24-00001-B3", "室", "S24-00002 B3.svs", "患者2", "胃炎", "2 reports",
        "patient&#39;s number is another&#39;s", "-4 d", "organ agrees", "B3", "no photo of the label",
        "· <bdi>another case</bdi>",
    ):  # fmt: skip
        assert text in page, text
    assert page.count("浸润性癌。") == 300 // 5
    assert re.findall(r'number-read is-(\w+)">(S24-\d+)<', page) == [
        ("case", "S24-1"), ("other", "S24-2"), ("unknown", "S24-404"),
    ]  # fmt: skip
    assert re.findall(r'value="confirm" data-accession="([^"]*)"', page) == ["S24-1", "S24-2"]


def test_hostile_values_stay_text(desk: Desk) -> None:
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e=cmd"
    desk.fill(
        [link(1, accession="=S24-1", losing_candidates=[f"{bad} barcode"])],
        slides=[slide(1, relpath=HOSTILE.encode(), barcode=bad, label_text=bad * 200, scanner_model=bad)],
        reports=[report(1, accession="=S24-1", **dict.fromkeys(("patient_name", "specimen_sites", "diagnosis"), bad))],
        keys=[(1, bad, "barcode")],
    )  # fmt: skip
    sheet = desk.sheet()
    scripts = re.findall(r"<script>(.*?)</script>", sheet.page, re.DOTALL)
    assert len(scripts) == sheet.page.count("<script") == 1
    assert "alert" not in scripts[0]
    assert "<img" not in sheet.page
    assert "\u202e" not in sheet.page
    assert len(sheet.page) < 60_000, "a label's text of 20,000 characters is cut"
    raw = (sheet.folder / "decisions.csv").read_bytes().decode("utf-8-sig")
    assert not re.search(r'(^|,)"?[=+@-]', raw, re.MULTILINE)
    assert sheet.rows[0]["proposed_accession"] == "'=S24-1"


def test_the_page_lets_in_its_own_script_and_nothing_else(desk: Desk) -> None:
    page = desk.fill([link(1)]).sheet().page
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data:", "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert not re.search(r"https?:|url\(|@import|<link|<iframe|<form|localStorage|fetch\(|XMLHttp", page)
    assert not re.search(r"<[^>]*\son\w+=", page)


def test_a_sheet_that_cannot_be_written_leaves_nothing_to_see(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.fill([link(1)])
    with monkeypatch.context() as patched:
        patched.setattr(reviewsheet, "csv_for_people", lambda heads, rows: (_ for _ in ()).throw(OSError(30, "read-only")))
        with pytest.raises(OSError, match="read-only"):
            desk.export()
    assert [path.name[:6] for path in (desk.workspace.catalog / "review").iterdir()] == [".link-"]
    assert desk.audit() == []
    exported = desk.export()
    assert exported.expired == 1, "what a killed export left goes with the next one"
    assert list((desk.workspace.catalog / "review").iterdir()) == [exported.folder]


# --- Labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_shown_where_they_can_be_read(desk: Desk) -> None:
    archive = desk.workspace.root / "archive"
    write_svs(archive / "1.svs", seed=1, size=(600, 400), description={"AppMag": "40"}, label_lines=["S24-00001"])
    (archive / "2.svs").write_bytes((archive / "1.svs").read_bytes()[:900])
    seen = {"has_label": True, "has_overview": True}
    slides = [
        slide(1, relpath=b"1.svs", **seen), slide(2, relpath=b"2.svs", **seen), slide(3, relpath=b"3.svs", **seen),
        slide(4, relpath=b"1.svs", storage_state="offline", **seen), slide(5, relpath=b"1.svs"),
        slide(6, relpath=b"1.svs", site="NB02", **seen), slide(7, relpath=b"1.svs", archive="gone", **seen),
        slide(8, relpath=b"../pathcurate.yaml", **seen), slide(9, relpath=b"1.svs", status="corrupt", **seen),
        slide(10, relpath=b"4.svs", **seen),
    ]  # fmt: skip
    desk.engine = Inline(desk.engine, lost=b"4.svs")
    crops = read_crops(desk.workspace, desk.engine, slides, NOW)
    whys = [crops[name(n)].why for n in range(1, 11)]
    assert whys == ["", "unreadable", "unreadable", "offline", "no_label", "postponed", *["unreadable"] * 4]
    picture = crops[name(1)].picture
    assert picture is not None
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, max(image.size) <= 600, "exif" in image.info) == ("JPEG", True, False)
    assert {crop.picture for slide_id, crop in crops.items() if slide_id != name(1)} == {None}
    desk.fill([link(1), link(2)], slides=slides[:2])
    page = desk.sheet().page
    assert page.count('<img src="data:image/jpeg;base64,') == 1
    assert "the photo cannot be read" in page


def test_the_end_of_an_overview_with_print_is_the_labels() -> None:
    rng = random.Random(3)
    tissue = Image.effect_noise((300, 300), 24).convert("RGB")
    label = Image.new("RGB", (300, 300), "white")
    for row in range(60, 200, 30):
        label.paste((0, 0, 0), (20, row, 20 + rng.randrange(100, 250), row + 4))
        for column in range(20, 260, 9):
            label.paste((0, 0, 0), (column, row + 6, column + 3, row + 20))
    assert _print_share(label) > 3 * _print_share(tissue)
    assert _print_share(Image.new("L", (1, 40))) == 0


# --- The commands ----------------------------------------------------------------------------------------------------


def review(*arguments: str | Path) -> Any:
    return command.main(list(map(str, arguments)), standalone_mode=False)


def test_the_commands_say_what_was_done(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.fill([link(1), link(2)])
    root = desk.workspace.root
    review("export", "-w", root, "--json", "--sample", "1", "--uncertain", "0")
    document = json.loads(capsys.readouterr().out)
    assert (document["slides"], document["purposes"], document["without_label"]) == (1, {"sample": 1}, 1)
    sheet = Sheet(Path(document["folder"]))
    rows = [{**row, "decision": "confirm"} for row in sheet.rows]
    (root / "back.csv").write_bytes(as_csv([*rows, {**rows[0], "slide_id": "S-forged"}]))
    assert review("import", "-w", root, root / "back.csv", "--fail-on", "error") == 1
    assert review("import", "-w", root, root / "back.csv") == 0
    out = capsys.readouterr().out
    assert "1 decision added; 0 known, 0 unanswered, 1 refused" in out
    assert "0 decisions added; 1 known" in out
    assert "link.review_unknown" in out
    assert "S-forged" not in out
    (sheet.folder / "decisions.csv").write_bytes(as_csv([{**rows[0], "decision": "否"}]))
    review("import", "-w", root)
    assert "1 decision added" in capsys.readouterr().out
    with pytest.raises(UsageError, match="reviewer"):
        review("import", "-w", root, root / "back.csv", "--reviewer", "a\nb")
    with locked(root, "scan"), pytest.raises(LockedError):
        review("import", "-w", root, root / "back.csv")
    with locked(root, "scan"), pytest.raises(LockedError):
        review("export", "-w", root)
    review("export", "-w", root, "--again", "--site", "NB01", "--tier", "barcode")
    assert "2 slides to review until" in capsys.readouterr().out
    for folder in (root / "catalog" / "review").iterdir():
        shutil.rmtree(folder)
    with pytest.raises(UsageError, match="no review"):
        review("import", "-w", root)
    with pytest.raises(UsageError, match="no site"):
        review("export", "-w", root, "--site", "NB99")
