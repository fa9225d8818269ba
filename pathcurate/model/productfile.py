"""What people say of a product that its rows cannot tell: ``products/NAME.yaml``, one file for all versions of a product.

It goes out as ``product.yaml`` with every release, and all that is written beside the data (Croissant, DCAT, ODRL, ODCS, the
registration dossier, the datasheet) is filled from it. What is not said stays unsaid there too: nothing is made up.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    model_validator,
)

PRODUCT_FILE = "product.yaml"
"""Where a release holds it."""


def _date(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _refuse()
    except ValueError:
        return _refuse()


def _refuse() -> date:
    raise ValueError("must be a date such as 2026-11-20")


def _number(value: str) -> str:
    if not value.replace(".", "", 1).isdecimal():
        raise ValueError("must be an amount such as 1.50")
    return value


def _iri(value: str) -> str:
    """An address whose host and port can be read; of a URN the pattern says all."""
    if not value.startswith("urn:"):
        try:
            AnyUrl(value)
        except ValueError:
            raise ValueError("must be an address such as https://hospital.example/data") from None
    return value


Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000, strip_whitespace=True)]
Day = Annotated[date, PlainValidator(_date), PlainSerializer(str)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Iri = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https?://([A-Za-z0-9._~!$&'()*+,;=:%-]*@)?[^\s\x00-\x1f\x7f\"<>\\^`{|}/?#@]+([/?#][^\s\"<>\\^`{|}]*)?"
        r"|urn:[a-z0-9][a-z0-9-]{0,31}:[^\s\"<>\\^`{|}]+)$"
    ),
    AfterValidator(_iri),
]
Amount = Annotated[str, AfterValidator(_number)]
Duo = Annotated[str, StringConstraints(pattern=r"^DUO_[0-9]{7}$")]

Environment = Literal["file", "tre", "api", "sealed"]
"""How a buyer meets the data: as files, in a trusted research environment, through an interface, or not at all (sealed)."""
Forbidden = Literal[
    "reidentify", "export_raw_image", "cross_border_transfer", "distribute", "commercial_use", "train_models"
]
Frequency = Literal["once", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"]
Source = Literal["original", "collected", "traded", "other"]
"""How the holder came by the data: 原始取得, 收集取得, 交易取得, 其他."""
Right = Literal["hold", "use", "operate"]
"""Rights in data: 数据持有权, 数据使用权, 数据经营权."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(_Part):
    """A text in Chinese and in English; one of them may be missing."""

    zh: Words | None = None
    en: Words | None = None

    def either(self, language: Literal["zh", "en"]) -> str:
        """The text in this language, else in the other, else nothing."""
        first, second = (self.zh, self.en) if language == "zh" else (self.en, self.zh)
        return first or second or ""


class Organisation(_Part):
    """Who holds the data.

    Attributes:
        name: of the organisation.
        uscc: its unified social credit code (GB 32100-2015), 18 characters.
        kind: of organisation, such as 事业单位.
        url: its page.
    """

    name: Bilingual
    uscc: Annotated[str, StringConstraints(pattern=r"^[0-9A-HJ-NPQRTUWXY]{18}$")] | None = None
    kind: Words | None = None
    url: Iri | None = None


class Contact(_Part):
    """Whom to ask; a role's address rather than a person's."""

    name: Words
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s<>\"]+@[^@\s<>\"]+$")] | None = None
    phone: Words | None = None
    url: Iri | None = None


class Paper(_Part):
    """A document that something rests on, by number and digest; the document itself stays where it is.

    Attributes:
        number: of the document.
        issued_by: who gave it.
        date: when.
        valid_until: its last day, None if it does not end.
        sha256: of the file.
        says: its conclusion, in a sentence.
    """

    number: Words | None = None
    issued_by: Words | None = None
    date: Day | None = None
    valid_until: Day | None = None
    sha256: Sha256 | None = None
    says: Words | None = None


class Evidence(_Part):
    """What the product rests on.

    Attributes:
        ethics: approval of the ethics committee.
        impact_assessment: of the protection of personal information (PIPL, article 55).
        risk_assessment: of the data's safety.
        legal_basis: why the data may be processed, as words such as 知情同意.
        authorisation: to operate public data.
        certificate: of a registration, with its number.
        notarisation: of a deposit of the digest (存证, 公证).
    """

    ethics: Paper | None = None
    impact_assessment: Paper | None = None
    risk_assessment: Paper | None = None
    legal_basis: tuple[Words, ...] = ()
    authorisation: Paper | None = None
    certificate: Paper | None = None
    notarisation: Paper | None = None


class Price(_Part):
    """What it costs: ``amount`` (decimal, as text) of ``currency`` (ISO 4217) per ``unit``."""

    amount: Amount
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    unit: Literal["slide", "case", "patient", "series", "release", "month", "query"]


class Policy(_Part):
    """What a buyer may do.

    Attributes:
        duo: Data Use Ontology terms that hold together; permissions and their modifiers.
        diseases: MONDO, ICD-O or ICD-10 codes that DUO_0000007 is limited to, such as ``MONDO:0005233``.
        environment: see :data:`Environment`.
        forbidden: what is not allowed, see :data:`Forbidden`.
        valid_until: last day of use.
        attribution: words to cite.
        report_use: whether users must tell what they used it for.
    """

    duo: tuple[Duo, ...] = ()
    diseases: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9-]*:[A-Za-z0-9./-]+$")], ...] = ()
    environment: Environment = "tre"
    forbidden: tuple[Forbidden, ...] = ("reidentify", "export_raw_image", "cross_border_transfer", "distribute")
    valid_until: Day | None = None
    attribution: Words | None = None
    report_use: bool = False


class Declarations(_Part):
    """What the holder declares; nothing of it can be computed. None: not declared.

    Attributes:
        personal_information: 是否涉及个人信息.
        sensitive: 是否涉及敏感个人信息.
        important_data: 是否涉及重要数据.
        genetic_resources: 是否涉及人类遗传资源信息.
        cross_border: 是否出境.
    """

    personal_information: bool | None = None
    sensitive: bool | None = None
    important_data: bool | None = None
    genetic_resources: bool | None = None
    cross_border: bool | None = None


class SampleRows(_Part):
    """What is shown as an example, and who allowed that; without it nothing is.

    Attributes:
        rows: of each table.
        thumbnails: small pictures of slides on the page; never of labels, but a glass may have been written on.
        approved_by: who answers for it, and looks at the page before the release is registered.
    """

    rows: Annotated[int, Field(ge=1, le=100)]
    thumbnails: Annotated[int, Field(ge=0, le=24)] = 0
    approved_by: Words


class Years(_Part):
    """First and last year of what a product holds: dates of a release are moved, so its tables cannot tell."""

    first: Annotated[int, Field(ge=1900, le=2100)]
    last: Annotated[int, Field(ge=1900, le=2100)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError("`last` must not be before `first`")
        return self


class ProductFile(_Part):
    """A product, as its holder describes it.

    Attributes:
        product: version of this form.
        name: of the product; the recipe's name.
        title: for people; without it the recipe's.
        description: what it is and what it is for.
        keywords: for search.
        scenarios: uses that it is meant for (应用场景).
        limits: on its use, in words (使用限制).
        limitations: what it is not good for, and known biases.
        holder: who holds the data and registers it.
        contact: whom to ask.
        published: day of publication; without it the day of the newest input.
        updated: how often new versions come.
        covers: years that the data is of.
        region: that the data is from, such as 浙江省/宁波市.
        industry: code and name by GB/T 4754, such as ``Q 卫生和社会工作``.
        source: see :data:`Source`.
        rights: that are registered.
        declarations: see :class:`Declarations`.
        policy: see :class:`Policy`.
        evidence: see :class:`Evidence`.
        price: see :class:`Price`.
        sample: see :class:`SampleRows`.
        security_level: of the data (GB/T 39725-2020), 1 to 5.
        retention_until: until when the product is kept and answered for.
        landing_page: of the product.
        identifier: that a registry gave it; it is never made up here.
    """

    model_config = ConfigDict(title="product")

    product: Literal[1]
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
    title: Bilingual = Bilingual()
    description: Bilingual = Bilingual()
    keywords: Mapping[Literal["zh", "en"], tuple[Words, ...]] = Field(default_factory=dict)
    scenarios: Bilingual = Bilingual()
    limits: Bilingual = Bilingual()
    limitations: Bilingual = Bilingual()
    holder: Organisation | None = None
    contact: Contact | None = None
    published: Day | None = None
    updated: Frequency | None = None
    covers: Years | None = None
    region: Words | None = None
    industry: Words | None = None
    source: Source | None = None
    rights: tuple[Right, ...] = ()
    declarations: Declarations = Declarations()
    policy: Policy = Policy()
    evidence: Evidence = Evidence()
    price: Price | None = None
    sample: SampleRows | None = None
    security_level: Annotated[int, Field(ge=1, le=5)] | None = None
    retention_until: Day | None = None
    landing_page: Iri | None = None
    identifier: Words | None = None

    def as_dict(self) -> dict[str, Any]:
        """What the file says, as plain JSON values, without what it does not say."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True) | {
            "product": self.product, "name": self.name,
        }  # fmt: skip
