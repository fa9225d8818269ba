"""What somebody who wants data writes: who they are, what for, by whose approval (``application.yaml``).

It is written by outsiders: every text in it may be hostile, and no message repeats any of it.
"""

from base64 import b64decode
from datetime import date
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pathcurate.model.productfile import Contact, Day, Environment, Paper
from pathcurate.model.trust import ED25519, TrustedSigner

APPLICATION_FILE = "application.yaml"
LANGUAGE = 1
RECIPIENT = r"[a-z][a-z0-9_]{1,31}"
"""Short name of whoever applies; codes of what they get are keyed by it."""

Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"),
]
"""One line of text."""
Prose = Annotated[str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""
Disease = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9-]*:[A-Za-z0-9./-]+$", max_length=100)]
AgeKey = Annotated[str, StringConstraints(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
"""Public key of a pair for encryption (age-encryption.org/v1, X25519)."""


def _signing_key(value: str) -> str:
    # The same demands as on a key of trust.yaml: form, length, no point of small order.
    TrustedSigner(name="recipient", roles=("recipient",), scheme=ED25519, public=value, since=date.min)
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Applicant(_Part):
    """Who applies.

    Attributes:
        name: of the organisation.
        kind: of organisation.
        not_for_profit: whether it is one that makes no profit.
        country: where it is.
        uscc: its unified social credit code (GB 32100-2015), if it has one.
        contact: whom to ask.
        responsible: who answers for the project there.
    """

    name: Line
    kind: Literal["hospital", "university", "institute", "company", "government", "other"]
    not_for_profit: bool
    country: Country
    uscc: Annotated[str, StringConstraints(pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$")] | None = None
    contact: Contact
    responsible: Line


class RecipientKeys(_Part):
    """Public keys of whoever gets the data, as ``pathcurate product keys recipient`` writes them.

    Attributes:
        signing: Ed25519, base64 of a DER SubjectPublicKeyInfo: receipts and attestations are signed with its private half.
        encryption: X25519 of age: what is delivered is encrypted to it.
    """

    signing: Annotated[str, StringConstraints(max_length=1000), AfterValidator(_signing_key)]
    encryption: AgeKey

    @property
    def spki(self) -> bytes:
        """The key for signatures as DER SubjectPublicKeyInfo (RFC 5280)."""
        return b64decode(self.signing)

    @property
    def keyid(self) -> str:
        """Names the key for signatures: the SHA-256 of :attr:`spki`, 64 hexadecimal digits."""
        return sha256(self.spki).hexdigest()


class Project(_Part):
    """What it is for, in words.

    Attributes:
        title: of the project.
        summary: what is to be done with the data.
        outputs: what is to come of it.
    """

    title: Line
    summary: Prose
    outputs: Prose | None = None


class Use(_Part):
    """What the data is to be used for, so that it can be compared with what its policy allows. Everything is said; nothing
    is taken for granted.

    Attributes:
        purpose: one term of the Data Use Ontology that says what kind of use it is: DUO_0000042 (general research),
            DUO_0000006 (health, medical or biomedical research), DUO_0000007 (research on the diseases named) or
            DUO_0000011 (population origins or ancestry).
        diseases: that it is about, as codes such as ``MONDO:0005233``.
        commercial: whether it is for commercial use.
        methods: whether methods are to be developed, such as models.
        trains_models: whether models are to be trained on it.
        ancestry: whether ancestry is studied.
        genetic: whether it is genetic research.
        clinical_care: whether it is for the care of patients.
        publishes: whether results will be published.
        collaborates: whether the holder takes part.
        returns_data: whether derived data comes back.
        reports_use: whether the holder will be told what it was used for.
        gives_on: whether others than the applicant will get it.
        exports_raw_images: whether images are to leave the environment.
        leaves_country: whether it is to be taken or seen abroad.
    """

    purpose: Literal["DUO_0000042", "DUO_0000006", "DUO_0000007", "DUO_0000011"]
    diseases: tuple[Disease, ...] = ()
    commercial: bool
    methods: bool
    trains_models: bool
    ancestry: bool
    genetic: bool
    clinical_care: bool
    publishes: bool
    collaborates: bool
    returns_data: bool
    reports_use: bool
    gives_on: bool
    exports_raw_images: bool
    leaves_country: bool


class Period(_Part):
    """First and last day of the use."""

    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError("`last` must not be before `first`")
        return self


class Application(_Part):
    """An application for one release.

    Attributes:
        application: version of this form.
        recipient: short name of the applicant, the same in every application of theirs; what they get has codes of their own
            that are keyed by it.
        applicant: see :class:`Applicant`.
        project: see :class:`Project`.
        use: see :class:`Use`.
        ethics: approval of the applicant's ethics committee.
        environment: where the data will be: see :data:`~pathcurate.model.productfile.Environment`.
        safeguards: how it is kept safe there, in words.
        period: see :class:`Period`.
        keys: see :class:`RecipientKeys`.
    """

    model_config = ConfigDict(title="application")

    application: Literal[1]
    recipient: Annotated[str, StringConstraints(pattern=f"^{RECIPIENT}$")]
    applicant: Applicant
    project: Project
    use: Use
    ethics: Paper | None = None
    environment: Environment
    safeguards: Prose | None = None
    period: Period
    keys: Annotated[RecipientKeys, Field(description="public keys")]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, without what is not said."""
        return self.model_dump(mode="json", exclude_none=True)
