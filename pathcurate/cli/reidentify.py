"""``pathcurate deid reidentify``."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.reidentify import Reidentified

_MOST_BYTES = 16_000_000


# What begins with a dash may be a number too, and click would quote it in its message about unknown options.
@click.command("reidentify", context_settings={"ignore_unknown_options": True})
@click.argument("codes", nargs=-1)
@click.option("--reason", required=True, metavar="TEXT", help="Why, in words, for the audit trail.")
@click.option("--requested-by", required=True, metavar="NAME", help="Who asks: somebody on the vault's list of people.")
@click.option("--approved-by", required=True, metavar="NAME", help="Who approves: another one, with the role approver.")
@click.option("--release", metavar="NAME@VERSION", help="The codes are those of this release, not the workspace's own.")
@click.option("--to-review", is_flag=True, help="Write a CSV below catalog/review/ instead of the terminal.")
@common_options
def command(
    session: Session,
    codes: tuple[str, ...],
    *,
    reason: str,
    requested_by: str,
    approved_by: str,
    release: str | None,
    to_review: bool,
) -> int:
    """Show which patient, case or slide a code stands for.

    CODES are pseudonyms, or `-` for standard input, or @FILE with one on each line. Two people answer for it: one asks,
    another one approves, both on the list of `pathcurate vault people`. Only the rows asked for are opened. What is shown
    identifies patients: it goes to a terminal or below catalog/review/ only, and the audit trail notes who, why and how
    many. Codes that nobody knows are counted.

    \b
    Example:
      pathcurate deid reidentify @codes.txt --reason recall --requested-by Li --approved-by Zhang --to-review
    """
    from pathcurate.errors import DisclosureRefusedError, UsageError
    from pathcurate.model.waiver import is_plain
    from pathcurate.reidentify import Request, reidentify, write_review
    from pathcurate.releases import find_release, read_release

    if not to_review and not sys.stdout.isatty():
        raise DisclosureRefusedError(
            "what `deid reidentify` shows identifies patients, and standard output is not a terminal",
            "Give --to-review to write it to a file below catalog/review/.",
        )
    if not is_plain(reason):
        raise UsageError("--reason is not one line of text", "Say in a few words why; no patient's value.")
    workspace = session.workspace()
    product = read_release(find_release(workspace.releases, release, Path.cwd())).name if release else None
    request = Request(tuple(_codes(codes)), product, reason, requested_by, approved_by)
    found = reidentify(workspace, request, actor=session.actor)
    counts: dict[str, object] = {"known": len(found.rows), "unknown": found.unknown}
    unknown = [f"{found.unknown:,} unknown"] if found.unknown else []
    if to_review:
        path = str(write_review(workspace, found)) if found.rows else None
        session.show({"review": path, **counts}, [*([path] if path else []), *unknown])
    else:
        session.show({"codes": {code: dict(row) for code, row in found.rows.items()}, **counts}, [*_lines(found), *unknown])
    return 0 if found.rows else 1


def _codes(given: Sequence[str]) -> Iterator[str]:
    for text in given:
        if text == "-":
            yield from _read(sys.stdin.buffer.read(_MOST_BYTES), "standard input")
        elif text.startswith("@"):
            with Path(text[1:]).open("rb") as file:
                yield from _read(file.read(_MOST_BYTES), "the file behind @")
        else:
            yield text.strip().upper()


def _read(content: bytes, where: str) -> list[str]:
    from pathcurate.errors import InputOutputError

    try:
        # A file that Windows wrote may begin with a byte order mark.
        return content.decode("utf-8-sig").upper().split()
    except UnicodeDecodeError:
        raise InputOutputError(f"{where} is not UTF-8", "Give one code on each line.") from None


def _lines(found: "Reidentified") -> Iterator[str]:
    for code, row in found.rows.items():
        yield f"{code}  {'  '.join(f'{name} {_printable(value)}' for name, value in row.items())}"


def _printable(text: str) -> str:
    """The text without characters that would steer a terminal: a file's name may hold any."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
