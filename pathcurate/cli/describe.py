"""``pathcurate describe``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from pathcurate.cli.session import Session, common_options

_MOST_SHOWN = 8


@click.command("describe")
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON to this file as well.")
@click.option("--force", is_flag=True, help="Let --export replace a file.")
@common_options
def command(session: Session, tables: tuple[str, ...], *, export: Path | None, force: bool) -> None:
    """Say what the de-identified tables hold.

    For each column: type, missing values, distinct values; how often each value of a closed set is there; least, middle and
    greatest number, rounded; the years that (shifted) dates span. A count below 10 is shown as <10, and one from which it
    could be worked out is withheld, so the output may be shown and kept in git. -v adds what each column means.

    \b
    Example:
      pathcurate describe slides
    """
    from pathcurate.describe import describe
    from pathcurate.errors import UsageError
    from pathcurate.storage import write_bytes

    if export is not None and export.exists() and not force:
        raise UsageError(f"{export} is there already", "Name another file, or give --force to replace it.")
    profile = describe(session.workspace(), tables)
    if export is not None:
        write_bytes(export.absolute(), json.dumps(profile, ensure_ascii=False, indent=1).encode() + b"\n")
        session.say(f"written to {export}")
    session.show(profile, _lines(profile, verbose=session.verbose))


def _lines(profile: Mapping[str, Any], *, verbose: bool) -> Iterator[str]:
    from pathcurate.describe import shown_columns

    for name, table in profile["tables"].items():
        yield f"{name}: {_count(table['rows'])} rows, {len(table['columns'])} columns; each is {table['row']}"
        columns = shown_columns(table)
        width = max((len(column["name"]) for column in columns), default=0)
        for column in columns:
            yield f"  {column['name']:<{width}}  {column['type']:<9} {_facts(column)}".rstrip()
            if verbose:
                unit = f" [{column['unit']}]" if column["unit"] else ""
                yield f"  {'':<{width}}  {column['meaning']}{unit}"
        empty = [column["name"] for column in table["columns"] if column not in columns]
        if empty:
            yield f"  without any value: {', '.join(empty)}"


def _facts(column: Mapping[str, Any]) -> str:
    parts = []
    if column.get("missing"):
        share = column["missing_share"]
        parts.append(f"missing {_count(column['missing'])}" + ("" if share is None else f" ({share:.1%})"))
    if "distinct" in column:
        parts.append(f"{_count(column['distinct'])} distinct")
    if "counts" in column:
        listed = [f"{value} {_count(count)}" for value, count in column["counts"].items()]
        more = f", and {len(listed) - _MOST_SHOWN} more" if len(listed) > _MOST_SHOWN else ""
        parts.append(", ".join(listed[:_MOST_SHOWN]) + more)
    if column.get("range"):
        parts.append("{min:,} to {max:,}, median {median:,}".format(**column["range"]))
    if "span_years" in column:
        parts.append(f"over {column['span_years']} years")
    return "; ".join(parts)


def _count(count: int | str) -> str:
    return f"{count:,}" if isinstance(count, int) else count
