"""Whether a use that somebody applies for is one that a policy allows: yes, no, or a person must say."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Answer(StrEnum):
    """What comparing terms can say."""

    YES = "yes"
    NO = "no"
    PERSON = "needs a person"


ANSWER_ZH = {Answer.YES: "符合", Answer.NO: "不符合", Answer.PERSON: "需人工判断"}


@dataclass(frozen=True, slots=True)
class TermMatch:
    """One thing that a policy says, and whether the use agrees with it.

    Attributes:
        term: code of the Data Use Ontology, or key of the product file such as ``forbidden: distribute``.
        label: of the term, in English; it is the table's, never the applicant's.
        zh: the same in Chinese.
        answer: whether the use agrees.
        why: a clause, which quotes nothing of the application but its codes.
    """

    term: str
    label: str
    zh: str
    answer: Answer
    why: str

    def as_dict(self) -> dict[str, str]:
        """As plain JSON values."""
        return {"term": self.term, "label": self.label, "zh": self.zh, "answer": str(self.answer), "why": self.why}


@dataclass(frozen=True, slots=True)
class UseMatch:
    """What came of comparing.

    Attributes:
        terms: everything that was compared.
    """

    terms: Sequence[TermMatch]

    @property
    def answer(self) -> Answer:
        """No if any part says no, else a person if any part needs one."""
        answers = {term.answer for term in self.terms}
        return next((one for one in (Answer.NO, Answer.PERSON) if one in answers), Answer.YES)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"answer": str(self.answer), "terms": [term.as_dict() for term in self.terms]}
