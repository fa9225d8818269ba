"""Merge lists: which numbers are one person's, of which site each is, and what a list cannot say."""

# ruff: noqa: DTZ001  registries give local time

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.identities import import_merges
from pathcurate.model.person import MERGES
from pathcurate.model.source import SOURCES
from pathcurate.sources import ImportSummary
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

PAIRS = "保留病案号,被合并病案号,合并日期"
MASTER = "EMPI,机构,病案号"
TWO = "[{code: NB01, name: 示例市第一医院}, {code: NB02, name: 示例市第二医院}]"
ONE = "[{code: NB01}]"


def make(
    root: Path, *rows: str, heads: str = PAIRS, name: str = "merges.csv", sites: str = TWO, lists: str = ""
) -> Workspace:
    (root / name).write_bytes("\n".join([heads, *rows, ""]).encode("gb18030"))
    lists = lists or f"[{{path: {name}, site: NB01}}]"
    (root / "pathcurate.yaml").write_text(f"workspace: 1\nname: w\nsites: {sites}\nidentities: {lists}\n", encoding="utf-8")
    return load_workspace(root / "pathcurate.yaml")


def merges(workspace: Workspace) -> list[tuple[Any, ...]]:
    names = ("site", "patient_id", "other_site", "other_patient_id", "master_id")
    return sorted(tuple(row[name] or "" for name in names) for row in rows_of(workspace))


def rows_of(workspace: Workspace) -> list[dict[str, Any]]:
    return list(Catalog(workspace.catalog).read(MERGES).to_pylist())


def rules(summary: ImportSummary) -> dict[tuple[str, str | None], int]:
    return {(finding.rule.partition(".")[2], finding.column): finding.count for finding in summary.findings}


def test_a_pair_of_numbers(tmp_path: Path) -> None:
    workspace = make(tmp_path, "0012,０034,2023年4月5日")
    assert rules(import_merges(workspace)) == {}
    (row,) = rows_of(workspace)
    assert row.pop("merge_id").startswith("U-")
    assert row == {
        "site": "NB01", "patient_id": "0012", "other_site": None, "other_patient_id": "０034", "master_id": None,
        "merged_date": datetime(2023, 4, 5), "source_file": "merges.csv", "source_row": 2,
    }  # fmt: skip


def test_a_pair_across_sites(tmp_path: Path) -> None:
    heads = "机构,病案号,被合并机构,被合并病案号"
    workspace = make(tmp_path, "NB02,1,NB01,2", "示例市第二医院,1,nb02,3", "NB02,1,,4", "NB02,1,NB01,1", heads=heads)
    assert rules(import_merges(workspace)) == {}
    expected = [
        ("NB02", "1", "", "3", ""),
        ("NB02", "1", "", "4", ""),
        ("NB02", "1", "NB01", "1", ""),
        ("NB02", "1", "NB01", "2", ""),
    ]
    assert merges(workspace) == expected


def test_a_master_index_with_sites_by_code_or_name(tmp_path: Path) -> None:
    lists = "[{path: merges.csv}]"
    rows = ("M1,NB01,1", "M1,示例市第二医院,1", "M1,ＮＢ０２,2", "M2,NB09,1", "M2,,1", ",NB01,7", "不详,NB01,8", "0,NB01,9")
    workspace = make(tmp_path, *rows, heads=MASTER, lists=lists)
    assert rules(import_merges(workspace)) == {
        ("unknown_site", None): 2, ("no_second_number", None): 3, ("not_understood", "master_id"): 2,
    }  # fmt: skip
    assert merges(workspace) == [("NB01", "1", "", "", "M1"), ("NB02", "1", "", "", "M1"), ("NB02", "2", "", "", "M1")]


def test_a_number_that_is_merged_with_itself_says_nothing(tmp_path: Path) -> None:
    heads = "病案号,被合并病案号,EMPI"
    workspace = make(tmp_path, "12,12,", "ab1,ＡＢ１,", "13,13,M1", "14,15,M1", "16,,", "17,不详,", heads=heads)
    assert rules(import_merges(workspace)) == {
        ("same_number", None): 2, ("no_second_number", None): 2, ("not_understood", "other_patient_id"): 1,
    }  # fmt: skip
    assert merges(workspace) == [("NB01", "13", "", "", "M1"), ("NB01", "14", "", "15", "M1")]


def test_rows_that_cannot_be_used_are_counted_and_say_nothing(tmp_path: Path) -> None:
    secret = "龘靐齉77301942"
    workspace = make(
        tmp_path, f",{secret},", f"1.10105E+17,{secret},", f"{secret},1.10105E+17,", f"{secret},2,{secret}", f"{secret}",
        f"{'9' * 100_000},{secret},", f"{secret},{'9' * 100_000},",
    )  # fmt: skip
    summary = import_merges(workspace)
    assert rules(summary) == {
        ("no_patient", None): 3, ("ruined_number", "other_patient_id"): 1, ("not_understood", "merged_date"): 1,
        ("no_second_number", None): 2, ("row_misfit", None): 1, ("not_understood", "other_patient_id"): 1,
    }  # fmt: skip
    assert summary.total == 1
    assert all(finding.site is None for finding in summary.findings)
    assert secret not in json.dumps([finding.as_dict() for finding in summary.findings], ensure_ascii=False)


@pytest.mark.parametrize(
    ("sites", "lists", "site"),
    [
        (ONE, "[{path: merges.csv}]", "NB01"), (TWO, "[{path: merges.csv, site: NB02}]", "NB02"),
        (TWO, "[{path: merges.csv, mapping: m.yaml}]", "NB02"),
    ],
)  # fmt: skip
def test_the_site_of_a_list_without_a_column_for_it(tmp_path: Path, sites: str, lists: str, site: str) -> None:
    (tmp_path / "m.yaml").write_text("constants: {site: NB02}\n")
    workspace = make(tmp_path, "1,2,", sites=sites, lists=lists)
    import_merges(workspace)
    assert merges(workspace) == [(site, "1", "", "2", "")]


def test_a_list_of_nobody_knows_which_site_is_refused(tmp_path: Path) -> None:
    workspace = make(tmp_path, "1,2,", lists="[{path: merges.csv}]")
    with pytest.raises(UsageError, match=r"merges\.csv: no column says of which site its numbers are") as caught:
        import_merges(workspace)
    assert "`site: CODE`" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no site `NB07`"):
        import_merges(make(tmp_path, "1,2,", lists="[{path: merges.csv, site: NB07}]"))


@pytest.mark.parametrize(
    ("heads", "words"),
    [("被合并病案号,甲", "number that stays"), ("病案号,甲", "number that was merged"), ("甲,乙", "stays")],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, heads: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        import_merges(make(tmp_path, "1,2", heads=heads))
    with pytest.raises(InputOutputError, match=r"identity source no\.csv: no such file"):
        import_merges(make(tmp_path, lists="[{path: no.csv}]", sites=ONE))


def test_one_statement_of_two_lists_is_there_once_and_stays_with_one(tmp_path: Path) -> None:
    make(tmp_path, "NB01,12,13", "NB02,5,6", heads="机构,病案号,被合并病案号", name="b.csv")
    lists = "[{path: a.csv, site: NB01}, {path: b.csv}]"
    workspace = make(tmp_path, "12,13,", "7,8,", name="a.csv", lists=lists)
    assert rules(import_merges(workspace)) == {("repeated_in_file", None): 1}
    assert merges(workspace) == [("NB01", "12", "", "13", ""), ("NB01", "7", "", "8", ""), ("NB02", "5", "", "6", "")]
    before = {row["merge_id"] for row in rows_of(workspace)}
    assert import_merges(workspace).unchanged == 2
    (tmp_path / "a.csv").write_text(PAIRS)
    import_merges(workspace)
    assert merges(workspace) == [("NB01", "12", "", "13", ""), ("NB02", "5", "", "6", "")]
    assert {row["merge_id"] for row in rows_of(workspace)} < before
    # A list is the workspace's, not a site's.
    assert {row["site"] for row in Catalog(workspace.catalog).read(SOURCES).to_pylist()} == {""}


def test_a_changed_name_of_a_site_reads_the_list_again(tmp_path: Path) -> None:
    rows = ("M1,第二医院,1", "M1,NB01,1")
    lists = "[{path: merges.csv}]"
    workspace = make(tmp_path, *rows, heads=MASTER, lists=lists)
    assert import_merges(workspace).total == 1
    workspace = make(tmp_path, *rows, heads=MASTER, lists=lists, sites=TWO.replace("示例市第二医院", "第二医院"))
    assert import_merges(workspace).total == 2
