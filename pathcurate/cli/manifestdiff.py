"""``pathcurate manifest diff``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.find import printable
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    import pyarrow as pa

    from pathcurate.model.diff import Difference, RecipeChanges, TableDifference

_SHOWN_APART = {"Why this step", "Counts", "Rows", "Split", "Recipe", "Attrition"}
"""Parts that the lines of a terminal have in another form."""


@click.command("diff")
@click.argument("before")
@click.argument("after")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    default="text",
    show_default=True,
    help="How the difference is written.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of the terminal."
)
@click.option(
    "--keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the key of each row that came, went or differs to this Parquet file.",
)
@common_options
def diff_command(session: Session, before: str, after: str, *, form: str, output: Path | None, keys: Path | None) -> int:
    """Say what changed between two versions of a product.

    BEFORE and AFTER are directories, NAME@VERSION, or NAME for its highest version. Rows with the reasons that both releases
    tell, columns as readers and as deliverers see them, split, spreads, terms of use, de-identification, quality, attrition
    and recipe are compared; counts and names are shown, and of a spread no small group. With --keys the codes of the rows
    themselves are written: AFTER has the keys of BEFORE without those that were removed and with those that were added. Exit
    code 5 if AFTER's version is too small a step for what changed: PATCH is for other packaging and words, MINOR adds or
    tightens, MAJOR edits, removes, divides anew or loosens.

    \b
    Example:
      pathcurate manifest diff demo_he_2023@1.0.0 demo_he_2023
    """
    from pathcurate.diff import compare, is_enough
    from pathcurate.diff.contents import release_contents
    from pathcurate.errors import VersionError
    from pathcurate.releases import verify_release
    from pathcurate.storage import write_bytes
    from pathcurate.terminaltext import unobeyed, unobeyed_json

    old, new = (verify_release(_directory(session, text)) for text in (before, after))
    changed: list[pa.Table] = []
    difference = compare(release_contents(old), release_contents(new), keys=changed.append if keys is not None else None)
    good = is_enough(difference)
    document = {
        **difference.as_dict(), "is_enough": good,
        "releases": {"from": old.digest, "to": new.digest},
    }  # fmt: skip
    if keys is not None:
        _write_keys(keys, changed)
    text = _written(difference, document, "json" if session.as_json else form, good=good)
    if output is not None:
        write_bytes(output, text.encode(), 0o644)
        session.say(f"written to {output}")
    else:
        click.echo((unobeyed_json if session.as_json or form == "json" else unobeyed)(text), nl=False)
    return 0 if good else VersionError.exit_code


def _directory(session: Session, text: str) -> Path:
    """A release by directory, which needs no workspace, or by name."""
    from pathcurate.releases import find_release, is_release

    here = Path.cwd() / text
    return here if is_release(here) else find_release(session.workspace().releases, text, Path.cwd())


def _write_keys(path: Path, changed: "list[pa.Table]") -> None:
    import pyarrow as pa

    from pathcurate.tables import write_parquet

    schema = pa.schema({"table": pa.string(), "key": pa.list_(pa.string()), "change": pa.string()})
    write_parquet(path, pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in changed)]))


def _written(difference: "Difference", document: object, form: str, *, good: bool) -> str:
    import json

    from pathcurate.diff.notes import difference_markdown
    from pathcurate.htmlreport.diff import difference_page

    writers: dict[str, Callable[[], str]] = {
        "text": lambda: "".join(f"{printable(line)}\n" for line in _diff_lines(difference, good=good)),
        "json": lambda: json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n",
        "markdown": lambda: difference_markdown(difference),
        "html": lambda: difference_page(difference),
    }
    return writers[form]()


def _diff_lines(difference: "Difference", *, good: bool) -> Iterator[str]:
    if difference.is_same:
        yield f"{difference.product} {difference.before}: the same release twice"
        return
    verdict = "" if good else f"; {difference.after} is too small"
    yield f"{difference.product} {difference.before} -> {difference.after}"
    yield f"least step: {difference.bump}, to {difference.least_version}{verdict}"
    yield from (f"  {reason.bump:<6}{reason.text}" for reason in difference.reasons)
    yield "counts"
    for unit, change in difference.counts.items():
        changed = "" if change.changed is None else f", {change.changed:,} changed"
        members = "" if change.added is None else f"  {change.added:,} added, {change.removed:,} removed{changed}"
        yield f"  {unit:<10}{change.before:>9,} -> {change.after:,}{members}"
    for name, table in difference.tables.items():
        yield f"table {name}"
        yield from _table_lines(table)
    yield from _part_lines(difference)
    yield "attrition: slides that each step left, and rows that failed there first"
    for step in difference.attrition:
        remaining, dropped = ([_or_none(count) for count in pair] for pair in (step.remaining, step.dropped))
        left, failed = (" -> ".join(dict.fromkeys(texts)) for texts in (remaining, dropped))
        yield f"  {step.id:<24} left {left}, failed {failed}"
    lines = list(_recipe_lines(difference.recipe))
    yield "recipe" if lines else "recipe: the same"
    yield from lines


def _table_lines(table: "TableDifference") -> Iterator[str]:
    rows = table.rows
    kept = f"{rows.changed:,} changed, {rows.unchanged:,} the same"
    yield f"  rows      {rows.added:,} added, {rows.removed:,} removed, {kept}"
    if rows.by_column:
        yield "  changed   " + ", ".join(f"{name} in {count:,}" for name, count in rows.by_column.items())
    columns = table.columns
    for what, names in (
        ("added", columns.added), ("removed", columns.removed), ("retyped", columns.retyped),
        ("may now be missing", columns.loosened), ("no longer missing", columns.tightened),
    ):  # fmt: skip
        if names:
            yield f"  columns   {what}: {', '.join(names)}"
    if table.moved:
        sides = ", ".join(f"{name}: {count:,}" for name, count in table.moves.items())
        yield f"  split     {counted(table.moved, 'patient')} on another side ({sides})"


def _part_lines(difference: "Difference") -> Iterator[str]:
    """The other parts, a row a line."""
    from pathcurate.diff.sections import sections

    for section in sections(difference):
        if section.title not in _SHOWN_APART:
            yield section.title[0].lower() + section.title[1:]
            columns = list(zip(*section.rows, strict=True))
            widths = [max(map(len, column)) for column in columns]
            for row in section.rows:
                cells = (
                    cell.rjust(width) if name.startswith("#") else cell.ljust(width)
                    for cell, width, name in zip(row, widths, section.head, strict=True)
                )
                yield f"  {'  '.join(cells)}".rstrip()


def _recipe_lines(recipe: "RecipeChanges") -> Iterator[str]:
    for what, names in (("added", recipe.added), ("removed", recipe.removed), ("changed", recipe.changed)):
        if names:
            yield f"  criteria  {what}: {', '.join(names)}"
    if recipe.is_reordered:
        yield "  criteria  run in another order"
    if recipe.keys:
        yield f"  keys      changed: {', '.join(recipe.keys)}"


def _or_none(count: int | str | None) -> str:
    if count is None:
        return "(no such step)"
    return count if isinstance(count, str) else f"{count:,}"
