"""A sheet of questions becomes a sealed evaluation: the questions go out under codes of their own, the answers stay."""

import hmac
import io
import re
from base64 import b32encode
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.benchmark import SEALED_COMMITMENT_PATH, TASK_PATH, BenchmarkTask
from pathcurate.questionsheet import Question, QuestionSheet
from pathcurate.sealedsets import SealedSet, read_sealed_set
from pathcurate.sealing import labels_of, seal_labels
from pathcurate.vault import Vault, append_event, create_vault
from pathcurate.wholefolder import write_whole
from pathcurate.workspace import Workspace

ACTION = "product seal"
"""Of the audit trail."""
ITEMS_NAME, README_NAME = "items.parquet", "README.txt"
_UNIT = "item_id"
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
_VERSION: Final = re.compile(r"(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}", re.ASCII)
_TRANSLATED: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def seal_questions(
    workspace: Workspace, sheet: QuestionSheet, name: str, version: str, target: Path, *, actor: str, min_cell: int = 10
) -> tuple[SealedSet, bool]:
    """Seal the answers of a sheet in the vault, and write the folder of questions; the same again gives the same bytes.

    Questions get codes of their own and stand in the order of these, so that neither the sheet's numbers nor its order
    tell anything.

    Args:
        workspace: whose vault keeps the answers; the caller holds its lock.
        sheet: the questions.
        name: of the set, as a product has one.
        version: its version.
        target: folder to be made.
        actor: operating system user.
        min_cell: fewest questions, or cases, that a figure may be about.

    Returns:
        The sealed set, and whether its folder is new.

    Raises:
        DigestMismatchError: other answers are sealed for that version already.
        UsageError: name or version has another form or is a release's, or something else is in the target's place.
        InputOutputError: the folder cannot be written.
    """
    _demand_name(workspace, name, version, target)
    vault = create_vault(workspace.vault)
    rows = sorted(zip(_codes(vault, "T", name, [one.item for one in sheet.questions]), sheet.questions, strict=True),
                  key=lambda row: row[0])  # fmt: skip
    labels = _labels(vault, name, rows)
    topics = any(one.topic for one in sheet.questions)
    task = BenchmarkTask(
        name, version, "choice", _UNIT, "answer", len(rows), sheet.classes, has_topics=topics, min_cell=min_cell
    )
    items = io.BytesIO()
    pq.write_table(_items(rows), items, compression="zstd")
    commitment = seal_labels(vault, name, version, labels)
    contents = {
        ITEMS_NAME: items.getvalue(), README_NAME: _readme(task), TASK_PATH: json_text(task.as_dict()).encode(),
        SEALED_COMMITMENT_PATH: json_text(commitment.as_dict()).encode(),
    }  # fmt: skip
    try:
        _, is_new = write_whole(target, contents, "set of questions")
    except OSError as error:
        raise InputOutputError(f"{target.name} cannot be written ({type(error).__name__})", "Name another --to.") from None
    if is_new:
        facts: dict[str, str | int] = {"product": name, "version": version, "units": len(rows)}
        append_event(vault.directory, actor, ACTION, facts)
    return read_sealed_set(target), is_new


def _demand_name(workspace: Workspace, name: str, version: str, target: Path) -> None:
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise UsageError(
            "a set of questions has a name of a-z, 0-9 and _, and a version of three numbers",
            "Such as pathology_quiz, 1.0.0.",
        )
    if (workspace.releases / name / version).exists():
        raise UsageError(f"{name} {version} is a release already", "Give the questions another name.")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target.name} is a file", "Name a folder to be made with --to.")


def _codes(vault: Vault, kind: str, name: str, texts: Sequence[str]) -> list[str]:
    """A code for each text, of 80 bits, from which nobody without the vault's key gets back to it."""
    key = vault.subkey(f"question set {kind} {name}")
    return [
        f"{kind}-{b32encode(hmac.digest(key, text.encode(), 'sha256')[:10]).translate(_TRANSLATED).decode()}"
        for text in texts
    ]


def _labels(vault: Vault, name: str, rows: Sequence[tuple[str, Question]]) -> pa.Table:
    cases = sorted({one.case for _, one in rows if one.case})
    known = dict(zip(cases, _codes(vault, "C", name, cases), strict=True))
    return labels_of([
        {"unit_id": code, "truth": ";".join(one.answer), "patient_id": known.get(one.case), "topic": one.topic or None}
        for code, one in rows
    ])  # fmt: skip


def _items(rows: Sequence[tuple[str, Question]]) -> pa.Table:
    """What goes out: the questions without their answers."""
    option = pa.list_(pa.struct([("answer", pa.string()), ("text", pa.string())]))
    own = {_UNIT: pa.string(), "topic": pa.string(), "question": pa.string(), "options": option}
    shown = {head: f"shown_{head}" if head in own else head for head in rows[0][1].shown}
    schema = pa.schema([*own.items(), *((name, pa.string()) for name in shown.values())])
    said = [
        {_UNIT: code, "topic": one.topic or None, "question": one.text,
         "options": [{"answer": letter, "text": text} for letter, text in one.options.items()],
         **{shown[head]: text for head, text in one.shown.items()}}
        for code, one in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(said, schema=schema)


def _readme(task: BenchmarkTask) -> bytes:
    text = f"""\
{task.product} {task.version}：{task.rows} 道封存测评题 / sealed questions

{ITEMS_NAME}                题目，不含答案 / the questions, without answers
{TASK_PATH}          测评任务 / what is asked
{SEALED_COMMITMENT_PATH}    对答案的承诺 / the commitment to the answers

作答：CSV，两列 {_UNIT},answer；多选用分号，如 A;C。每题一行。
To answer: a CSV of {_UNIT},answer with a row for each question; several right answers with semicolons, such as A;C.
"""
    # Windows shows a file without a mark in the encoding of the place.
    return text.replace("\n", "\r\n").encode("utf-8-sig")
