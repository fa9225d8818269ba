"""How to load a release: programs that run as they stand, in the release's directory, whatever its tables are called."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.htmlreport.releasewords import Words
from pathcurate.model.description import DescribedTable, Description

_JOINS = ("slide_id", "report_id", "case_id", "patient_id", "index_event_id")
_PYTHON_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a reader can copy.

    Attributes:
        tool: what it is for.
        note: what to know before.
        code: the program.
    """

    tool: str
    note: Words
    code: str


def programs(description: Description) -> Iterator[Program]:
    """One program for each tool."""
    yield Program(
        "pandas",
        Words(
            "Whole tables in memory. With pyarrow's types, whole numbers that may be missing stay whole numbers.",
            "整表读入内存。使用 pyarrow 类型时，可缺失的整数仍是整数。",
        ),
        _pandas(description),
    )
    yield Program(
        "DuckDB",
        Words("Reads only what a query asks for.", "只读取查询所需的部分。"),
        _duckdb(description),
    )
    yield Program(
        "Hugging Face datasets",
        Words(
            'A table at a time, because their columns differ. There, split="train" means all rows of the files.',
            '各表列不同，须逐表读取。此处的 split="train" 指文件中的全部行。',
        ),
        _hugging_face(description),
    )
    yield Program(
        "PyTorch",
        Words(
            "A row is a dictionary; where the slide's image is, the delivery says by slide_id.",
            "每行是一个字典；切片图像的位置由交付文件按 slide_id 给出。",
        ),
        _pytorch(description),
    )


def table_path(table: DescribedTable) -> str:
    """The table's file, or the directory that holds its files and nothing else."""
    first = table.parts[0].path if table.parts else f"data/{table.table.name}.parquet"
    return first if len(table.parts) <= 1 else first.rpartition("/")[0]


def _pandas(description: Description) -> str:
    lines = ["import pandas as pd", ""]
    for number, table in enumerate(description.tables):
        lines.append(f'{_variable(table, number)} = pd.read_parquet({_text(table_path(table))}, dtype_backend="pyarrow")')
    unit = _variable(description.unit_table, 0)
    if _side(description) is not None:
        lines += [f'train = {unit}[{unit}["split"] == {_text(_side(description) or "")}]']
    lines += [f"print({unit}.head())"]
    return "\n".join(lines)


def _duckdb(description: Description) -> str:
    lines = []
    for table in description.tables:
        pattern = table_path(table) + ("" if len(table.parts) <= 1 else "/*.parquet")
        lines.append(f"CREATE VIEW {_name(table.table.name)} AS FROM read_parquet({_literal(pattern)});")
    unit = _name(description.unit_table.table.name)
    if _side(description) is not None:
        lines.append(f"SELECT split, count(*) AS n FROM {unit} GROUP BY split ORDER BY split;")
    for table in description.tables[1:]:
        shared = [name for name in _JOINS if name in table.table and name in description.unit_table.table]
        if shared:
            other = _name(table.table.name)
            lines.append(f"SELECT count(*) AS n FROM {unit} JOIN {other} USING ({_name(shared[0])});")
            break
    else:
        lines.append(f"SUMMARIZE {unit};")
    return "\n".join(lines)


def _hugging_face(description: Description) -> str:
    lines = ["from datasets import load_dataset", ""]
    for number, table in enumerate(description.tables):
        files = table_path(table) + ("" if len(table.parts) <= 1 else "/*.parquet")
        lines.append(f'{_variable(table, number)} = load_dataset("parquet", data_files={_text(files)}, split="train")')
    side = _side(description)
    if side is not None:
        unit = _variable(description.unit_table, 0)
        lines.append(f'train = {unit}.filter(lambda row: row["split"] == {_text(side)})')
    return "\n".join(lines)


def _pytorch(description: Description) -> str:
    side, unit = _side(description), description.unit_table
    arguments, chosen, given = (
        ("files, side", 'filter=ds.field("split") == side', f", {_text(side)}") if side else ("files", "", "")
    )
    return f"""\
import pyarrow.dataset as ds
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __init__(self, {arguments}):
        self.rows = ds.dataset(files).to_table({chosen})

    def __len__(self):
        return self.rows.num_rows

    def __getitem__(self, number):
        return self.rows.slice(number, 1).to_pylist()[0]

rows = Rows({_text(table_path(unit))}{given})
loader = DataLoader(rows, batch_size=32, shuffle=True, collate_fn=list)
batch = next(iter(loader))"""


def _side(description: Description) -> str | None:
    """The side that models learn from, else the first; None without a split among the columns."""
    sides = list(description.split)
    if not sides or "split" not in description.unit_table.table:
        return None
    return "train" if "train" in sides else sides[0]


def _variable(table: DescribedTable, number: int) -> str:
    name = table.table.name
    return name if _PYTHON_WORD.fullmatch(name) else f"table_{number}"


def _text(value: str) -> str:
    """A string of Python, in ASCII."""
    return json.dumps(value)


def _name(value: str) -> str:
    """A name of SQL."""
    return value if _PYTHON_WORD.fullmatch(value) else '"' + value.replace('"', '""') + '"'


def _literal(value: str) -> str:
    """A string of SQL."""
    return "'" + value.replace("'", "''") + "'"
