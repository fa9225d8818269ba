"""What a released table tells about people: its equivalence classes, the risk that follows, and what was done about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, Strict, StringConstraints

from pathcurate.model.column import Identifying, Table, Type

EVALUATION_PATH = "quality/deid-evaluation.json"
CHART_PATH = "quality/deid-evaluation.svg"
SHARINGS = ("public", "agreement", "enclave")
Sharing = Literal["public", "agreement", "enclave"]

_EDGES = (1, 2, 3, 5, 10, 20, 50, 100, 500)


def _fraction(value: object) -> Fraction:
    """A share as a person writes it, ``1/20`` or 0.05; kept exact, because a class of 20 must not miss 1/20 by rounding."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a share such as 1/20 or 0.05")
    try:
        share = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("must be a share such as 1/20 or 0.05") from None
    if not 0 < share <= 1:
        raise ValueError("must be more than 0 and at most 1")
    return share


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Share = Annotated[Fraction, PlainValidator(_fraction), PlainSerializer(str)]
_Words = Annotated[str, StringConstraints(min_length=1)]


class Context(_Part):
    """How likely somebody tries at all; the greatest of these counts."""

    deliberate: _Share
    inadvertent: _Share
    breach: _Share


class Mode(_Part):
    """What is asked of one way of sharing.

    Attributes:
        title: for people.
        tau: the greatest risk that a class may have, 1 / persons.
        measure: whose risk is that of the whole: the class with the highest, or their mean.
        context: see :class:`Context`.
    """

    title: _Words
    tau: _Share
    measure: Literal["highest", "mean"]
    context: Context


class Fact(_Part):
    """What a clause says, in our words."""

    clause: _Words
    says: _Words


class Standard(_Part):
    """A standard by which the risk is judged, as a file holds it.

    Attributes:
        standard: its number.
        title: its title.
        source: where these facts are from.
        verified: whether somebody compared them with the text of the standard.
        levels: what each level of identifiability means.
        sharing: by way of sharing.
        facts: the clauses that the figures rest on.
    """

    model_config = ConfigDict(title="standard")

    standard: _Words
    title: _Words
    source: _Words
    verified: Annotated[bool, Strict()]
    levels: dict[Literal["1", "2", "3", "4"], _Words]
    sharing: Annotated[dict[Sharing, Mode], Field(min_length=len(SHARINGS))]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Classes of about the same size.

    Attributes:
        least: persons in the smallest that belongs here.
        most: persons in the largest, None without an end.
        classes: how many there are.
        persons: persons of whom they hold rows; one who is in several classes counts in each.
    """

    least: int
    most: int | None
    classes: int
    persons: int

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least}+"
        return str(self.least) if self.least == self.most else f"{self.least}–{self.most}"


@dataclass(frozen=True, slots=True)
class Diversity:
    """How many values of a sensitive column the classes hold.

    Attributes:
        column: its name.
        least: distinct values in the class that has the fewest (distinct l-diversity, Machanavajjhala 2007, section 4); a
            missing value is one of its own.
        alike: persons in classes of one value, about whom whoever knows the class knows the value.
    """

    column: str
    least: int
    alike: int


@dataclass(frozen=True, slots=True)
class Risk:
    """The risk of one way of sharing.

    Attributes:
        sharing: ``public``, ``agreement`` or ``enclave``.
        tau: the greatest risk that a class may have.
        over: share of the classes whose risk is greater (R_a).
        overall: R: 1 if there is any such class, else the measured risk times the likelihood of the context.
        level: of identifiability: 3 if no class is over the threshold, else 2. A table of rows never has level 4.
    """

    sharing: str
    tau: float
    over: float
    overall: float
    level: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be counted.

    Attributes:
        quasi: quasi-identifiers in the table, by which rows are alike.
        rows: rows of the table.
        persons: persons of whom it holds rows; all rows whose person is not known count as one person's.
        classes: combinations of values.
        k: persons in the smallest class, 0 for a table without rows.
        sizes: classes by size.
        highest: risk of the smallest class, 1 / k: of somebody known to be in the table (prosecutor), and of whoever is
            easiest to find (journalist).
        mean: mean risk of the classes, by which R is measured except for publication.
        expected: share of the persons that somebody finds who looks for all of them (marketer).
        alone: persons whose set of classes is nobody else's: who knows several rows of theirs, and sees that they belong
            together, can tell them apart although each row is like those of others.
        diversity: by sensitive column.
        risks: by way of sharing.
    """

    quasi: tuple[str, ...]
    rows: int
    persons: int
    classes: int
    k: int
    sizes: tuple[Bin, ...]
    highest: float
    mean: float
    expected: float
    alone: int
    diversity: tuple[Diversity, ...]
    risks: tuple[Risk, ...]


def quasi_identifiers(table: Table) -> list[str]:
    """The columns by which somebody can look for a person: the declared ones without days.

    Days of a release are moved by a secret offset of each patient. They say nothing to whoever knows the true ones, but for
    the time between two of them.
    """
    return [
        column.name for column in table.columns if column.identifying is Identifying.QUASI and column.type is not Type.DATE
    ]


def moved_days(table: Table) -> list[str]:
    """The columns of days."""
    return [column.name for column in table.columns if column.type is Type.DATE]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of a release.

    Attributes:
        figures: of what goes out.
        profile: name of the profile.
        profile_digest: its digest.
        sharing: for whom the profile is.
        k_required: the profile's least persons in a class, None for no limit.
        steps: what was made coarser to reach it.
        suppressed_rows: rows that were left out to reach it.
        suppressed_persons: persons whose rows these are; some may have other rows in the table.
        has_texts: whether texts go out too.
        moved: columns of days, which are moved by an offset that nobody knows.
        text_names: what stands for a name in texts, ``tag`` or ``surrogate``.
        text_dates: what stands for a date there: ``shift`` for a moved one, ``drop`` for a tag.
        incomplete_reports: reports of which a text is left out, although texts go out: it was withheld, or not scrubbed.
    """

    figures: Figures
    profile: str
    profile_digest: str
    sharing: str
    k_required: int | None
    steps: tuple[str, ...]
    suppressed_rows: int
    suppressed_persons: int
    has_texts: bool
    moved: tuple[str, ...] = ()
    incomplete_reports: int = 0
    text_names: str = "tag"
    text_dates: str = "shift"

    @property
    def risk(self) -> Risk:
        """The risk of the profile's own way of sharing; of publication, the worst, if it is for nobody outside."""
        wanted = self.sharing if self.sharing in SHARINGS else "public"
        return next(risk for risk in self.figures.risks if risk.sharing == wanted)

    @property
    def persons_below(self) -> int:
        """Persons in classes that are smaller than required, at most; 0 without a requirement."""
        below = [bin_ for bin_ in self.figures.sizes if bin_.least < (self.k_required or 0)]
        return sum(bin_.persons for bin_ in below)

    def manifest(self) -> dict[str, Any]:
        """What ``MANIFEST.json`` says of it."""
        return {
            "profile": self.profile, "scenario": self.sharing, "k_required": self.k_required, "k_min": self.figures.k,
            "gbt42460_level": self.risk.level,
        }  # fmt: skip

    def words(self) -> Iterator[str]:
        """The evaluation for people, a sentence each."""
        figures, risk = self.figures, self.risk
        yield f"Quasi-identifiers in the table: {', '.join(figures.quasi) or 'none'}."
        if self.moved:
            yield (
                f"Days are moved by a secret offset of each patient ({', '.join(self.moved)}), so nobody can look for one "
                "and they are not counted; the time between two days of a patient is true."
            )
        asked = f"; profile {self.profile} asks for at least {self.k_required}" if self.k_required is not None else ""
        least = _counted(figures.k, "person")
        yield f"Each combination of their values is that of at least {least} (k = {figures.k}){asked}."
        yield (
            f"Somebody who knows these values of a person picks the right one with a chance of at most "
            f"{percent(figures.highest)}; somebody who looks for everybody finds {percent(figures.expected)} of them."
        )
        if figures.alone and figures.k > 1:
            persons = _counted(figures.alone, "person")
            yield f"All rows of a person taken together, {persons} can be told apart by whoever knows several of them."
        if self.suppressed_rows:
            rows, persons = _counted(self.suppressed_rows, "row"), _counted(self.suppressed_persons, "person")
            yield f"Left out to reach that: {rows} of {persons}."
        for told in figures.diversity:
            if told.alike:
                yield f"Of {_counted(told.alike, 'person')} {told.column} is that of everybody in the class."
        if self.sharing not in SHARINGS:
            yield f"The profile is for use inside the hospital; level {risk.level} is that of publication, the worst case."
        if self.has_texts:
            yield "What texts say of age, dates or places is not counted here."
        if self.incomplete_reports:
            yield (
                f"Of {_counted(self.incomplete_reports, 'report')} a text is left out: something in it may still identify "
                "somebody, or it could not be scrubbed."
            )
        yield (
            "The data is de-identified (去标识化): whoever holds the vault can lead the codes back, and nobody may try "
            "without it."
        )

    def as_dict(self, standard: Standard, content_digest: str) -> dict[str, Any]:
        """As plain JSON values, with the facts that the judgement rests on."""
        content = asdict(self)
        return {
            **content, "content_digest": content_digest, "risk": asdict(self.risk), "words": list(self.words()),
            "standard": standard.model_dump(mode="json"),
        }  # fmt: skip


def size_bins(counts: Mapping[int, int], k: int | None) -> tuple[Bin, ...]:
    """Classes by size, up to the largest; one bin begins where classes are large enough.

    Args:
        counts: size of a class, in persons, to how many classes have it.
        k: least size that is required.
    """
    edges = sorted({*_EDGES, *((k,) if k else ())})
    used = [least for least in edges if least <= max(counts, default=0)]
    ends = [*(least - 1 for least in edges[1:]), None]
    return tuple(_bin(counts, least, most) for least, most in zip(used, ends, strict=False))


def _bin(counts: Mapping[int, int], least: int, most: int | None) -> Bin:
    held = {size: n for size, n in counts.items() if least <= size and (most is None or size <= most)}
    return Bin(least, most, sum(held.values()), sum(size * n for size, n in held.items()))


def judged(sizes: Sequence[tuple[int, int]], standard: Standard) -> tuple[Risk, ...]:
    """The risk by each way of sharing (GB/T 42460-2023, annex D, as the standard's file gives it).

    Args:
        sizes: size of a class, in persons, and how many classes have it.
        standard: thresholds and likelihoods.
    """
    total = sum(n for _, n in sizes)
    risks = []
    for sharing, mode in standard.sharing.items():
        over = Fraction(sum(n for size, n in sizes if Fraction(1, size) > mode.tau), total or 1)
        context = mode.context
        likely = max(context.deliberate, context.inadvertent, context.breach)
        measured = highest_risk(sizes) if mode.measure == "highest" else mean_risk(sizes)
        overall = 1.0 if over else float(measured * likely)
        risks.append(Risk(sharing, float(mode.tau), float(over), overall, 2 if over else 3))
    return tuple(risks)


def highest_risk(sizes: Sequence[tuple[int, int]]) -> Fraction:
    """Risk of the smallest class, 0 without any."""
    return max((Fraction(1, size) for size, _ in sizes), default=Fraction(0))


def mean_risk(sizes: Sequence[tuple[int, int]]) -> Fraction:
    """Mean risk of the classes, 0 without any."""
    total = sum(n for _, n in sizes)
    return sum((Fraction(n, size) for size, n in sizes), Fraction(0)) / (total or 1)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(share: float) -> str:
    """A share in percent with three digits."""
    return f"{100 * share:.3g} %"
