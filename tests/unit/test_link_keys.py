"""Keys of slides: read in bulk or one by one they are the same; what other systems know belongs to the right slide."""

import random
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.findings import read_findings
from pathcurate.link import keys as link_keys
from pathcurate.link.keys import bring_keys
from pathcurate.link.keys.forms import path_forms, path_texts
from pathcurate.link.keys.reading import INPUT, OUTPUT, unread_keys
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.slide import KEY_SOURCES, SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import canonical, canonical_numbers
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, from_rows
from pathcurate.text import accession, manynumbers
from pathcurate.text.accession import AccessionPatterns, fold
from pathcurate.text.manynumbers import find_numbers
from pathcurate.text.slidenames import read_names
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import DEFAULT_PATTERNS, load_workspace
from tests.archives import Here

OTHER_PATTERNS = (
    (r"^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})",),
    (r"\b(?P<number>\d{4,6})\b",),
    (r"(?P<prefix>[A-Z]\d?)-(?P<number>\d+)",),
    (r"(?P<accession>\d{4}-\d{2}-\d{2}-\d{3})", *DEFAULT_PATTERNS),
    (r"(?P<prefix>S)|X(?P<number>\d)", r"(?P<number>\d+)$"),
    (r"(?P<prefix>[A-Z]*)(?P<year>\d{4})(?P<number>\d{1,5})(?P<specimen>[A-Z]?)(?P<block>\d*)",),
    (r"((?:^|_)Q)(?P<number>\d+)", r"病理?(?P<number>\d+)号?(?P<slide>.?)"),
    (r"(?P<accession>[\x{4e00}-\x{9fff}]\d+)(?:-(?P<specimen>[A-K]))?",),
    (r"(?P<accession>[0-9A-F]{8}-[0-9A-F-]{27})",),
    (r"(?P<number>\d*)",),
)
WORDS = st.sampled_from([
    "S23-00123", "S2300123", "s202300123", "F20-1234", "B2012-0345", "23-00001", "S19001234", "S1900", "TCGA-05-4244",
    "TCGA-05-4244-01Z-00-DX1", "0f8fad5b-d9cb-469f-a165-70867728950e", "AB123456-D9CB-1234-A165-70867728950E",
    "CASE-4711-B2",
    "2023-03-14", "2023.03.14", "23-03-14", "2023年3月14日", "20230314", "103000", "10.30.15", "-001", "-A1", "-A", "A1",
    "B12",
    "P53", "-P53", "HE", "H-E", "Ki-67", "CK5/6", "HER2", "X40", "王小红", "左乳", "蜡块3", "病1号", "Ｓ２３－００１２３",
    "－", "—", "①", "\u3000", "ß", "é", "ﬁ", "K", "ſ", "-2", "Q77", "ABCDEF01", "0", "00", "12345", "123456",
])  # fmt: skip
JOINTS = st.sampled_from(["", "", " ", "_", "-", "/", ".", "+", "  ", " - ", "(", "、"])
NAMES = st.one_of(
    st.lists(st.tuples(WORDS, JOINTS), max_size=5).map(lambda pairs: "".join(word + joint for word, joint in pairs)),
    st.text(alphabet="S2309-_ A1EＳ２年月王.F", max_size=24),
)


def one_by_one(text, patterns):
    """What the code that reads one text says of it, whatever its source."""
    return [
        (key.key, key.specimen, key.block) for key in read_names(b"", text, None, None, AccessionPatterns(patterns)).keys
    ]


def in_bulk(texts, patterns):
    found = find_numbers(pa.array(texts, pa.string()), patterns)
    said = [[] for _ in texts]
    for at, *row in zip(found.text, *(part.to_pylist() for part in (found.key, found.specimen, found.block)), strict=True):
        said[at].append(tuple(row))
    return said


class TestBulk:
    @settings(max_examples=120, deadline=None, derandomize=True)
    @given(st.lists(NAMES, max_size=12), st.sampled_from([DEFAULT_PATTERNS, DEFAULT_PATTERNS, *OTHER_PATTERNS]))
    def test_what_is_read_in_bulk_is_what_is_read_one_by_one(self, texts, patterns):
        assert in_bulk(texts, patterns) == [one_by_one(text, patterns) for text in texts]

    @pytest.mark.parametrize("patterns", [DEFAULT_PATTERNS, *OTHER_PATTERNS])
    def test_a_thousand_names(self, patterns):
        rng = random.Random(7)
        words = WORDS.elements if hasattr(WORDS, "elements") else WORDS.wrapped_strategy.elements
        texts = ["".join(rng.choice(words) + rng.choice(" _-/.+") for _ in range(rng.randrange(1, 5))) for _ in range(300)]
        assert in_bulk(texts, patterns) == [one_by_one(text, patterns) for text in texts]

    def test_nothing(self):
        assert in_bulk([], DEFAULT_PATTERNS) == []
        assert in_bulk([""], DEFAULT_PATTERNS) == [[]]

    def test_texts_that_were_cut_from_others(self):
        texts = pa.array(["x", "S23-00123-A1", "王 S23-00124", "y"])
        assert find_numbers(texts.slice(1, 2), DEFAULT_PATTERNS).key.to_pylist() == ["S23-123", "S23-124"]

    def test_plain_names_are_not_read_one_by_one(self, monkeypatch):
        def refuse(*arguments):
            raise AssertionError

        monkeypatch.setattr(manynumbers, "read_names", refuse)
        texts = [
            "S23-00123-A1-2 HE", "S23-00123", "S2300123 A1_P53 - 2023-03-14 10.30.15", "王小红_S23-00123_HE", "20230314",
            "2023-03-14 S23-00123", "扫描", "S202300123",
        ]  # fmt: skip
        assert [{key for key, *_ in said} for said in in_bulk(texts, DEFAULT_PATTERNS)] == [
            {"S23-123"}, {"S23-123"}, {"S23-123"}, {"S23-123"}, set(), {"S23-123"}, set(), {"S23-123", "S20-2300123"}
        ]  # fmt: skip

    def test_of_the_characters_that_are_taken_for_plain_none_is_folded(self):
        plain = re.compile(manynumbers.PLAIN.replace(r"\x{", r"\u").replace("}", ""))
        changed = [code for code in range(0x80, 0xD800) if plain.match(chr(code)) and fold(chr(code)) != chr(code)]
        assert changed == []
        assert plain.match("王A①") is None
        assert plain.match("王Aa-9《》")

    def test_no_stain_has_a_number_so_long_that_what_is_behind_it_is_not_looked_at(self):
        squeezed = [re.sub("[^0-9a-z]", "", word) for word in vocabulary("stains").words]
        assert [word for word in squeezed if re.search("[0-9]{6}", word)] == []

    def test_every_uuid_and_date_begins_where_a_trap_is_seen(self):
        rng = random.Random(3)
        trap = re.compile(manynumbers.TRAP)
        seen = 0
        for _ in range(20_000):
            text = "".join(rng.choice("0012319-./_年月AF ") for _ in range(rng.randrange(6, 16)))
            for guard in (accession._UUID, accession._DATE):
                for found in guard.finditer(text):
                    seen += 1
                    assert trap.match(text, found.start())
        assert trap.match("0F8FAD5B-D9CB-469F-A165-70867728950E")
        assert seen > 10


class TestForms:
    PATHS = (
        b"a/b/S23-1.svs", b"x", b".svs", b"a/.svs", b"a.b/c", b"a//b.c.d", "外院/S23-1.svs".encode("gb18030"),
        b"\xff\xfe/x.svs", "王/小.svs".encode(), b"", b"/", b"a/",
    )  # fmt: skip

    @pytest.mark.parametrize("paths", [PATHS, PATHS[:6], PATHS[8:9], PATHS[::-1]])
    def test_paths_as_people_read_them(self, paths):
        read = path_texts(pa.array(paths, pa.binary()))
        expected = []
        for path in paths:
            *folders, name = map(path_text, path.split(b"/"))
            stem, dot, _ = name.rpartition(".")
            expected.append((stem if dot else name, [folder for folder in folders if folder]))
        lists = read.folders.lists.to_pylist()
        found = [
            (stem, [folder for folder in lists[at] if folder])
            for stem, at in zip(read.stems.to_pylist(), read.folders.at, strict=True)
        ]
        assert found == expected

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.one_of(st.text(max_size=6), st.text(alphabet=" \t\x1c\x1fabZ9Ａé\u3000", max_size=6))))
    def test_numbers_compare_as_everywhere(self, texts):
        assert canonical_numbers(pa.array(texts, pa.string())).to_pylist() == [canonical(text) for text in texts]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (r"D:\Slides\2023\A.SVS", "d:/slides/2023/a.svs"), (r"\\srv\share\a.svs", "srv/share/a.svs"),
            ("./a//b/./c.svs", "a/b/c.svs"), ("/a.svs", "a.svs"), ("Éa", "e\u0301a"), ("扫描\\王.SVS", "扫描/王.svs"),
            ("a/b/", "a/b"), (" a.svs", "a.svs"),
        ],
    )  # fmt: skip
    def test_paths_that_are_one(self, one, other):
        forms = path_forms(pa.array([one, other])).to_pylist()
        assert forms[0] == forms[1]


# --- The table -------------------------------------------------------------------------------------------------------


class Bench:
    """A catalog whose rows are written directly."""

    def __init__(self, root):
        self.root = root
        self.configure()
        self.catalog = Catalog(root / "catalog")

    def configure(self, accession="{}"):
        sites = "".join(
            f"  - {{code: {code}, archives: [{{name: main, root: {code}}}], accession: {accession}}}\n"
            for code in ("NB01", "NB02")
        )
        self.root.mkdir(exist_ok=True)
        (self.root / "pathcurate.yaml").write_text("workspace: 1\nname: keys\nsites:\n" + sites)
        self.workspace = load_workspace(self.root / "pathcurate.yaml")

    def put(self, *rows, only_adds=False):
        self.catalog.upsert(SLIDES, from_rows(SLIDES, rows), only_adds=only_adds)

    def index(self, *rows):
        rows = [{"entry_id": f"X-{n}", "site": "NB01", "source_row": n, **row} for n, row in enumerate(rows)]
        self.catalog.replace(SCANNER_INDEX, from_rows(SCANNER_INDEX, rows))

    def materials(self, *rows):
        rows = [{"material_id": f"M-{n}", "site": "NB01", "kind": "slide", **row} for n, row in enumerate(rows)]
        self.catalog.replace(MATERIALS, from_rows(MATERIALS, rows))

    def bring(self, engine=Here):
        with engine(workers=1, temp_directory=self.root / "sql") as running:
            return bring_keys(self.workspace, self.catalog, running)

    def rows(self):
        self.bring()
        return self.catalog.read(SLIDE_KEYS).to_pylist()

    def said(self, number=1):
        """Numbers of a slide with their sources, specimen and block."""
        code = f"S-{number:016}"
        return {
            (row["key"], row["sources"], row["specimen"], row["block"]) for row in self.rows() if row["slide_id"] == code
        }

    def faults(self):
        return {(one.rule.removeprefix("link.index_"), one.site, one.count) for one in read_findings(self.catalog, "keys")}


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "ws")


def slide(number, relpath="x.svs", **values):
    return {
        "slide_id": f"S-{number:016}", "site": "NB01", "archive": "main", "status": "ok",
        "relpath": relpath if isinstance(relpath, bytes) else relpath.encode(), **values,
    }  # fmt: skip


def reference(slides, patterns=DEFAULT_PATTERNS):
    """Rows as they must be, made slide by slide with the code that reads one slide."""
    reader = AccessionPatterns(patterns)
    rows = []
    for one in slides:
        if one["status"] == "gone":
            continue
        texts = [("barcode", one.get("barcode")), ("label", one.get("label_text"))]
        texts += [("metadata", text) for text in one.get("metadata_texts") or ()]
        *folders, name = map(path_text, one["relpath"].split(b"/"))
        texts.append(("file_name", name.rpartition(".")[0] or name))
        texts += [("folder", folder) for folder in reversed(folders)]
        by_key = {}
        for source, text in texts:
            for key in read_names(b"", text or "", None, None, reader).keys:
                by_key.setdefault(key.key, []).append((KEY_SOURCES.index(source), key.specimen, key.block))
        for key, said in (by_key or {None: []}).items():
            named = [(specimen, block) for _, specimen, block in said if specimen is not None]
            whole = [part for part in named if part[0] == named[0][0] and part[1] is not None]
            own = (one.get("specimen"), one.get("block")) if len(by_key) < 2 else (None, None)
            specimen, block = next(iter(whole or named), own)
            sources = ",".join(KEY_SOURCES[place] for place in sorted({place for place, *_ in said})) or None
            patient = canonical(one.get("patient_id") or "")
            rows.append({
                **{name: one.get(name) for name in SLIDE_KEYS.names}, "key": key, "sources": sources, "specimen": specimen,
                "block": block, "is_only": len(by_key) < 2, "patients": [patient] if patient else None, "glass": None,
            })  # fmt: skip
    return sorted(rows, key=lambda row: (row["site"], row["key"] is None, (row["key"] or "").encode(), row["slide_id"]))


def drawn(rng, count):
    words = ["S23-00123", "S23-00124-A1", "S2300125 B2", "HE", "P53", "2023-03-14", "23-00007", "F20-1234", "王", "x", "A1"]

    def name():
        return " ".join(rng.choice(words) for _ in range(rng.randrange(1, 3)))

    return [
        slide(
            number, "/".join(name() for _ in range(rng.randrange(1, 4))) + rng.choice([".svs", ".ndpi", ""]),
            site=rng.choice(["NB01", "NB02"]), barcode=rng.choice([None, "", name()]), label_text=rng.choice([None, name()]),
            metadata_texts=rng.choice([None, [], [name(), name()]]), patient_id=rng.choice([None, " p1 ", "Ｐ２", ""]),
            status=rng.choice(["ok", "ok", "ok", "gone", "corrupt"]), specimen=rng.choice([None, "C"]), block="7",
            stain=rng.choice([None, "HE"]),
        )
        for number in range(count)
    ]  # fmt: skip


class TestTable:
    @pytest.mark.parametrize("seed", range(3))
    def test_rows_are_those_that_slides_give_one_by_one(self, bench, seed):
        rows = drawn(random.Random(seed), 150)
        bench.put(*rows)
        assert bench.rows() == reference(rows)

    def test_neither_parts_nor_order_nor_workers_matter(self, bench, monkeypatch):
        rng = random.Random(5)
        rows = drawn(rng, 90)
        bench.put(*rows)
        bench.bring()
        before = bench.catalog._directory / "slide_keys"
        other = Bench(bench.root.parent / "other")
        old = [{**row, "relpath": b"S11-00001.svs"} for row in rng.sample(rows, 40)]
        other.put(*old[:20])
        rng.shuffle(rows)
        other.put(*(row for row in rows if row["slide_id"] not in {one["slide_id"] for one in old}), only_adds=True)
        other.put(*old[20:], only_adds=True)
        other.put(*(row for row in rows if row["slide_id"] in {one["slide_id"] for one in old}))
        monkeypatch.setattr(link_keys, "_READ_ROWS", 7)
        other.bring()
        assert other.catalog.read(SLIDE_KEYS).equals(bench.catalog.read(SLIDE_KEYS))
        files = [next(folder.glob("*.parquet")).read_bytes() for folder in (before, other.catalog._directory / "slide_keys")]
        assert files[0] == files[1]

    def test_only_what_was_written_since_is_read_again(self, bench, monkeypatch):
        rng = random.Random(9)
        state = {row["slide_id"]: row for row in drawn(rng, 200)}
        bench.put(*state.values())
        bench.bring()
        read = []
        kernel = link_keys.read_keys
        monkeypatch.setattr(link_keys, "read_keys", lambda batch, spec: read.append(batch.num_rows) or kernel(batch, spec))
        for step in range(4):
            changed = drawn(rng, 8 * step)[-8:]
            state |= {row["slide_id"]: row for row in changed}
            bench.put(*changed)
            read.clear()
            assert bench.rows() == reference(state.values())
            assert sum(read) == sum(row["status"] != "gone" for row in changed)

    def test_what_has_not_changed_is_not_made_again(self, bench):
        bench.put(slide(1, "S23-00001.svs"))
        assert bench.bring()
        state = bench.catalog.state(SLIDE_KEYS)
        assert not bench.bring()
        bench.put(slide(1, "S23-00001.svs", status_detail="another"))
        assert not bench.bring()
        assert bench.catalog.state(SLIDE_KEYS) == state
        bench.put(slide(1, "S23-00001.svs", status="gone"))
        assert bench.bring()
        assert bench.rows() == []

    def test_a_sites_new_patterns_are_applied_to_all_slides(self, bench):
        bench.put(slide(1, "CASE-4711-B2 HE.svs"), slide(2, "S23-00001.svs", site="NB02"))
        assert ("4711", "file_name", "B", "2") not in bench.said()
        bench.configure(r"{patterns: ['CASE-(?P<number>\d+)-(?P<specimen>[A-Z])(?P<block>\d)']}")
        assert bench.bring()
        assert bench.said() == {("4711", "file_name", "B", "2")}
        assert bench.said(2) == {(None, None, None, None)}

    def test_what_a_killed_run_left_is_removed(self, bench):
        bench.put(slide(1, "S23-00001.svs"))
        bench.bring()
        left = bench.workspace.catalog / ".spill" / "keys-abc" / "read.parquet"
        left.parent.mkdir()
        left.write_bytes(b"S23-00001")
        bench.bring()
        assert not left.parent.exists()

    def test_nothing_at_all(self, bench):
        bench.bring()
        assert bench.rows() == []

    def test_other_rules_read_all_slides_again(self, bench, monkeypatch):
        bench.put(slide(1, "S23-00001.svs"))
        bench.bring()
        state, made_of = bench.catalog.state(SLIDE_KEYS), bench.catalog.made_of(SLIDE_KEYS)
        monkeypatch.setattr(link_keys, "_VERSION", -1)
        assert not bench.bring()
        assert bench.catalog.state(SLIDE_KEYS) == state
        assert bench.catalog.made_of(SLIDE_KEYS) != made_of

    def test_a_slide_that_kills_its_reader_has_no_number(self):
        row = pa.RecordBatch.from_pylist([{"slide_id": "S-1", "site": "NB01", "archive": "main"}], schema=INPUT)
        (lost,) = unread_keys(row, "timeout").to_pylist()
        assert unread_keys(row, "timeout").schema == OUTPUT
        assert (lost["slide_id"], lost["key"], lost["is_only"], lost["more"]) == ("S-1", None, True, None)


class TestPatients:
    def test_numbers_by_the_sites_patterns(self, bench):
        bench.configure(r"{patients: ['(?:^|_)PAT(?P<patient>\d+)']}")
        bench.put(
            slide(1, "PAT7_x/S23-00001_PAT0012.svs", barcode="pat9", label_text="ＰＡＴ８", metadata_texts=["PAT6"],
                  patient_id=" z1 "),
            slide(2, "PAT7_x/S23-00002.svs"), slide(3, "x.svs"),
        )  # fmt: skip
        patients = {row["slide_id"][-1]: row["patients"] for row in bench.rows()}
        assert patients == {"1": ["0012", "7", "8", "9", "Z1"], "2": ["7"], "3": None}

    def test_a_patients_number_is_not_a_cases_too(self, bench):
        bench.configure(r"{patients: ['^(?P<patient>ZY\d{6})']}")
        bench.put(slide(1, "ZY700014_1.svs"), slide(2, "ZY700015_S23-00002-A1.svs"), slide(3, "ＺＹ７０００１６ß.svs"))
        assert bench.said() == {(None, None, None, None)} == bench.said(3)
        assert bench.said(2) == {("S23-2", "file_name", "A", "1")}
        patients = {row["slide_id"][-1]: row["patients"] for row in bench.rows()}
        assert patients == {"1": ["ZY700014"], "2": ["ZY700015"], "3": ["ZY700016"]}


class TestBlocks:
    def test_a_block_without_a_specimen(self, bench):
        bench.configure(r"{patterns: ['^(?P<prefix>BL)(?P<year>\d{2})-(?P<number>\d{6})(?:-(?P<block>\d{1,2}))?']}")
        bench.put(slide(1, "BL23-004512-03 HE.svs"), slide(2, "BL23-004513 HE.svs", specimen="A", block="1"))
        assert bench.said() == {("BL23-4512", "file_name", None, "3")}
        assert bench.said(2) == {("BL23-4513", "file_name", "A", "1")}


# --- Other systems' tables -------------------------------------------------------------------------------------------


class TestIndex:
    def test_paths_of_one_slide(self, bench):
        paths = [
            "2023/a/One.svs", "2023\\A\\one.SVS", r"D:\archive\2023\a\one.svs", r"\\server\share\slides\2023\a\one.svs",
            "/mnt/x/2023/a/one.svs", "a/one.svs", "one.svs", "one", "2023/a/one", r"E:\2023\a\one", "file:///x/2023/a/one.svs",
        ]  # fmt: skip
        bench.put(slide(1, "2023/a/one.svs"), slide(2, "2023/b/two.svs"), slide(3, "2023/a/xone.svs"))
        bench.index(*(
            {"path": path, "accession": "S23-1", "specimen": "A", "block": "2", "patient_id": f" p{number}"}
            for number, path in enumerate(paths, 1)
        ))  # fmt: skip
        assert bench.said() == {("S23-1", "index", "A", "2")}
        assert bench.said(2) == bench.said(3) == {(None, None, None, None)}
        assert [row["patients"] for row in bench.rows() if row["key"]] == [sorted(f"P{n}" for n in range(1, len(paths) + 1))]
        assert bench.faults() == set()

    def test_paths_of_no_slide(self, bench):
        paths = ["ne.svs", "b/one.svs", "2023", "a", "D:/other/a/one.svs/x", "one.sv", "one.tif", "", " ", "/", None]
        bench.put(slide(1, "2023/a/one.svs"))
        bench.index(*({"path": path, "accession": "S23-1"} for path in paths))
        assert bench.said() == {(None, None, None, None)}
        assert bench.faults() == {("no_slide", "NB01", len(paths))}

    def test_a_name_that_several_slides_have_says_nothing(self, bench):
        bench.put(slide(1, "a/1.svs"), slide(2, "b/1.svs"), slide(3, "b/2.svs"), slide(4, "b/2.ndpi"))
        bench.index(
            {"path": "1.svs", "accession": "S23-1"}, {"path": r"C:\b\1.svs", "accession": "S23-2"},
            {"path": "b/2", "accession": "S23-3"}, {"path": "b/2.ndpi", "accession": "S23-4"},
        )  # fmt: skip
        assert [bench.said(number) for number in (1, 2, 3, 4)] == [
            {(None, None, None, None)}, {("S23-2", "index", None, None)}, {(None, None, None, None)},
            {("S23-4", "index", None, None)},
        ]  # fmt: skip
        assert bench.faults() == {("several_slides", "NB01", 2)}

    def test_the_same_path_goes_before_one_that_ends_like_it(self, bench):
        bench.put(slide(1, "1.svs"), slide(2, "b/1.svs"))
        bench.index({"path": "1.svs", "accession": "S23-1"}, {"path": "b/1.svs", "accession": "S23-2"})
        assert bench.said(1) == {("S23-1", "index", None, None)}
        assert bench.said(2) == {("S23-2", "index", None, None)}

    def test_another_site_or_archive_is_another_slide(self, bench):
        bench.put(slide(1, "1.svs"), slide(2, "1.svs", site="NB02"), slide(3, "1.svs", archive="more"))
        bench.index(
            {"path": "1.svs", "accession": "S23-1", "archive": "more"},
            {"path": "1.svs", "accession": "S23-9", "site": "NB02"},
        )
        assert bench.said(1) == {(None, None, None, None)}
        assert bench.said(2) == {("S23-9", "index", None, None)}
        assert bench.said(3) == {("S23-1", "index", None, None)}
        bench.index({"path": "1.svs", "accession": "S23-1"}, {"path": "1.svs", "accession": "S23-1", "archive": "none"})
        assert bench.said(3) == {(None, None, None, None)}
        assert bench.faults() == {("several_slides", "NB01", 1), ("no_slide", "NB01", 1)}

    def test_entries_of_one_slide_agree_or_say_nothing(self, bench):
        bench.put(slide(1, "a/1.svs"), slide(2, "a/2.svs"))
        bench.index(
            {"path": "1.svs", "accession": "S23-1"},
            {"path": "a/1.svs", "accession": "S23-1", "specimen": "B", "block": "1"},
            {"path": "1", "patient_id": "7"},
            {"path": "2.svs", "accession": "S23-1"}, {"path": "a/2.svs", "accession": "S23-2"},
        )  # fmt: skip
        assert bench.said(1) == {("S23-1", "index", "B", "1")}
        assert bench.said(2) == {(None, None, None, None)}
        assert bench.faults() == {("several_cases", "NB01", 2)}

    def test_by_barcode_where_no_path_tells(self, bench):
        bench.put(
            slide(1, "a/1.svs", barcode=" 0012a "), slide(2, "a/2.svs", barcode="0013"), slide(3, "b/2.svs", barcode="0014"),
            slide(4, "a/4.svs", barcode="0015"), slide(5, "a/5.svs", barcode="0015"),
            slide(6, "6.svs", barcode="0012A", site="NB02"),
        )  # fmt: skip
        bench.index(
            {"barcode": "００１２Ａ", "accession": "S23-1"},
            {"path": "nowhere.svs", "barcode": "0013", "accession": "S23-2"},
            {"path": "2.svs", "barcode": "0014", "accession": "S23-3"}, {"barcode": "0015", "accession": "S23-4"},
            {"barcode": "77", "accession": "S23-5"}, {"path": "a/1.svs", "barcode": "0013", "accession": "S23-1"},
        )  # fmt: skip
        assert [key for number in range(1, 7) for key, *_ in bench.said(number)] == [
            "S23-1",
            "S23-2",
            "S23-3",
            None,
            None,
            None,
        ]
        assert bench.faults() == {("several_slides", "NB01", 1), ("no_slide", "NB01", 1)}

    def test_a_number_from_the_index_and_from_the_name_is_one(self, bench):
        bench.put(slide(1, "S23-00001-A1.svs"), slide(2, "S23-00002-A1.svs"))
        bench.index({"path": "S23-00001-A1.svs", "accession": "S23-1"}, {"path": "S23-00002-A1", "accession": "S23-9"})
        assert bench.said(1) == {("S23-1", "index,file_name", "A", "1")}
        assert bench.said(2) == {("S23-2", "file_name", "A", "1"), ("S23-9", "index", None, None)}
        assert {row["is_only"] for row in bench.rows() if row["slide_id"].endswith("2")} == {False}

    def test_a_new_slide_can_make_an_entry_doubtful(self, bench):
        bench.put(slide(1, "a/1.svs"), *(slide(number, f"{number}.tif") for number in range(10, 30)))
        bench.index({"path": "1.svs", "accession": "S23-1"})
        assert bench.said() == {("S23-1", "index", None, None)}
        bench.put(slide(2, "b/1.svs"))
        assert bench.said() == {(None, None, None, None)}
        bench.put(slide(2, "b/1.svs", status="gone"))
        assert bench.said() == {("S23-1", "index", None, None)}
        assert bench.faults() == set()

    def test_gone_slides_and_damaged_names(self, bench):
        bench.put(slide(1, "a/1.svs", status="gone"), slide(2, "扫描/王.svs".encode("gb18030")), slide(3, b"\xff/3.svs"))
        bench.index(
            {"path": "1.svs", "accession": "S23-1"},
            {"path": "扫描\\王.SVS", "accession": "S23-2"},
            {"path": "3.svs", "accession": "S23-3"},
        )
        assert [key for number in (2, 3) for key, *_ in bench.said(number)] == ["S23-2", "S23-3"]
        assert bench.faults() == {("no_slide", "NB01", 1)}

    @pytest.mark.parametrize("seed", range(2))
    def test_a_thousand_entries_against_the_plain_rule(self, bench, seed):
        rng = random.Random(seed)
        parts = ["a", "b", "2023", "1", "2"]
        slides = {}
        for number in range(60):
            path = "/".join(
                [*(rng.choice(parts) for _ in range(rng.randrange(3))), rng.choice(["1.svs", "2.svs", "2.tif", "1"])]
            )
            slides.setdefault((rng.choice(["main", "more"]), path), number)
        bench.put(*(slide(number, path, archive=archive) for (archive, path), number in slides.items()))
        names = ["1.svs", "2", "2.tif", "1"]
        entries = [
            {"path": "/".join([*(rng.choice(parts) for _ in range(rng.randrange(5))), rng.choice(names)]),
             "archive": rng.choice([None, "main"]), "patient_id": f"P{number}"}
            for number in range(150)
        ]  # fmt: skip
        bench.index(*entries)
        expected = {}
        for entry in entries:
            here = [(path, number) for (archive, path), number in slides.items() if entry["archive"] in (None, archive)]
            same = [number for path, number in here if path == entry["path"]]
            alike = [
                number
                for path, number in here
                if any(_ends(entry["path"], one) for one in (path, re.sub(r"(?<=[^/])\.[^./]*$", "", path)))
            ]
            fit = same or alike
            if len(set(fit)) == 1:
                expected.setdefault(f"S-{fit[0]:016}", set()).add(entry["patient_id"])
        assert {row["slide_id"]: set(row["patients"]) for row in bench.rows() if row["patients"]} == expected


def _ends(one, other):
    one, other = one.split("/"), other.split("/")
    count = min(len(one), len(other))
    return one[-count:] == other[-count:]


class TestGlass:
    def test_the_laboratorys_glass_names_the_case_of_a_barcode(self, bench):
        bench.put(
            slide(1, barcode="0012345678"),
            slide(2, barcode="0012345678"),
            slide(3, barcode="77"),
            slide(4, barcode="0012345678", site="NB02"),
        )
        bench.materials(
            {"glass_id": "0012345678 ", "accession": "S23-1", "specimen": "A", "block": "3"},
            {"glass_id": "77", "accession": "S23-2"}, {"glass_id": "７７", "accession": "S23-3"},
            {"glass_id": "77", "accession": "S23-4", "kind": "block"},
        )  # fmt: skip
        assert bench.said(1) == bench.said(2) == {("S23-1", "barcode", "A", "3")}
        assert bench.said(3) == bench.said(4) == {(None, None, None, None)}
        assert {row["slide_id"][-1]: row["glass"] for row in bench.rows()} == {
            "1": "0012345678", "2": "0012345678", "3": None, "4": None
        }  # fmt: skip

    def test_a_barcode_that_names_its_case_says_it_once(self, bench):
        bench.put(slide(1, "S23-00001.svs", barcode="S23-00001-B2"))
        bench.materials({"glass_id": "s23-00001-b2", "accession": "S23-1", "specimen": "B", "block": "2"})
        assert bench.said() == {("S23-1", "barcode,file_name", "B", "2")}
        bench.materials({"glass_id": "s23-00001-b2", "accession": "S23-9"})
        assert {key for key, *_ in bench.said()} == {"S23-1", "S23-9"}
