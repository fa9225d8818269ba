"""``pathcurate deid``."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.deidfiles import command as files_command
from pathcurate.cli.deidreview import command as review_command
from pathcurate.cli.language import spoken
from pathcurate.cli.reidentify import command as reidentify_command
from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pathcurate.deid import DeidSummary
    from pathcurate.deid.faults import SearchSummary
    from pathcurate.deid.texts import TextState, TextSummary
    from pathcurate.leaksearch.search import Leak
    from pathcurate.model.filerule import FileRules
    from pathcurate.model.profile import Profile
    from pathcurate.workspace import Workspace


@click.group("deid")
def command() -> None:
    """De-identify the catalog's tables, and verify that they are."""


command.add_command(files_command)
command.add_command(reidentify_command)
command.add_command(review_command)


@command.command("explain")
@click.option("--profile", "name", metavar="NAME", help="A shipped profile, or a file; else the workspace's own.")
@click.option("--files", "is_of_files", is_flag=True, help="Say what is done to places in slide and DICOM files instead.")
@common_options
def explain_command(session: Session, name: str | None, *, is_of_files: bool) -> None:
    """Say what a profile does to texts, dates and each column.

    The sentences come from the code that does it. Outside a workspace it is the profile `default`. With --files: what the
    rules for slide and DICOM files do, the site's own among them.

    \b
    Example:
      pathcurate deid explain --profile public
    """
    from pathlib import Path

    from pathcurate.deid import explain
    from pathcurate.profiles import read_profile

    if is_of_files:
        from pathcurate.copies.explained import explain_files

        session.show({"files": (told := explain_files(_own_rules(session), spoken()))}, told)
        return
    sentences = explain(read_profile(name, Path.cwd()) if name is not None else _own_profile(session), spoken())
    session.show({"columns": sentences}, sentences)


def _own_rules(session: Session) -> "Mapping[str, FileRules]":
    """The rules for files, with the workspace's own where there is one."""
    from pathcurate.filerules import load_rules

    workspace = _own_workspace(session)
    named = workspace.settings.deid.files if workspace else None
    return load_rules(workspace.root / named if workspace and named else None)


def _own_profile(session: Session) -> "Profile | None":
    """The workspace's profile, None where there is no workspace."""
    from pathcurate.profiles import load_profile

    workspace = _own_workspace(session)
    return None if workspace is None else load_profile(workspace)


def _own_workspace(session: Session) -> "Workspace | None":
    """The workspace, None where there is none and none was named."""
    from pathlib import Path

    from pathcurate.errors import UsageError
    from pathcurate.workspace import find_workspace

    if session.directory is None:
        try:
            find_workspace(Path.cwd())
        except UsageError:
            return None
    return session.workspace()


@command.command("plan")
@common_options
def plan_command(session: Session) -> None:
    """Show what `apply` will do to each column; nothing is done.

    \b
    Example:
      pathcurate deid plan
    """
    from pathcurate.deid import plan, planned_tables
    from pathcurate.deid.texts import text_state
    from pathcurate.errors import PlanIncompleteError
    from pathcurate.profiles import load_profile

    workspace = session.workspace()
    profile = load_profile(workspace).name
    with session.local_engine(workspace) as engine:
        planned = plan(workspace, engine)
    lines = [
        f"{item.table}.{item.column:<{34 - len(item.table)}}"
        f"{item.identifying or 'undeclared':<16}{item.action or 'NO RULE':<19}{item.values:>9,}"
        for item in planned
    ]
    actions = Counter(item.action or "no rule" for item in planned)
    tables, texts = planned_tables(workspace), text_state(workspace)
    whole = [
        *(f"{name} is made: {made_of}" for name, made_of in tables.derived.items()),
        f"read for whose a row is, and not shown: {', '.join(tables.used)}",
        f"not read: {', '.join(tables.not_read) or 'nothing'}",
    ]
    columns = [asdict(item) for item in planned]
    session.show(
        {"profile": profile, "columns": columns, "tables": asdict(tables), "texts": asdict(texts)},
        [f"profile {profile}", *lines, "", *count_lines(dict(actions)), *whole, *_state_lines(texts)],
    )
    if any(item.action is None for item in planned):
        raise PlanIncompleteError(
            "the plan is incomplete: a column has no rule", "Nothing will be applied until it has one."
        )


@command.command("apply")
@click.option("--texts", metavar="COHORT", help="Scrub a cohort's texts too; `all`: the archive's; `none`: no more.")
@common_options
def apply_command(session: Session, texts: str | None) -> int:
    """Write the de-identified tables and verify them.

    Texts are scrubbed only for the cohorts that --texts has named, now or before; all others stay in the catalog. A text is
    scrubbed again only if it, what is known of its patient, or a rule has changed. `--texts none` takes the wish back.

    \b
    Example:
      pathcurate deid apply
    """
    from pathcurate.cli.progress import progress
    from pathcurate.deid import apply
    from pathcurate.deid.texts import ALL, NONE

    wanted = {"all": ALL, "none": NONE}.get(texts, texts) if texts is not None else None
    with (
        session.locked("deid apply") as workspace,
        session.local_engine(workspace) as engine,
        progress("texts", "reports", quiet=session.quiet) as advance,
    ):
        summary = apply(workspace, actor=session.actor, engine=engine, texts=wanted, progress=advance)
    return _show(session, summary)


@command.command("verify")
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@common_options
def verify_command(session: Session, directory: Path | None) -> int:
    """Check the de-identified tables again, or search a DIRECTORY.

    Against every identifier that the catalog knows, as it is now. A directory may be a release, a delivery or anything else:
    every file is searched, decoded and unpacked, in every encoding that is known. What is found is named by file, place and
    kind, and never shown.

    \b
    Example:
      pathcurate deid verify
    """
    from pathcurate.deid import verify
    from pathcurate.deid.faults import search

    with session.locked("deid verify") as workspace:
        if directory is not None:
            return _show_search(session, search(workspace, directory, actor=session.actor))
        return _show(session, verify(workspace, actor=session.actor))


def _show_search(session: Session, summary: "SearchSummary") -> int:
    """Show what a search found; the exit code."""
    from pathcurate.errors import DisclosureRefusedError
    from pathcurate.leaksearch.search import NOT_SEARCHED

    leaks = [leak for leak in summary.leaks if leak.kind != NOT_SEARCHED]
    unsearched = [leak for leak in summary.leaks if leak.kind == NOT_SEARCHED]
    searched, control = sum(summary.identifiers.values()), sum(summary.control.values())
    lines = [
        *(f"  LEAK {_place(leak)} at {leak.offset:,}: {leak.kind}, {leak.encoding}, {counted(leak.count, 'place')}"
          for leak in leaks),
        *(f"  NOT SEARCHED {_place(leak)}: {leak.encoding}" for leak in unsearched),
        (
            f"searched {counted(summary.files, 'file')} for {counted(searched, 'identifier')}; the same search found "
            f"{counted(control, 'place')} in the catalog"
        ),
        "verified: passed" if not summary.leaks else "verified: FAILED",
    ]  # fmt: skip
    session.show(asdict(summary), lines)
    if not summary.leaks:
        return 0
    # Not raised: the document with the leaks is the one that --json prints.
    session.say("Do not give this directory away: make it anew, or open what is packed, and verify it again.")
    return DisclosureRefusedError.exit_code


def _place(leak: "Leak") -> str:
    return f"{leak.file} ({leak.where})" if leak.where else leak.file


def _state_lines(texts: "TextState") -> list[str]:
    allowed = "" if texts.released else "; the profile lets no release have them"
    if not texts.cohorts:
        return [f"texts: none scrubbed; `pathcurate deid apply --texts COHORT` does it{allowed}"]
    reports = ", ".join(f"{count:,} {status}" for status, count in texts.statuses.items())
    age = "" if texts.is_current else ", out of date: `pathcurate deid apply` brings them up to date"
    return [f"texts: {texts.texts:,} scrubbed, of {_of(texts.cohorts)}; reports: {reports}{age}{allowed}"]


def _of(cohorts: tuple[str, ...]) -> str:
    return "the archive" if "*" in cohorts else ", ".join(cohorts)


def _text_lines(texts: "TextSummary") -> list[str]:
    removed = sum(texts.removals.values())
    failed = [f"  {counted(texts.failed, 'report')} could not be scrubbed and are left out"] if texts.failed else []
    if texts.withheld:
        failed.append(f"  {counted(texts.withheld, 'text')} left out: something in them may still identify somebody")
    reports = f"{counted(texts.reports, 'report')}, {texts.scrubbed:,} scrubbed now"
    return [
        f"texts of {_of(texts.cohorts)}: {texts.texts:,} of {reports}",
        f"  {counted(removed, 'place')} removed: "
        + (", ".join(f"{kind} {count:,}" for kind, count in texts.removals.items()) or "none"),
        *failed,
    ]


def _show(session: Session, summary: "DeidSummary") -> int:
    """Show what was done, in one document; the exit code."""
    from pathcurate.errors import DisclosureRefusedError

    lines = [
        *count_lines(summary.rows),
        *(f"  {count:,} values of {name} were left out: in no closed set" for name, count in summary.left_out.items()),
        *(_text_lines(summary.texts) if summary.texts else ()),
        *(f"  FAULT {fault}" for fault in summary.faults),
        "verified: passed" if not summary.faults else "verified: FAILED",
    ]
    session.show(asdict(summary), lines)
    if not any(summary.rows.values()):
        session.say("The catalog is empty. Run `pathcurate scan`, `pathcurate reports import` and `pathcurate link` first.")
    if not summary.faults:
        return 0
    session.say(
        f"Error: what was de-identified has {len(summary.faults)} faults; no later stage will use it\n"
        "Run `pathcurate deid apply` again; if the faults stay, report them."
    )
    return DisclosureRefusedError.exit_code
