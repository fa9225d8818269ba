"""A concept: something that a text may say, as patterns that an analyst writes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Section = Literal["gross", "microscopy", "diagnosis", "ihc", "molecular", "frozen", "clinical", "comment"]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"`{value}` is given twice")
    return values


_OnlyOnce = AfterValidator(_unique)
_UNIQUE = Field(json_schema_extra={"uniqueItems": True})


class Concept(BaseModel):
    """Patterns (RE2) of which any may stand in a report. Case, full width and half width are the same to them.

    Attributes:
        any: a place that one of them matches is a mention.
        unless: a mention that shares a character with a match of one of these is none.
        sections: mentions elsewhere are none; empty for all sections.
        assertion: which mentions count in a criterion.
        lang: reports in another language are not searched; empty for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="concept", json_schema_extra=lambda schema: schema.update(
        description="Patterns (RE2) of which any may stand in a report."
    ))  # fmt: skip

    any: Annotated[tuple[Pattern, ...], Field(min_length=1), _UNIQUE, _OnlyOnce]
    unless: Annotated[tuple[Pattern, ...], _UNIQUE, _OnlyOnce] = ()
    sections: Annotated[tuple[Section, ...], _UNIQUE, _OnlyOnce] = ()
    assertion: Literal["affirmed", "negated", "possible", "any"] = "affirmed"
    lang: Annotated[tuple[Literal["en", "zh"], ...], _UNIQUE, _OnlyOnce] = ()
