"""Stage: predictions are scored against labels that are withheld; only figures about many rows come out.

The holder of a sealed evaluation opens its labels in the vault, and each opening is in the audit trail. Once they are
unsealed, anybody scores against them with the release and the folder of labels alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pathcurate import __version__
from pathcurate.digests import canonical_json, file_sha256, sha256_text
from pathcurate.errors import DisclosureRefusedError, InputOutputError, UsageError
from pathcurate.evaluate.delivered import shown_to
from pathcurate.evaluate.results import lay_result, lay_signature
from pathcurate.labelmatch import match_labels
from pathcurate.model.benchmark import BenchmarkResult, BenchmarkTask
from pathcurate.sealedsets import SealedSet
from pathcurate.sealing import is_committed, labels_key, open_labels, read_unsealed
from pathcurate.signing import Signer
from pathcurate.tables import column_values
from pathcurate.vault import Event, append_event, open_vault, read_events
from pathcurate.workspace import Workspace

if TYPE_CHECKING:
    from pathcurate.benchmarks.predictions import Predictions

ACTION, REFUSED, UNSEALED = "evaluate", "evaluate refused", "product unseal"
"""Of the audit trail: labels were opened to score; predictions were refused; labels were given away."""
MANY = 20
"""From so many different files of predictions on, figures that differ by one row could tell that row's label."""
_MOST_DRAWINGS, _MOST_NAME = 100_000, 200


@dataclass(frozen=True, slots=True)
class Options:
    """How predictions are scored.

    Attributes:
        predictor: what somebody calls the model.
        threshold: from which score on the positive class is taken; None for the middle.
        drawings: of the bootstrap.
        seed: of its random numbers.
        confidence: of the intervals, between 0 and 1.
        accepts_perfect: score predictions that are all right also before the labels are unsealed.
        recipient: short name of whoever got a delivery, whose codes the predictions use; empty for those of the release.

    Raises:
        UsageError: a value that cannot be.
    """

    predictor: str = ""
    threshold: float | None = None
    drawings: int = 1000
    seed: int = 0
    confidence: float = 0.95
    accepts_perfect: bool = False
    recipient: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.drawings <= _MOST_DRAWINGS or not 0 <= self.seed < 2**32:
            raise UsageError(f"--drawings is 1 to {_MOST_DRAWINGS}, --seed 0 to 4294967295", "Leave them out: 1000 and 0.")
        if not 0.5 <= self.confidence < 1:
            raise UsageError("the confidence is at least 0.5, and less than 1", "0.95 is usual.")
        if (not self.predictor.isprintable() and self.predictor) or len(self.predictor) > _MOST_NAME:
            raise UsageError("the name of the model is one line of text, of at most 200 characters", "Shorten --as.")
        if self.threshold is not None and not abs(self.threshold) < float("inf"):
            raise UsageError("the threshold is no number", "Give one of the range of your scores.")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came out.

    Attributes:
        result: the figures.
        directory: where ``result.json`` and ``report.html`` are.
        is_new: whether they were written now.
        number: how often the labels were opened to score, with this time; 0 of unsealed labels.
        files: how many different files of predictions these times were about.
        signature: the signed statement, if there is one.
    """

    result: BenchmarkResult
    directory: Path
    is_new: bool
    number: int = 0
    files: int = 0
    signature: Path | None = None


def evaluate(
    workspace: Workspace,
    sealed: SealedSet,
    predictions: Path,
    options: Options,
    *,
    actor: str,
    now: datetime,
    purpose: str | None = None,
    target: Path | None = None,
    signer: Signer | None = None,
) -> Evaluated:
    """Score predictions against labels in the vault; the same again gives the same answer.

    Args:
        workspace: which has sealed them; the caller holds its lock.
        sealed: the release or set of questions.
        predictions: the file.
        options: how to score.
        actor: operating system user.
        now: the present, with time zone.
        purpose: why, in the actor's words.
        target: folder for the result; None for one below ``evaluations/``.
        signer: signs the result.

    Raises:
        DigestMismatchError: the sealed labels are not those that were committed to.
        DisclosureRefusedError: the predictions are the sealed labels.
        PlanIncompleteError: the workspace does not have the labels.
        InputOutputError: the predictions cannot be used; the rows are named.
        UsageError: what scores is not installed.
    """
    digest = _digest_of(predictions)
    _demand_scorers()
    vault = open_vault(workspace.vault)
    product, version = sealed.task.product, sealed.task.version
    labels = open_labels(vault, product, version, sealed.commitment)
    facts: dict[str, str | int] = {
        "product": product, "version": version, "release": sealed.digest, "predictions": digest,
        **({"recipient": options.recipient} if options.recipient else {}),
    }  # fmt: skip
    append_event(vault.directory, actor, ACTION, {**facts, "units": labels.num_rows}, purpose=purpose)
    events = [event for event in read_events(vault.directory) if _is_of(event, sealed)]
    is_unsealed = any(event.action == UNSEALED for event in events)
    scored = [str(event.facts.get("predictions")) for event in events if event.action == ACTION]
    shown = shown_to(workspace, vault, sealed.task, labels, options.recipient) if options.recipient else labels
    # Whose codes the file uses is forgotten here: labels and commitment are in those of the release.
    given = replace(_read(predictions, sealed.task, shown), units=tuple(column_values(labels, "unit_id")))
    is_open = is_unsealed or options.accepts_perfect
    if not is_open and _are_labels(
        predictions, given, sealed, labels, shown, labels_key(vault, product, version, sealed.commitment)
    ):
        append_event(vault.directory, actor, REFUSED, {**facts, "reason": "they are the sealed labels"}, purpose=purpose)
        raise DisclosureRefusedError(
            f"these predictions are the sealed labels of {sealed.name}, to the last of {labels.num_rows} units, before "
            "anybody unsealed them: somebody may have peeked",
            "Find out how they were made. If a model can be that good, give --accept-perfect; it is in the audit trail.",
        )
    result = _scored(sealed, labels, given, options, is_unsealed=is_unsealed)
    base = workspace.root / "evaluations"
    evaluated = _laid(sealed, result, options, target, base, now, signer)
    return replace(evaluated, number=len(scored), files=len(set(scored)))


def evaluate_unsealed(
    sealed: SealedSet,
    folder: Path,
    predictions: Path,
    options: Options,
    *,
    now: datetime,
    base: Path,
    target: Path | None = None,
    signer: Signer | None = None,
) -> Evaluated:
    """Score predictions against labels that ``product unseal`` has written; needs no workspace.

    Args:
        sealed: the release or set of questions.
        folder: of the labels and their key.
        predictions: the file.
        options: how to score.
        now: the present, with time zone.
        base: folder that the result's folder is made in.
        target: folder for the result itself, instead.
        signer: signs the result.

    Raises:
        DigestMismatchError: the labels are not those that were committed to.
        InputOutputError: a file cannot be used.
        UsageError: what scores is not installed.
    """
    _demand_scorers()
    labels = read_unsealed(folder, sealed.commitment)
    result = _scored(sealed, labels, _read(predictions, sealed.task, labels), options, is_unsealed=True)
    return _laid(sealed, result, options, target, base, now, signer)


def _digest_of(predictions: Path) -> str:
    try:
        return file_sha256(predictions.resolve())
    except OSError as error:
        raise InputOutputError(
            f"{predictions.name} cannot be read ({type(error).__name__})", "Name the file of predictions."
        ) from None


def _demand_scorers() -> None:
    """Refuse before labels are opened what could not be finished."""
    if find_spec("sklearn") is None:
        raise UsageError(
            "scikit-learn is not installed, which reckons the figures", "Run `pip install 'pathcurate[evaluate]'`."
        )


def _is_of(event: Event, sealed: SealedSet) -> bool:
    facts = event.facts
    return (facts.get("product"), facts.get("version")) == (sealed.task.product, sealed.task.version)


def _read(predictions: Path, task: BenchmarkTask, labels: pa.Table) -> "Predictions":
    from pathcurate.benchmarks.predictions import read_predictions  # noqa: PLC0415  heavy

    return read_predictions(predictions, task, column_values(labels, "unit_id"))


def _are_labels(
    file: Path, given: "Predictions", sealed: SealedSet, labels: pa.Table, shown: pa.Table, key: bytes
) -> bool:  # fmt: skip
    """Whether predictions are the labels to the last row: they fit the commitment, or a column of the file is the labels."""
    from pathcurate.benchmarks.scoring import predicted_labels  # noqa: PLC0415  heavy

    predicted = predicted_labels(sealed.task, labels, given)
    if predicted is not None and is_committed(key, predicted, sealed.commitment):
        return True
    return match_labels(file, sealed.task, shown).is_whole


def _scored(
    sealed: SealedSet, labels: pa.Table, given: "Predictions", options: Options, *, is_unsealed: bool
) -> BenchmarkResult:
    from pathcurate.benchmarks.scoring import score  # noqa: PLC0415  heavy

    return score(
        sealed.task, labels, given, release_digest=sealed.digest, commitment=sealed.commitment.value,
        tool=f"pathcurate {__version__}", predictor=options.predictor, drawings=options.drawings, seed=options.seed,
        confidence=options.confidence, threshold=options.threshold, is_unsealed=is_unsealed,
    )  # fmt: skip


def _laid(
    sealed: SealedSet, result: BenchmarkResult, options: Options, target: Path | None, base: Path, now: datetime,
    signer: Signer | None,
) -> Evaluated:  # fmt: skip
    said: Mapping[str, Any] = {
        "release": sealed.digest, "predictions": result.predictions_sha256, "predictor": options.predictor,
        "threshold": None if options.threshold is None else repr(options.threshold), "drawings": options.drawings,
        "seed": options.seed, "confidence": repr(options.confidence), "recipient": options.recipient,
        "unsealed": result.is_unsealed, "tool": __version__,
    }  # fmt: skip
    name = sha256_text(canonical_json(said)).removeprefix("sha256:")[:12]
    directory = target or base / f"{sealed.task.product}-{sealed.task.version}" / name
    laid = lay_result(directory, result)
    if signer is None:
        return Evaluated(result, directory, laid.is_new)
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    return Evaluated(result, directory, laid.is_new, signature=lay_signature(laid, sealed, result, signer, at))
