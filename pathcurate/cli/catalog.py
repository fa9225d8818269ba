"""``pathcurate catalog``."""

import click

from pathcurate.cli.session import Session, common_options, count_lines, counted


@click.group("catalog")
def command() -> None:
    """Look after the catalog's files and its earlier states."""


@command.command("expire")
@click.option("--keep", required=True, metavar="DURATION", help="How far back one can go afterwards, as 400d or 5y.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would go.")
@common_options
def expire_command(session: Session, *, keep: str, yes: bool) -> None:
    """Remove earlier states of the catalog that nobody needs.

    Whatever was the newest state --keep ago stays, and all after it. A cohort or a release that was made of an older one
    stays as it is, but can no longer be made again; `cohort --as-of` says so. Without --yes this only says what would go.

    \b
    Example:
      pathcurate catalog expire --keep 400d
    """
    from datetime import timedelta

    from pathcurate import __version__
    from pathcurate.errors import UsageError
    from pathcurate.model.recipe.forms import parse_duration
    from pathcurate.upkeep import expire, plan_expiry
    from pathcurate.vault import append_event

    try:
        days = parse_duration(keep).most_days
    except ValueError as error:
        raise UsageError(f"--keep: {error}", "Give a duration such as 400d or 5y.") from None
    if days <= 0:
        raise UsageError("--keep: the time to keep is not positive", "Give a duration such as 400d or 5y.")
    horizon = session.now - timedelta(days=days)
    with session.locked("catalog expire") as workspace:
        plan = expire(workspace, horizon) if yes else plan_expiry(workspace, horizon)
        if yes:
            facts: dict[str, str | int] = {
                "states": sum(plan.states.values()), "files": plan.files, "days": days, "version": __version__,
            }  # fmt: skip
            append_event(workspace.vault, session.actor, "catalog expire", facts)
    document = {
        "done": yes, "states": dict(plan.states), "files": plan.files, "size_bytes": plan.size_bytes,
        "cohorts": list(plan.cohorts),
    }  # fmt: skip
    states, files = counted(sum(plan.states.values()), "earlier state"), counted(plan.files, "file")
    lines = [
        f"{'gone' if yes else 'would go'}: {states}, {files} of {plan.size_bytes:,} bytes",
        *count_lines(plan.states),
        *(f"  cohort {name} can no longer be made again" for name in plan.cohorts),
        *([] if yes or not plan.states else ["Give --yes to do it."]),
    ]
    session.show(document, lines)


@command.command("compact")
@common_options
def compact_command(session: Session) -> None:
    """Merge the small files that every night adds into few.

    What is in the tables, the earlier states and all that was made of them stay as they are; only reading becomes quicker.
    Files that earlier states need stay too, until `catalog expire` lets these go. A table of few files is left alone, unless
    an earlier version wrote them in a form of its own: they are written again in today's.

    \b
    Example:
      pathcurate catalog compact
    """
    from dataclasses import asdict

    from pathcurate import __version__
    from pathcurate.compaction import compact
    from pathcurate.vault import append_event

    with session.locked("catalog compact") as workspace:
        done = compact(workspace.catalog)
        if done:
            facts: dict[str, str | int] = {
                "tables": len(done), "version": __version__,
                "files": sum(one.parts_before - one.parts_after for one in done),
            }  # fmt: skip
            append_event(workspace.vault, session.actor, "catalog compact", facts)
    lines = [
        f"  {one.table}: {counted(one.parts_before, 'file')} are now {one.parts_after:,}, {counted(one.rows, 'row')} written"
        for one in done
    ]
    session.show({"tables": [asdict(one) for one in done]}, lines or ["every table has few files already"])


@command.command("check")
@common_options
def check_command(session: Session) -> int:
    """Read every file of the catalog and say what is damaged.

    It says as well whether catalog and vault belong together.

    Files that are missing, or that no state names, count too, and states and files of other versions than this one's. With
    any of these the exit code is 1.

    \b
    Example:
      pathcurate catalog check
    """
    from pathcurate.pairing import note_pair, unpaired
    from pathcurate.upkeep import check

    with session.locked("catalog check") as workspace:
        faults = [*check(workspace), *(("vault", fault) for fault in unpaired(workspace))]
        if not faults:
            # A backup that is made now tells when one of the two is restored alone.
            note_pair(workspace)
    document = {"faults": [{"table": table, "fault": fault} for table, fault in faults]}
    session.show(document, [f"{table}: {fault}" for table, fault in faults] or ["every file of the catalog can be read"])
    return int(bool(faults))
