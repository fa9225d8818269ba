"""``pathcurate evaluate``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.productdesk import key_option, passphrase_option, signer_of
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.evaluate import Evaluated, Options
    from pathcurate.model.benchmark import Score, Scores
    from pathcurate.signing import Signer

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOST_GROUPS = 30


@click.command("evaluate")
@click.argument("release")
@click.argument("predictions", type=_FILE)
@click.option("--as", "predictor", default="", metavar="NAME", help="What the model is called, to be shown.")
@click.option("--labels", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of `product unseal`: score against labels that are open; needs no workspace.")  # fmt: skip
@click.option(
    "--recipient",
    default="",
    metavar="NAME",
    help="Whose delivery the predictions are about: the contract's short name; else the release's own codes.",
)
@click.option("--threshold", type=float, help="From which score on it is the positive class; else 0.5.")
@click.option("--drawings", type=int, default=1000, show_default=True, help="Of the bootstrap that gives the intervals.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of its random numbers.")
@click.option("--accept-perfect", is_flag=True, help="Score predictions that are the sealed labels to the last one.")
@click.option("--to", "target", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the result; else one below evaluations/.")  # fmt: skip
@key_option
@passphrase_option
@purpose_option
@common_options
def command(
    session: Session,
    release: str,
    predictions: Path,
    *,
    predictor: str,
    labels: Path | None,
    recipient: str,
    threshold: float | None,
    drawings: int,
    seed: int,
    accept_perfect: bool,
    target: Path | None,
    key: Path | None,
    passphrase_file: str | None,
    purpose: str | None,
) -> int:
    """Score predictions against labels that are withheld.

    RELEASE is a release (directory, NAME@VERSION, or NAME for its highest version) or a folder of `product seal`;
    PREDICTIONS a CSV or Parquet file with a row for each unit. Only figures about many rows come out, with intervals; each
    opening of the labels is in the audit trail. Exit code 13 if the predictions are the sealed labels themselves.

    \b
    Example:
      pathcurate evaluate quiz answers.csv --as "Model A"
    """
    from pathcurate.evaluate import Options

    if labels is not None and recipient:
        raise click.UsageError("--recipient is for labels in the vault; opened ones have the release's codes")
    options = Options(predictor, threshold, drawings, seed, accepts_perfect=accept_perfect, recipient=recipient)
    signer = signer_of(key, passphrase_file)
    if labels is not None:
        evaluated = _unsealed(session, release, labels, predictions, options, target, signer)
    else:
        evaluated = _sealed(session, release, predictions, options, target, signer, purpose)
    signature = None if evaluated.signature is None else str(evaluated.signature)
    session.show(
        {**evaluated.result.as_dict(), "directory": str(evaluated.directory), "is_new": evaluated.is_new,
         "evaluation": evaluated.number, "files": evaluated.files, "signature": signature},
        _lines(evaluated),
    )  # fmt: skip
    return 0


def _sealed(
    session: Session, release: str, predictions: Path, options: "Options", target: Path | None, signer: "Signer | None",
    purpose: str | None,
) -> "Evaluated":  # fmt: skip
    from pathcurate.evaluate import MANY, evaluate
    from pathcurate.releases import find_release
    from pathcurate.sealedsets import is_sealed_set, read_sealed_set

    with session.locked("evaluate") as workspace:
        own = Path.cwd() / release
        directory = own if is_sealed_set(own) else find_release(workspace.releases, release, Path.cwd())
        if signer is not None:
            _demand_trusted(workspace.root, signer, session)
        evaluated = evaluate(
            workspace, read_sealed_set(directory), predictions, options, actor=session.actor, now=session.now,
            purpose=purpose, target=target, signer=signer,
        )  # fmt: skip
    if evaluated.files >= MANY and not evaluated.result.is_unsealed:
        session.say(
            f"warning: {evaluated.files} different files were scored against these labels; two that differ by a row tell "
            "its label; give figures to those only who do not try that."
        )
    return evaluated


def _unsealed(
    session: Session, release: str, labels: Path, predictions: Path, options: "Options", target: Path | None,
    signer: "Signer | None",
) -> "Evaluated":  # fmt: skip
    from pathcurate.evaluate import evaluate_unsealed
    from pathcurate.releases import find_release
    from pathcurate.sealedsets import is_sealed_set, read_sealed_set

    own = Path.cwd() / release
    # A release by its name lies in a workspace; whoever has the directory needs none.
    directory = own if is_sealed_set(own) else find_release(session.workspace().releases, release, Path.cwd())
    base = Path.cwd() / "evaluations"
    return evaluate_unsealed(
        read_sealed_set(directory), labels, predictions, options, now=session.now, base=base, target=target, signer=signer
    )


def _demand_trusted(root: Path, signer: "Signer", session: Session) -> None:
    """Refuse a key whose signature would count for nobody."""
    from datetime import UTC

    from pathcurate.errors import VaultError
    from pathcurate.trustfile import TRUST_FILE, load_trust

    file = root / TRUST_FILE
    known = load_trust(file).signer(signer.keyid) if file.exists() else None
    if known is None:
        raise VaultError("nobody in trust.yaml has this key", "`pathcurate product keys new` makes one that somebody has.")
    fault = known.fault_on(session.now.astimezone(UTC).date())
    if fault is not None:
        raise VaultError(f"{known.name} cannot sign: {fault}", "Sign with a key that counts; see `product keys list`.")


# --- What is shown -------------------------------------------------------------------------------------------------------


def _lines(evaluated: "Evaluated") -> Iterator[str]:
    result = evaluated.result
    task = result.task
    before = "" if evaluated.is_new else ", as before"
    of = f" of {result.predictor}" if result.predictor else ""
    yield f"{task.product} {task.version}: {task.task}, predictions{of} for {task.rows:,} units{before}"
    yield f"  {'':<26}{'value':>9}   {result.confidence:.0%} interval"
    yield from (_line(score) for score in result.overall.scores)
    for scores in result.groups[:_MOST_GROUPS]:
        yield from _group(scores)
    if len(result.groups) > _MOST_GROUPS:
        yield f"  … {len(result.groups) - _MOST_GROUPS} more groups; --json and the report have them"
    yield from (f"  note: {note}" for note in result.notes)
    if evaluated.number:
        yield f"  opening {evaluated.number} of these labels, {evaluated.files} different files so far"
    yield f"  {evaluated.directory}"
    if evaluated.signature is not None:
        yield f"  signed: {evaluated.signature.name}"


def _group(scores: "Scores") -> Iterator[str]:
    from pathcurate.terminaltext import visible

    size = "" if scores.rows is None else f" ({scores.rows:,} units)"
    yield f"  {scores.by} {visible(scores.group)}{size}"
    yield from (f"  {_line(score)}" for score in scores.scores[:1])


def _line(score: "Score") -> str:
    value = "undefined" if score.value is None else f"{score.value:.4f}"
    ends = "" if score.low is None or score.high is None else f"   {score.low:.4f} to {score.high:.4f}"
    return f"  {score.metric:<26}{value:>9}{ends}"
