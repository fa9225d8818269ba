"""Writes what an evaluation gave: figures, page, and the statement that somebody signs for it."""

from dataclasses import dataclass
from pathlib import Path

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.attestation import BENCHMARK_RESULT, Envelope, Statement, Subject
from pathcurate.model.benchmark import BenchmarkResult
from pathcurate.roles import shared_directory
from pathcurate.sealedsets import SealedSet
from pathcurate.signing import Signer, sign
from pathcurate.storage import create_exclusively

RESULT_NAME, REPORT_NAME = "result.json", "report.html"


@dataclass(frozen=True, slots=True)
class Result:
    """The written figures.

    Attributes:
        directory: where they are.
        sha256: of ``result.json``, as ``sha256:`` and 64 digits.
        is_new: whether they were written now.
    """

    directory: Path
    sha256: str
    is_new: bool


def lay_result(directory: Path, result: BenchmarkResult) -> Result:
    """Write figures and page; the same again changes nothing.

    Raises:
        DigestMismatchError: other figures are there.
        InputOutputError: the folder cannot be written.
    """
    from pathcurate.htmlreport.benchmark import benchmark_page  # noqa: PLC0415  heavy

    files = {RESULT_NAME: json_text(result.as_dict()).encode(), REPORT_NAME: benchmark_page(result).encode()}
    try:
        shared_directory(directory)
        # The figures last: who finds them finds the page too.
        is_new = [_lay(directory / name, files[name]) for name in (REPORT_NAME, RESULT_NAME)]
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputOutputError(
            f"{directory.name} cannot be written ({type(error).__name__})", "Name another folder with --to."
        ) from None
    return Result(directory, sha256_text(files[RESULT_NAME]), any(is_new))


def lay_signature(laid: Result, sealed: SealedSet, result: BenchmarkResult, signer: Signer, at: str) -> Path:
    """Sign for a result; what the same key has signed for the same figures before stays.

    Args:
        laid: the written figures.
        sealed: what they are about.
        result: the figures.
        signer: of whoever answers for them.
        at: when, in UTC.

    Raises:
        DigestMismatchError: a file of that name is not that.
    """
    figures = Subject(RESULT_NAME, laid.sha256.removeprefix("sha256:"))
    subjects = (sealed.subject, figures)
    predicate = {
        "product": sealed.task.product, "version": sealed.task.version, "at": at, "commitment": sealed.commitment.value,
        "predictionsSha256": result.predictions_sha256, "predictor": result.predictor, "task": result.task.task,
        "unsealed": result.is_unsealed, "rows": result.task.rows,
        "scores": {one.metric: {"value": one.value, "low": one.low, "high": one.high} for one in result.overall.scores},
    }  # fmt: skip
    statement = Statement(subjects, BENCHMARK_RESULT, predicate)
    path = laid.directory / f"result.{signer.keyid[:8]}.json"
    if not create_exclusively(path, sign(statement, [signer]).as_bytes(), 0o644):
        _demand_signed(path, statement, signer)
    return path


def _demand_signed(path: Path, statement: Statement, signer: Signer) -> None:
    """Refuse a file in the signature's place that is not this key's for these figures."""
    envelope = Envelope.parse(path.read_bytes())
    there = envelope.statement()
    again = sign(there, [signer])  # Ed25519 gives the same signature again
    if there.subjects != statement.subjects or again.as_bytes() != envelope.as_bytes():
        raise DigestMismatchError(
            f"{path.name} is not what this key signed for this result", "Find out who has put it there, and take it away."
        )


def _lay(path: Path, content: bytes) -> bool:
    if create_exclusively(path, content, 0o644):
        return True
    if path.is_symlink() or path.read_bytes() != content:
        raise DigestMismatchError(
            f"{path.parent.name}/{path.name} holds something else than this evaluation gives",
            "It was changed, or is of another evaluation: move it away, or name another folder with --to.",
        )
    return False
