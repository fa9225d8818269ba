"""A delivery: what of a release goes to whom, in how many volumes; what says so beside the volumes (``DELIVERY.json``)."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pathcurate.model.agreement import CONTRACT_ID, Digest
from pathcurate.model.application import RECIPIENT, Line
from pathcurate.model.manifest import SEMANTIC_VERSION

DELIVERY_SCHEMA: Final = "https://pathcurate.example/schema/delivery/1"
DELIVERY_FILE = "DELIVERY.json"
DELIVERY_SIGNED = "delivery.dsse.json"
"""The signed statement about :data:`DELIVERY_FILE`."""
VOLUME_LIST = "volumes-sha256.txt"
"""Every other file beside it by SHA-256, as ``sha256sum -c`` reads it."""
CONTENTS_LIST = "manifest-sha256.txt"
"""Within: every unpacked file by SHA-256; its own digest is the delivery's."""
DELIVERY_ID = CONTRACT_ID + r"-d[1-9][0-9]{0,3}"
VOLUME_NAME = r"volume-[0-9]{4}\.tar(\.age)?"
INNER_PATH = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*"
"""Paths within: portable names alone, so that they are the same on every system."""

Count = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VolumeEntry(_Part):
    """A volume as it lies at the target.

    Attributes:
        name: of its file.
        bytes: of the file.
        sha256: of the file, 64 hexadecimal digits.
        files: that it holds.
    """

    name: Annotated[str, StringConstraints(pattern=f"^{VOLUME_NAME}$")]
    bytes: Count
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    files: Count


class TableEntry(_Part):
    """A table within, in the recipient's codes.

    Attributes:
        path: within.
        rows: how many.
        key: columns that name a row.
        table_digest: of its rows, whatever their layout.
        sha256: of the file.
    """

    path: Annotated[str, StringConstraints(pattern=r"^data/[a-z0-9_]+\.parquet$")]
    rows: Count
    key: tuple[str, ...]
    table_digest: Digest
    sha256: Digest


class DeliveryDocument(_Part):
    """What a delivery says of itself; it holds counts and digests, no code of anybody.

    Attributes:
        schema_: which form this is.
        delivery: its id.
        contract: its contract's id.
        number: of the contract.
        recipient: short name.
        product: name of the product.
        version: of the release.
        derived_from: digest of the release.
        agreement: digest of the agreement's file.
        at: when it was prepared, ISO 8601 in UTC.
        encryption: how the volumes are encrypted; None if they are not.
        tables: by name.
        counts: what is delivered: rows of each table as the release counts them, slide files, bytes.
        left_out: rows and files of the release that are not in it: by why, how many.
        contents_sha256: of :data:`CONTENTS_LIST`.
        withdrawals: number of the last withdrawal of the contract's feed that it already honours.
        volumes: in their order.
    """

    model_config = ConfigDict(title="delivery", populate_by_name=True)

    schema_: Annotated[Literal["https://pathcurate.example/schema/delivery/1"], Field(alias="schema")] = DELIVERY_SCHEMA
    delivery: Annotated[str, StringConstraints(pattern=f"^{DELIVERY_ID}$")]
    contract: Annotated[str, StringConstraints(pattern=f"^{CONTRACT_ID}$")]
    number: Line
    recipient: Annotated[str, StringConstraints(pattern=f"^{RECIPIENT}$")]
    product: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=SEMANTIC_VERSION)]
    derived_from: Digest
    agreement: Digest
    at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+00:00$")]
    encryption: Literal["age-encryption.org/v1 X25519"] | None
    tables: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")], TableEntry]
    counts: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")], Count]
    left_out: Mapping[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")], Count]
    contents_sha256: Digest
    withdrawals: Count
    volumes: Annotated[tuple[VolumeEntry, ...], Field(min_length=1, max_length=9999)]

    def as_dict(self) -> Mapping[str, Any]:
        """As plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)
