"""Many products at once: ``product register --table`` and ``product receipt --table``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pathcurate.cli.productdesk import desk_of, tested
from pathcurate.cli.session import Session, counted

if TYPE_CHECKING:
    from pathcurate.model.finding import Finding
    from pathcurate.model.registration import RowOutcome
    from pathcurate.product.batch import Goal
    from pathcurate.signing import Signer


def register_many(
    session: Session, table: Path, signers: "Sequence[tuple[Signer, str | None]]", bundles: Path, regime: str | None
) -> int:
    """Bring each release of a table as far as its evidence carries it; 1 if a row did not get there."""
    from pathcurate.product.batch import Goal
    from pathcurate.registrationtable import read_batch

    rows, findings = read_batch(table, regime=regime)
    return _run(session, [Goal(row.row, row.release, row.regime) for row in rows], findings, signers, bundles)


def receive_many(session: Session, table: Path, folder: Path, signer: "Signer | None") -> int:
    """Bind a folder of certificates to the releases that a table names; 1 if a row could not be."""
    from pathcurate.certificates import read_certificates
    from pathcurate.digests import file_sha256
    from pathcurate.product.batch import Goal

    certificates, findings = read_certificates(table.absolute(), folder.absolute(), today=session.now.date())
    plain = [path for path in sorted(folder.absolute().rglob("*")) if path.is_file() and not path.is_symlink()]
    files = {file_sha256(path): path for path in plain}
    goals = [Goal(0, one.release, certificate=(one, files[one.sha256])) for one in certificates]
    return _run(session, goals, findings, [(signer, None)] if signer is not None else [], Path())


def _run(
    session: Session,
    goals: "Sequence[Goal]",
    findings: "Sequence[Finding]",
    signers: "Sequence[tuple[Signer, str | None]]",
    bundles: Path,
) -> int:
    from pathcurate.model.finding import Severity
    from pathcurate.product.batch import Pen, run_batch

    pen = Pen(signers, bundles.absolute(), tested)
    with desk_of(session, "product register") as desk:
        outcomes = run_batch(desk, goals, pen, lambda outcome: session.say("\n".join(_row_lines(outcome))))
    done = [one for one in outcomes if not one.lacks]
    changed = sum(one.is_changed for one in done)
    unusable = {finding.subject for finding in findings if finding.severity is Severity.ERROR}
    refused = len(outcomes) - len(done) + len(unusable)
    session.show(
        {"done": len(done), "changed": changed, "refused": refused,
         "rows": [asdict(one) for one in outcomes], "findings": [finding.as_dict() for finding in findings]},
        [f"{counted(len(done), 'product')} done, {changed} of them in this run; {refused} refused",
         *(f"  {finding.subject}: {finding.message}" for finding in findings)],
    )  # fmt: skip
    return int(refused > 0)


def _row_lines(outcome: "RowOutcome") -> Iterator[str]:
    state = outcome.state or "not registered"
    what = "refused" if outcome.lacks else "done" if outcome.is_changed else "as it was"
    row = f"row {outcome.row:>3}  " if outcome.row else ""
    yield f"  {row}{outcome.release:<40} {state:<20} {what}"
    for lack in outcome.lacks:
        yield f"           - {lack.what}"
        if lack.how:
            yield f"             {lack.how}"
