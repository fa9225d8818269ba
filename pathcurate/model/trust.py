"""Whose signatures count, and how many a step needs: ``trust.yaml`` of a workspace."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from pathcurate.model.filerule import folded
from pathcurate.model.productfile import Day
from pathcurate.model.waiver import is_plain

LANGUAGE = 1
"""The version of the file that is read."""
ED25519 = "ed25519"
MOST_SIGNERS = 1000
MOST_NAME = 100

Role = Literal["steward", "compliance", "registry", "recipient"]
"""Who keeps a product, who answers for its lawfulness, who keeps the registry; who gets a delivery (never in trust.yaml)."""
Command = Literal["sign", "submit", "receipt", "offer", "approve", "contract", "deliver", "withdraw"]
"""Steps that can ask for signatures: of a release; of an application and its contract; of a delivery; of a withdrawal."""
Threshold = Annotated[Mapping[Role, Annotated[int, Field(strict=True, ge=1, le=9)]], Field(min_length=1)]
"""How many persons of each role must have signed."""

DEFAULT_THRESHOLDS: Mapping[Command, Threshold] = {
    "sign": {"steward": 1, "compliance": 1}, "receipt": {"compliance": 1}, "approve": {"steward": 1, "compliance": 1},
    "contract": {"steward": 1}, "deliver": {"steward": 1}, "withdraw": {"steward": 1},
}  # fmt: skip

_SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, before the 32 bytes of the key
_FIELD = 2**255 - 19
# y of the points of order 1, 2, 4 and 8: signatures under such a key can be made without its private half.
_SMALL_ORDER = frozenset(
    {
        1, _FIELD - 1, 0,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)  # fmt: skip
_MOST_PUBLIC = 10_000


def _version(value: object) -> int:
    if value is True or not isinstance(value, int) or value != LANGUAGE:
        raise ValueError(f"`trust` is the version of this file; this version of pathcurate reads {LANGUAGE}")
    return value


def _name(value: str) -> str:
    if not is_plain(value) or value != value.strip():
        raise ValueError("a name is one line of text, without spaces around it")
    return value


def _public(value: str) -> str:
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded or base64.b64encode(decoded).decode() != value:
        raise ValueError("must be a public key in base64, as `pathcurate product keys new` writes it")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrustedSigner(_Part):
    """A person's key whose signatures count.

    Attributes:
        name: of the person. Several keys may have one name: they are one person's.
        roles: in which the person signs.
        scheme: of the signatures.
        public: the key, as base64 of a DER SubjectPublicKeyInfo.
        since: first day, in UTC, on which a signature counts.
        until: last day on which one counts; None for no end.
        retired: day from which on none counts, because the person has left or the key was lost; what was signed before
            stays good. None while in use.
    """

    model_config = ConfigDict(title="a signer")

    name: Annotated[str, StringConstraints(max_length=MOST_NAME), AfterValidator(_name)]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    public: Annotated[str, StringConstraints(max_length=_MOST_PUBLIC), AfterValidator(_public)]
    since: Day
    until: Day | None = None
    retired: Day | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "TrustedSigner":
        if len(set(self.roles)) < len(self.roles):
            raise _fault("a role is given twice", "roles")
        for name, day in (("until", self.until), ("retired", self.retired)):
            if day is not None and day < self.since:
                raise _fault(f"`{name}` is before `since`", name)
        if self.scheme == ED25519:
            key = self.spki.removeprefix(_SPKI_ED25519)
            if len(self.spki) != len(_SPKI_ED25519) + 32 or len(key) != 32:
                raise _fault("this is no Ed25519 public key", "public")
            if (int.from_bytes(key, "little") & (2**255 - 1)) % _FIELD in _SMALL_ORDER:
                raise _fault("anybody can sign under this key: it is a point of small order", "public")
        return self

    @property
    def spki(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo (RFC 5280)."""
        return base64.b64decode(self.public)

    @property
    def keyid(self) -> str:
        """Names the key: the SHA-256 of :attr:`spki`, 64 hexadecimal digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def person(self) -> str:
        """The name in the form in which names are compared."""
        return folded(self.name)

    def fault_on(self, day: date) -> str | None:
        """Why a signature of this day (UTC) does not count; None if it does."""
        if day < self.since:
            return f"the key counts from {self.since} on, and this was signed on {day}"
        if self.retired is not None and day >= self.retired:
            return f"the key was retired on {self.retired}, and this was signed on {day}"
        if self.until is not None and day > self.until:
            return f"the key counted until {self.until}, and this was signed on {day}"
        return None


class Trust(_Part):
    """Whose signatures count.

    Attributes:
        trust: version of the file.
        thresholds: how many persons of each role a step needs; steps that are not named have :data:`DEFAULT_THRESHOLDS`.
        signers: the keys, oldest first.
    """

    model_config = ConfigDict(title="trust.yaml")

    trust: Annotated[int, PlainValidator(_version)]
    thresholds: Mapping[Command, Threshold] = {}
    signers: Annotated[tuple[TrustedSigner, ...], Field(max_length=MOST_SIGNERS)] = ()

    @model_validator(mode="after")
    def _keys_differ(self) -> "Trust":
        seen: dict[str, int] = {}
        for number, signer in enumerate(self.signers):
            first = seen.setdefault(signer.keyid, number)
            if first != number:
                raise _fault(f"this is the key of signer {first + 1} too", "signers", number, "public")
        return self

    def needs(self, command: Command) -> Mapping[Role, int]:
        """How many persons of each role must sign before a step; empty if none."""
        return self.thresholds.get(command) or DEFAULT_THRESHOLDS.get(command) or {}

    def signer(self, keyid: str) -> TrustedSigner | None:
        """Whose key this is; None if nobody's."""
        return next((one for one in self.signers if one.keyid == keyid), None)


def _fault(text: str, *at: Any) -> PydanticCustomError:
    return PydanticCustomError("fault", "{text}", {"text": text, "at": at})
