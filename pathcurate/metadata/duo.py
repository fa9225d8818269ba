"""The Data Use Ontology: what its terms are called, and what they mean for a policy (``duo.yaml``)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.productfile import Duo

_FILE = Path(__file__).parent / "duo.yaml"
_Words = Annotated[str, Field(min_length=1)]
_Term = Annotated[str, Field(pattern=r"^((odrl|pc):[A-Za-z]+|http://purl\.obolibrary\.org/obo/DUO_[0-9]{7})$")]


class DuoTerm(BaseModel):
    """A term.

    Attributes:
        short: its abbreviation.
        kind: whether it says what the data may be used for, or limits or widens that.
        en: its label.
        zh: a translation of it.
        allows: whether it is one of the purposes that are allowed.
        limits: operand and value that a use must have besides.
        forbids: an action that is prohibited.
        duty: an action that is asked for.
        needs: what the product file must say for the term to say anything.
        unsaid: what it would need that a product file cannot say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    short: _Words
    kind: Literal["permission", "modifier"]
    en: _Words
    zh: _Words
    allows: Annotated[bool, Strict()] = False
    limits: Mapping[_Term, _Term] = Field(default_factory=dict)
    forbids: _Term | None = None
    duty: _Term | None = None
    needs: Literal["diseases", "valid_until", "cross_border_transfer"] | None = None
    unsaid: _Words | None = None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: _Words
    verified: Annotated[bool, Strict()]
    terms: Mapping[Duo, DuoTerm]


@cache
def duo_terms() -> Mapping[str, DuoTerm]:
    """Every term that a data set can carry, by code; the ontology's two headings are none of them."""
    return yamlsource.validate(yamlsource.load(_FILE, _FILE.name, UsageError), _Table, UsageError).terms
