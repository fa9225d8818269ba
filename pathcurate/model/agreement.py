"""What holder and recipient agree upon: terms of a contract for one release, bound to its digest (``agreement.json``)."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pathcurate.model.application import RECIPIENT, Applicant, Disease, Line, Period, RecipientKeys
from pathcurate.model.manifest import SEMANTIC_VERSION
from pathcurate.model.productfile import Day, Duo, Environment, Forbidden, Price
from pathcurate.model.trust import TrustedSigner

AGREEMENT_FILE = "agreement.json"
AGREEMENT_POLICY = "policy.odrl.jsonld"
AGREEMENT_SCHEMA: Final = "https://pathcurate.example/schema/agreement/1"
CONTRACT_ID = r"[a-z0-9_]{1,64}-[a-z0-9_]{2,32}-[0-9a-f]{8}"
"""Product, recipient, and 8 digits of the digest of release and application."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Agreement(_Part):
    """The terms of a contract.

    Attributes:
        schema_: which form this is.
        contract: its id, see :data:`CONTRACT_ID`.
        number: that the parties gave it.
        product: name of the product.
        version: of the release.
        release_digest: of the release; the contract is for nothing else.
        urn: of the release.
        title: of the release.
        holder: who gives the data; the name only.
        recipient: short name of who gets it, by which its codes are keyed.
        party: who gets it.
        purpose: term of the Data Use Ontology, see :class:`~pathcurate.model.application.Use`.
        diseases: that the use is limited to; none: no such limit.
        duo: terms of the release's policy, which go on to hold.
        forbidden: see :data:`~pathcurate.model.productfile.Forbidden`.
        environment: where the data will be.
        period: first and last day of the use.
        price: None for nothing.
        deletion_days: within so many days after a withdrawal, what it names is deleted and that is attested.
        policy_sha256: of the ODRL Agreement beside it.
        application_sha256: of the application that was approved.
        signed_on: the day.
        keys: of who gets it.
        holder_keys: whose signatures on deliveries and withdrawals the recipient is to trust.
    """

    model_config = ConfigDict(title="agreement", populate_by_name=True)

    schema_: Annotated[Literal["https://pathcurate.example/schema/agreement/1"], Field(alias="schema")] = AGREEMENT_SCHEMA
    contract: Annotated[str, StringConstraints(pattern=f"^{CONTRACT_ID}$")]
    number: Line
    product: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=SEMANTIC_VERSION)]
    release_digest: Digest
    urn: Line
    title: str
    holder: str
    recipient: Annotated[str, StringConstraints(pattern=f"^{RECIPIENT}$")]
    party: Applicant
    purpose: Duo
    diseases: tuple[Disease, ...] = ()
    duo: tuple[Duo, ...]
    forbidden: tuple[Forbidden, ...]
    environment: Environment
    period: Period
    price: Price | None
    deletion_days: Annotated[int, Field(strict=True, ge=1, le=3650)]
    policy_sha256: Digest
    application_sha256: Digest
    signed_on: Day
    keys: RecipientKeys
    holder_keys: Annotated[tuple[TrustedSigner, ...], Field(min_length=1)]

    def as_dict(self) -> Mapping[str, Any]:
        """As plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)
