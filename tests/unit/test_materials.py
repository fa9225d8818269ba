"""The laboratory's own table of blocks and slides: every row a block or a glass, and nothing lost without a finding."""

# ruff: noqa: DTZ001  laboratory systems give local time

import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import events, identities, materials, scanner_index
from pathcurate.errors import InputOutputError, PathcurateError, UsageError
from pathcurate.findings import read_findings
from pathcurate.materials import COLUMNS, import_materials
from pathcurate.model.finding import ADVICE, FINDINGS
from pathcurate.model.material import MATERIALS
from pathcurate.model.source import IMPORTED, SOURCE_ROWS
from pathcurate.rowtable import RULES
from pathcurate.sources import ImportSummary
from pathcurate.tables import Catalog
from pathcurate.text.heads import known_heads
from pathcurate.workspace import Workspace, load_workspace

HEADS = "病理号,标本号,蜡块号,切片号,染色,切片日期"
GLASS = "S23-00123,,A1,Q0001,HE,2023-04-05 10:30"
BLOCK = "S23-00123,,A1,,,"


class Laboratory:
    """A workspace whose site has tables of glass; ``sources`` is what pathcurate.yaml says of them."""

    def __init__(self, root: Path, sources: str = "[{path: '*.csv'}]") -> None:
        self.root = root
        self.configure(sources)

    def configure(self, sources: str, more: str = "") -> None:
        text = f"workspace: 1\nname: w\nsites:\n  - {{code: NB01, materials: {sources}{more}}}\n  - {{code: NB02}}\n"
        (self.root / "pathcurate.yaml").write_text(text, encoding="utf-8")
        self.workspace: Workspace = load_workspace(self.root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)

    def put(self, *rows: str, heads: str = HEADS, name: str = "glass.csv", encoding: str = "utf-8") -> "Laboratory":
        (self.root / name).write_bytes("\r\n".join([heads, *rows, ""]).encode(encoding))
        return self

    def run(self, *only: str) -> ImportSummary:
        return import_materials(self.workspace, only=[self.root / name for name in only])

    def rules(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for finding in self.run().findings:
            found[finding.rule] = found.get(finding.rule, 0) + finding.count
        return found

    def rows(self) -> list[dict[str, Any]]:
        return list(self.catalog.read(MATERIALS).to_pylist())

    def said(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in names) for row in self.rows()]


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


def test_every_column_of_a_row(lab: Laboratory) -> None:
    heads = "病理号,蜡块号,切片号,标记物,制片方法,取材部位,切片日期"
    lab.put("ｓ23-00123,A01,Q0001,Ki-67 (MIB-1),冰冻,左乳,2023年4月5日", heads=heads)
    assert lab.rules() == {}
    (row,) = lab.rows()
    assert row.pop("material_id").startswith("M-")
    assert row == {
        "site": "NB01", "kind": "slide", "accession": "S23-123", "accession_raw": "ｓ23-00123", "specimen": "A",
        "block": "1", "glass_id": "Q0001", "stain_raw": "Ki-67 (MIB-1)", "stain": "IHC:Ki-67", "preparation": "frozen",
        "organ": "breast", "made_date": datetime(2023, 4, 5), "source_file": "glass.csv", "source_row": 2,
    }  # fmt: skip


def test_glass_has_a_number_a_stain_or_a_day(lab: Laboratory) -> None:
    lab.put(BLOCK, GLASS, "S23-2,,A1,Q1,,", "S23-3,,A1,,HE,", "S23-4,,A1,,,2023-01-01", "S23-5,A,,,,", "S23-6,,A1,,,x").run()
    assert [row["kind"] for row in lab.rows()] == ["block", "slide", "slide", "slide", "slide", "block", "slide"]


def test_a_column_or_a_mapping_says_what_a_row_is(lab: Laboratory) -> None:
    lab.put("S23-1,A1,B77,蜡块", "S23-1,A1,B78,切片", "S23-1,A1,B79,试管", heads="病理号,蜡块号,条码,材料类型")
    assert lab.rules() == {"materials.not_understood": 1}
    assert lab.said("kind", "glass_id") == [("block", "B77"), ("slide", "B78"), ("slide", "B79")]
    (lab.root / "m.yaml").write_text("constants: {kind: block}\ncolumns: {glass_id: 条码}\n", encoding="utf-8")
    lab.configure("[{path: glass.csv, mapping: m.yaml}]")
    lab.put("S23-1,A1,B77", heads="病理号,蜡块号,条码").run()
    assert lab.said("kind", "glass_id") == [("block", "B77")]


_PARTS: list[tuple[str, str, str, tuple[str | None, str | None]]] = [
    ("A", "1", "", ("A", "1")), ("A", "A1", "", ("A", "1")), ("标本B", "02", "", ("B", "2")), ("", "1.0", "", (None, "1")),
    ("A1", "", "", ("A", "1")), ("1", "2", "", (None, "2")), ("A", "B1", "", (None, None)), ("左乳", "1", "", (None, "1")),
    ("", "#-A1", "", ("A", "1")), ("", "other-A1", "", (None, None)),
    # The number of the glass fills in what the columns leave out.
    ("", "", "#-C3", ("C", "3")), ("", "3", "#-C3", ("C", "3")), ("C", "", "#-C3", ("C", "3")),
    ("D", "", "#-C3", ("D", None)),
    ("", "4", "#-C3", (None, "4")), ("", "A1", "other-C3", ("A", "1")), ("", "", "#-C03-2", ("C", "3")),
    ("", "", "#C3", ("C", "3")), ("", "", "#-2", (None, None)), ("", "", "#-P53", (None, None)),
    ("", "", "Q0001", (None, None)), ("", "", "A1", (None, None)), ("", "", "other-C3", (None, None)),
]  # fmt: skip


@pytest.mark.parametrize("number", ["S23-{:05}", "S23{:05}", "23{:05}", "病{:05}"])
def test_specimen_and_block_from_wherever_they_stand(lab: Laboratory, number: str) -> None:
    rows = []
    for index, (*cells, _) in enumerate(_PARTS, start=10):
        own, other = number.format(index), number.format(index + 500)
        filled = [cell.replace("#", own).replace("other", other) for cell in cells]
        rows.append(",".join([own, *filled, "HE", ""]))
    lab.put(*rows)
    found = lab.rules()
    assert lab.said("specimen", "block") == [part for *_, part in _PARTS]
    # A number without any shape is no number of a case to anybody who does not know it.
    assert found.get("materials.two_cases", 0) == (2 if number.startswith("S") else 0)


def test_a_part_of_the_body_is_an_organ_and_no_fault(lab: Laboratory) -> None:
    lab.put("S23-1,左乳,1,,,", "S23-2,,A1（胃窦）,,,", "S23-3,,肝,Q1,,", "S23-4,某处,1,,,")
    assert lab.rules() == {"materials.not_understood": 1}
    assert lab.said("organ") == [("breast",), ("stomach",), ("liver",), (None,)]


def test_stains_as_a_whole_by_a_word_or_as_written(lab: Laboratory) -> None:
    lab.put("S23-1,,1,,HE,", "S23-1,,2,,HE染色,", "S23-1,,3,,免疫组化 Ki-67,", "S23-1,,4,,某某某染,", "S23-1,,5,,冰冻HE,")
    assert lab.rules() == {"materials.unknown_stain": 1}
    stains = [("HE", None), ("HE", None), ("IHC:Ki-67", None), (None, None), ("HE", "frozen")]
    assert lab.said("stain", "preparation") == stains
    assert lab.rows()[3]["stain_raw"] == "某某某染"


def test_rows_that_cannot_be_used_are_counted_and_say_nothing(lab: Laboratory) -> None:
    secret = "龘靐齉77301942"
    lab.put(
        f",,A1,{secret},HE,", f"不详,,A1,{secret},,", "1.10105E+17,,A1,,,", f"S23-1,,{secret},{secret},{secret},{secret}",
        "S23-2,,,,,", "S23-3,,A1", f"S23-4,A,B1,{secret},HE,", "S23-5,,A1,1.10105E+17,,", f"{'9' * 100_000},,A1,,,",
        BLOCK, BLOCK,
        f"S23-6,,{'A' * 100_000},{'1' * 100_000},HE,",
    )  # fmt: skip
    summary = lab.run()
    assert {(finding.rule.partition(".")[2], finding.column): finding.count for finding in summary.findings} == {
        ("no_accession", None): 4, ("not_understood", "block"): 2, ("not_understood", "made_date"): 1,
        ("unknown_stain", "stain"): 1, ("empty_row", None): 1, ("row_misfit", None): 1, ("two_specimens", None): 1,
        ("ruined_number", "glass_id"): 1, ("repeated_row", None): 1, ("not_understood", "glass_id"): 1,
    }  # fmt: skip
    assert summary.rows == 5
    told = json.dumps([finding.as_dict() for finding in summary.findings], ensure_ascii=False)
    assert secret not in told
    assert "S23" not in told
    assert "rows without a usable accession number, not imported: 4, the first in row 2 of glass.csv" in told


def test_hostile_cells_stay_what_they_are(lab: Laboratory) -> None:
    cells = ["=1+1", "@SUM(A1)", "<script>alert(1)</script>", "Q\u202e1", "'; DROP TABLE materials; --", "Q\x001"]
    lab.put(*(f'S23-{number},,A1,"{cell}",HE,' for number, cell in enumerate(cells, start=1)))
    assert lab.rules() == {}
    assert [row["glass_id"] for row in lab.rows()] == [*cells[:-1], "Q1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "big5", "utf-16"])
def test_every_encoding_gives_the_same(tmp_path: Path, encoding: str) -> None:
    heads = "病理號,蠟塊號,切片號,染色,切片日期,部位" if encoding == "big5" else "病理号,蜡块号,切片号,染色,切片日期,部位"
    rows = [f"S23-{number},A{number},Q{number},HE,2023-04-05,胃" for number in range(1, 30)]
    lab = Laboratory(tmp_path).put(*rows, heads=heads, encoding=encoding)
    assert lab.rules() == {}
    assert lab.said("accession", "block", "organ", "stain") == [
        (f"S23-{number}", str(number), "stomach", "HE") for number in range(1, 30)
    ]


def test_a_workbook_whose_numbers_are_numbers(lab: Laboratory) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["病理号", "蜡块号", "切片号", "染色", "切片日期"])
    sheet.append([2300123.0, 1.0, 20230012345.0, "HE", datetime(2023, 4, 5, 10, 30)])
    sheet.append(["S23-00124", 2, 123456789012345678901.0, "=1+1", 45021])
    content = io.BytesIO()
    book.save(content)
    lab.configure("[{path: glass.xlsx}]")
    (lab.root / "glass.xlsx").write_bytes(content.getvalue())
    assert lab.rules() == {"materials.ruined_number": 1}
    assert lab.said("accession", "block", "glass_id", "stain", "made_date") == [
        ("2300123", "1", "20230012345", "HE", datetime(2023, 4, 5, 10, 30)),
        ("S23-124", "2", None, None, datetime(2023, 4, 5)),
    ]


def test_two_exports_that_overlap_give_a_glass_once(lab: Laboratory) -> None:
    lab.put(GLASS, "S23-00123,,A1,Q0002,HE,2023-04-05", name="1.csv")
    # The later export has another column, and spells the block otherwise.
    lab.put("S23-00123,,A-1,Q0001,HE,2023-04-05 10:30,x", "S23-123,,A1,Q0003,ER,,y", heads=HEADS + ",序号", name="2.csv")
    assert lab.rules() == {"materials.repeated_in_file": 1, "materials.unknown_column": 1}
    assert lab.said("glass_id", "source_file") == [("Q0001", "1.csv"), ("Q0002", "1.csv"), ("Q0003", "2.csv")]
    (lab.root / "1.csv").unlink()
    lab.run()
    assert lab.said("glass_id", "source_file") == [("Q0001", "2.csv"), ("Q0003", "2.csv")]


def test_glass_that_two_exports_describe_differently_is_told(lab: Laboratory) -> None:
    lab.put(GLASS, name="1.csv").put(GLASS.replace("HE", "ER"), name="2.csv")
    assert lab.rules() == {"materials.described_twice": 1}
    assert lab.said("glass_id", "stain") == [("Q0001", "HE"), ("Q0001", "IHC:ER")]
    lab.put(GLASS, name="2.csv")
    assert lab.rules() == {"materials.repeated_in_file": 1}


def test_two_glasses_without_numbers_are_two_if_any_cell_differs(lab: Laboratory) -> None:
    lab.put("S23-1,,A1,,HE,,1", "S23-1,,A1,,HE,,2", heads=HEADS + ",序号").run()
    assert len({row["material_id"] for row in lab.rows()}) == 2


def test_the_order_of_rows_and_files_does_not_count(tmp_path: Path) -> None:
    rows = [GLASS, BLOCK, "S23-2,,B1,,HE,", "S23-2,,B1,,HE,2023-01-01", "S23-3,,1,,ER,"]
    seen = []
    for number, order in enumerate((rows, rows[::-1])):
        root = tmp_path / str(number)
        root.mkdir()
        lab = Laboratory(root).put(*order[:2], name="a.csv").put(*order[2:], name="b.csv")
        lab.run()
        names = [name for name in MATERIALS.names if not name.startswith("source_")]
        seen.append(sorted(map(repr, lab.said(*names))))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 5


def test_unchanged_files_are_left_and_a_changed_mapping_derives_anew(lab: Laboratory) -> None:
    (lab.root / "m.yaml").write_text("columns: {accession: 号, stain: 甲}\n", encoding="utf-8")
    lab.configure("[{path: glass.csv, mapping: m.yaml}]")
    lab.put("S23-1,HE,ER", heads="号,甲,乙").run()
    before = lab.rows()
    assert (lab.run().unchanged, lab.rows()) == (1, before)
    (lab.root / "m.yaml").write_text("columns: {accession: 号, stain: 乙}\n", encoding="utf-8")
    assert (lab.run().files, lab.said("stain")) == (1, [("IHC:ER",)])
    # A site's patterns decide what a number is.
    lab.configure("[{path: glass.csv, mapping: m.yaml}]", ", accession: {patterns: ['^(?P<accession>S[0-9]+)']}")
    assert (lab.run().files, lab.said("accession")) == (1, [("S23",)])


def test_one_table_with_two_mappings_gives_blocks_and_slides(lab: Laboratory) -> None:
    (lab.root / "b.yaml").write_text("columns: {accession: 号, block: 块}\n", encoding="utf-8")
    (lab.root / "s.yaml").write_text("columns: {accession: 号, block: 块, stain: 染}\n", encoding="utf-8")
    lab.configure("[{path: glass.csv, mapping: b.yaml}, {path: glass.csv, mapping: s.yaml}]")
    lab.put("S23-1,A1,HE", heads="号,块,染").run()
    assert sorted(lab.said("kind", "block", "stain")) == [("block", "1", None), ("slide", "1", "HE")]


@pytest.mark.parametrize(
    ("heads", "mapping", "words"),
    [
        ("号,蜡块号", "", "accession number"), ("病理号,姓名", "", "block, glass, stain or day"), ("", "", "no head row"),
        ("病理号,蜡块号", "columns: {block: 块}", "no column `块`"),
        ("病理号,蜡块号", "columns: {blok: 蜡块号}", "did you mean `block`"),
        ("病理号,蜡块号", "columns: {material_id: 蜡块号}", "unknown column `material_id`"),
        ("病理号,蜡块号", "constants: {accession: S23-1}\ncolumns: {block: 病理号}", "accession number"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused(lab: Laboratory, heads: str, mapping: str, words: str) -> None:
    (lab.root / "m.yaml").write_text(mapping, encoding="utf-8")
    lab.configure("[{path: glass.csv, mapping: m.yaml}]" if mapping else "[{path: glass.csv}]")
    lab.put("S23-1,A1", heads=heads)
    with pytest.raises(UsageError, match=words):
        lab.run()
    assert lab.rows() == []


def test_a_refused_table_keeps_no_other_out(lab: Laboratory) -> None:
    lab.put(GLASS, name="a.csv").put('"S23-1', name="b.csv").put(BLOCK, name="c.csv")
    with pytest.raises(UsageError, match=r"b\.csv: row 2 is not valid CSV.*") as caught:
        lab.run()
    assert "The other files were imported." in str(caught.value.hint)
    assert len(lab.rows()) == 2


def test_a_missing_file_and_one_that_no_source_names(lab: Laboratory) -> None:
    lab.configure("[{path: glass.csv}]")
    with pytest.raises(InputOutputError, match=r"material source glass\.csv of site NB01: no such file"):
        lab.run()
    lab.put(GLASS).put(GLASS, name="other.csv")
    with pytest.raises(UsageError, match=r"other\.csv belongs to no material source") as caught:
        lab.run("other.csv")
    assert "`materials:` of its site" in str(caught.value.hint)


_ROW = st.tuples(
    st.sampled_from(["S23-001", "S23-1", "S23-2"]), st.just(""), st.sampled_from(["A1", "A-1", "2"]),
    st.sampled_from(["", "", "Q1", "Q2"]), st.sampled_from(["HE", "ER", "?"]), st.sampled_from(["", "2023-04-05"]),
)  # fmt: skip


@settings(max_examples=6, derandomize=True, deadline=None)
@given(first=st.lists(_ROW, max_size=6), second=st.lists(_ROW, max_size=6))
def test_in_one_go_or_day_by_day_in_any_order(
    first: list[tuple[str, ...]], second: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = {"a.csv": [",".join(row) for row in first], "b.csv": [",".join(row) for row in second]}
    tables = []
    for days in (["a.csv", "b.csv"], ["b.csv", "a.csv"], []):
        lab = Laboratory(tmp_path_factory.mktemp("days"))
        for name in days:
            lab.put(*files[name], name=name).run()
        for name, rows in files.items():
            lab.put(*rows, name=name)
        if not days:
            lab.run()
        tables.append(lab.rows())
    assert tables[0] == tables[1] == tables[2]


@settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.sampled_from(["", "S23-1", "A1", "2", "HE", "左乳", "2023-1-1", '"', "=", "x,y", "\x00"]), max_size=7)
    )
)
def test_any_table_is_imported_or_refused(rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    lab = Laboratory(tmp_path_factory.mktemp("any"))
    lab.put(*(",".join(row) for row in rows))
    try:
        summary = lab.run()
    except PathcurateError:
        assert lab.rows() == []
        return
    assert summary.total == len(lab.rows()) == lab.catalog.read(SOURCE_ROWS).num_rows
    assert all(row["accession"] and row["kind"] in MATERIALS["kind"].values for row in lab.rows())


# --- What all tables of this kind share -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "name"),
    [(events, "events"), (materials, "materials"), (scanner_index, "scanner_index"), (identities, "merges")],
)
def test_every_finding_has_advice_and_a_stage(stage: Any, name: str) -> None:
    rules = (*stage._RULES, "unknown_column", "repeated_in_file")
    assert {f"{name}.{rule}" for rule in rules} <= ADVICE.keys()
    assert RULES.keys() <= stage._RULES.keys()
    assert name in FINDINGS["stage"].values
    assert name in IMPORTED


@pytest.mark.parametrize(
    ("table", "columns"), [("materials", COLUMNS), ("scanner_index", scanner_index.COLUMNS), ("merges", identities.COLUMNS)]
)
def test_known_heads_are_those_of_columns_and_each_of_one(table: str, columns: tuple[str, ...]) -> None:
    heads = known_heads()[table]
    assert set(heads) == set(columns)
    named = [head for listed in heads.values() for head in listed]
    assert len(named) == len(set(named))


def test_findings_of_one_table_leave_those_of_another(lab: Laboratory, write: Callable[[str, str | bytes], Path]) -> None:
    write("i.tsv", "路径\t病理号\t坏列\nD:\\a.svs\tS23-1\t1\n")
    lab.configure("[{path: glass.csv}]", ", index: [{path: i.tsv}]")
    lab.put(",,A1,,,")
    lab.run()
    scanner_index.import_index(lab.workspace)
    assert {finding.rule for finding in read_findings(lab.catalog)} == {
        "materials.no_accession",
        "scanner_index.unknown_column",
    }
