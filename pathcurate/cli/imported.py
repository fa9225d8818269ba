"""What every command that imports tables or files does, and how it shows what was done."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, counted, exit_code, finding_lines

if TYPE_CHECKING:
    from pathcurate.sources import ImportSummary


def run_import(
    session: Session, name: str, act: "Callable[..., ImportSummary]", files: tuple[Path, ...], fail_on: str,
    noun: str, plural: str = "",
) -> int:  # fmt: skip
    """Run ``pathcurate NAME import``, which holds the workspace meanwhile; its exit code.

    Args:
        session: the call.
        name: the group of the command.
        act: the stage's function, of a workspace, ``only`` and ``progress``.
        files: import only these.
        fail_on: severity from which on findings fail.
        noun: what a row is.
        plural: several of them, where an s is not enough.
    """
    command = f"{name} import"
    with session.locked(command) as workspace, progress(command, "files", quiet=session.quiet) as advance:
        summary = act(workspace, only=files, progress=advance)
    line = f"{import_line(summary, noun, plural)}; {summary.total:,} in the catalog"
    session.show(import_document(summary), [line, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)


def import_line(summary: "ImportSummary", noun: str, plural: str = "") -> str:
    """What was read and what was not: ``3 reports from 1 file; 2 files unchanged, 1 file removed``."""
    read = f"{counted(summary.rows, noun, plural)} from {counted(summary.files, 'file')}"
    others = (("unchanged", summary.unchanged), ("removed", summary.removed), ("left out as forgotten", summary.forgotten))
    told = ", ".join(f"{counted(count, 'file')} {what}" for what, count in others if count)
    return f"{read}; {told}" if told else read


def import_document(summary: "ImportSummary", **more: int) -> dict[str, Any]:
    """The same as plain JSON values, with further counts before the findings.

    Of these the subject is left out: it names the file, and that of one report or of one slide may be named after a patient.
    """
    findings = [finding.as_dict() for finding in summary.findings]
    return {
        "files": summary.files, "unchanged": summary.unchanged, "removed": summary.removed,
        "forgotten": summary.forgotten, "rows": summary.rows, "total": summary.total, **more,
        "findings": [{name: value for name, value in one.items() if name != "subject"} for one in findings],
    }  # fmt: skip
