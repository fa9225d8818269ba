"""Words that a site adds to the shipped vocabularies of organs, topographies and morphologies."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.report import MORPHOLOGY, TOPOGRAPHY
from pathcurate.text.vocabulary import vocabulary
from pathcurate.yamlsource import Document, Problem, did_you_mean

Word = Annotated[str, StringConstraints(min_length=2, strip_whitespace=True)]
Words = Annotated[
    tuple[Word, ...], Field(min_length=1), BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


class SiteWords(BaseModel):
    """The content of a site's file of words.

    Attributes:
        organs: canonical organ to words that mean it.
        topographies: ICD-O-3 topography to words.
        morphologies: ICD-O-3 morphology with behaviour to words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="vocabulary")

    organs: dict[str, Words] = Field(default_factory=dict)
    topographies: dict[str, Words] = Field(default_factory=dict)
    morphologies: dict[str, Words] = Field(default_factory=dict)


def load_words(file: Path) -> Mapping[str, Mapping[str, list[str]]]:
    """Read a site's file of words.

    Args:
        file: YAML with any of ``organs``, ``topographies`` and ``morphologies``, each a mapping of codes to words.

    Returns:
        The same, without empty parts, in an order of its own: equal files are equal whatever their order.

    Raises:
        UsageError: with all problems and where they are.
    """
    document = yamlsource.load(file, str(file), UsageError)
    words = yamlsource.validate(document, SiteWords, UsageError)
    yamlsource.fail(document, list(_problems(document, words)), UsageError)
    return {
        kind: {code: sorted(set(said)) for code, said in sorted(codes.items())}
        for kind, codes in words.model_dump().items()
        if codes
    }


def _problems(document: Document, words: SiteWords) -> Iterator[Problem]:
    organs = vocabulary("organs").codes
    for code in words.organs:
        if code not in organs:
            yield document.problem(("organs", code), f"unknown organ `{code}`{did_you_mean(code, organs)}", key=True)
    for kind, pattern, example in (("topographies", TOPOGRAPHY, "C50.4"), ("morphologies", MORPHOLOGY, "8500/3")):
        for code in getattr(words, kind):
            if re.fullmatch(pattern, code, re.ASCII) is None:
                yield document.problem((kind, code), f"`{code}` is no ICD-O-3 code such as {example}", key=True)
