"""How far a delivery has come: what was made, what has arrived (``sending.json`` in the folder of its work files)."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pathcurate.errors import InputOutputError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.delivery import VolumeEntry
from pathcurate.storage import sweep, write_bytes

JOURNAL_FILE = "sending.json"
_Token = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Made(_Part):
    """A volume that was made.

    Attributes:
        plan: digest of what is in it for whom.
        entry: its file.
        is_sent: whether it is at the target, and was read back there.
    """

    plan: str
    entry: VolumeEntry
    is_sent: bool = False


class Journal(_Part):
    """How far a delivery has come.

    Attributes:
        sending: version of the form.
        target: where it goes.
        token: by which the delivery knows its own place at the target.
        has_begun: whether the target was found empty, and marked.
        volumes: by name; also those of an earlier plan, until they are taken away.
        documents: digests of what was, or was about to be, written beside them.
        is_announced: whether all of those are written, so that the target is marked no more.
    """

    sending: Literal[1] = 1
    target: str
    token: _Token = Field(default_factory=lambda: secrets.token_hex(16))
    has_begun: bool = False
    volumes: Mapping[str, Made] = {}
    documents: Mapping[str, str] = {}
    is_announced: bool = False

    @property
    def claim(self) -> str:
        """Name of the file that marks the target as this delivery's while it is under way."""
        return f"{CLAIM}{self.token}.txt"


CLAIM: Final = "delivery-under-way-"
CLAIM_TEXT: Final = (
    "A delivery is being written here. This file goes when it is whole.\r\n"
    "正在向此处写入交付数据，完成后本文件自动删除。\r\n"
).encode()


def read_journal(work: Path, target: str) -> Journal:
    """How far it has come; a new journal if it has not begun. Only for whoever holds the lock on the folder.

    Raises:
        InputOutputError: the file is damaged, or of another target.
    """
    path = work / JOURNAL_FILE
    sweep(path)
    try:
        journal = Journal.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Journal(target=target)
    except (OSError, ValueError):
        raise InputOutputError(
            f"{path} cannot be read", "Delete it and what it has written to the target, so that the delivery begins anew."
        ) from None
    if journal.target != target:
        raise InputOutputError(
            f"the delivery is under way to another target, says {path}", "Give that one, or delete the file to begin anew."
        )
    return journal


def write_journal(work: Path, journal: Journal) -> Journal:
    """Keep how far it has come, safe from a power cut; the same journal."""
    write_bytes(work / JOURNAL_FILE, json_text(journal.model_dump(mode="json")).encode(), mode=0o600)
    return journal
