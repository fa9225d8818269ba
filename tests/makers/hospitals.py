"""A hospital of four sites as rows of catalog tables, with planted errors and the answers: which slide is of which case."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pathcurate.demo.cases import id_check_digit

Row = dict[str, Any]
SITES = ("NB01", "NB02", "NB03", "NB04")
ODD_PATTERNS = (
    r"(?P<prefix>P)(?P<year>\d{2})\.(?P<number>\d{5})(?:-(?P<specimen>[A-Z])(?P<block>\d{1,3}))?",
    r"(?P<prefix>H)(?P<year>\d{2})-(?P<number>\d{5})(?:-(?P<specimen>[A-Z])(?P<block>\d{1,3}))?",
)
"""Numbers of the last site and of its senders; the patterns that a workspace has by itself do not read the former."""
INDEXED, GLASS = "NB02", "NB03"
"""The site whose scanner has a table, and the one whose laboratory system has one of its glass, with opaque barcodes."""
_ORGANS = ("breast", "lung", "stomach", "colon", "thyroid")


@dataclass(frozen=True, slots=True)
class Person:
    """A person: who it is, and the numbers by site."""

    key: int
    name: str
    sex: str
    born: date
    card: str
    numbers: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """A case: ``number`` as its site counts, ``patient`` the number on its reports, which two people may use."""

    site: str
    number: int
    person: Person
    patient: str
    received: datetime
    has_card: bool
    external: str | None

    @property
    def accession(self) -> str:
        """The number in normal form."""
        return f"{'P' if self.site == SITES[3] else 'S'}24-{self.number}"


@dataclass(slots=True)
class Glass:
    """A slide: its case, and for each source the number (of a case of its site) that it was made to bear.

    ``name`` and ``barcode`` are the digits as they stand there, None for none; ``patient`` is the number in the header;
    ``planted`` names its errors.
    """

    key: str
    case: Case
    part: str
    frozen: bool
    name: str | None
    barcode: str | None
    patient: str | None
    scanned: datetime
    planted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Hospital:
    """Rows by table, and the answers.

    Attributes:
        reports, slides, materials, scanner_index: rows of these tables; dates on reports may be wrong.
        merges: statements of a merge list that comes later.
        glass: every slide by its identifier.
        persons: everybody.
        merged: numbers of one person that only the merge list joins: site, number, other number.
        used_by_two: numbers that two people use: site, number.
    """

    reports: list[Row]
    slides: list[Row]
    materials: list[Row]
    scanner_index: list[Row]
    merges: list[Row]
    glass: dict[str, Glass]
    persons: list[Person]
    merged: list[tuple[str, str, str]]
    used_by_two: set[tuple[str, str]]

    @property
    def cases(self) -> dict[tuple[str, str], Case]:
        """Every case by site and number."""
        return {(one.case.site, one.case.accession): one.case for one in self.glass.values()}


def draw(seed: int, cases: int = 150) -> Hospital:
    """A hospital with so many cases at each site, about three slides each; the same seed gives the same hospital."""
    return _Drawing(random.Random(seed), cases).hospital()


class _Drawing:
    def __init__(self, rng: random.Random, cases: int) -> None:
        self._rng = rng
        self._cases = cases
        self._counted = dict.fromkeys(SITES, 0)
        self.persons: list[Person] = []
        self.merged: list[tuple[str, str, str]] = []
        self.used_by_two: set[tuple[str, str]] = set()

    def hospital(self) -> Hospital:
        rng = self._rng
        glass: list[Glass] = []
        reports: list[Row] = []
        for site in SITES:
            mine = self._site_cases(site)
            for case in mine:
                has_frozen = rng.random() < 0.2
                reports += self._reports(case, has_frozen)
                glass += self._slides(case, has_frozen)
            self._swap([one for one in glass if one.case.site == site])
        slides = [_slide_row(one) for one in glass]
        return Hospital(
            reports, slides, self._materials(glass), self._index(glass), self._merges(), {one.key: one for one in glass},
            self.persons, self.merged, self.used_by_two,
        )  # fmt: skip

    # --- People and cases ---

    def _person(self) -> Person:
        key = len(self.persons)
        born = date(1930, 1, 1) + timedelta(days=self._rng.randrange(25_000))
        digits = f"330200{born:%Y%m%d}{key:03d}"
        one = Person(
            key, f"{self._rng.choice('王李张刘陈')}{chr(0x4E00 + key)}", self._rng.choice(("female", "male")), born,
            digits + id_check_digit(digits), {},
        )  # fmt: skip
        self.persons.append(one)
        return one

    def _number(self, person: Person, site: str) -> None:
        # The same numbers at every site, each of another person.
        self._counted[site] += 1
        person.numbers.setdefault(site, []).append(f"{self._counted[site]:08d}")

    def _site_cases(self, site: str) -> list[Case]:
        rng = self._rng
        before = list(self.persons)
        people = [self._person() for _ in range(self._cases // 2)]
        carded, listed, lenders, borrowers = people[:4], people[4:8], people[8:11], people[11:14]
        people += rng.sample(before, min(10, len(before)))
        for person in people:
            for _ in range(3 if person in carded else 2 if person in listed else 1):
                self._number(person, site)
        self.merged += [(site, person.numbers[site][0], person.numbers[site][1]) for person in listed]
        for lent, borrower in zip(lenders, borrowers, strict=True):
            self.used_by_two.add((site, lent.numbers[site][0]))
            borrower.numbers[site] = lent.numbers[site]
        patients = carded * 3 + (listed + lenders + borrowers) * 2
        patients += rng.choices(people, k=self._cases - len(patients))
        made: list[Case] = []
        for number, person in enumerate(patients, 1):
            # All of a person's numbers occur. Who has only a merge list to join them shows no card.
            numbers = person.numbers[site]
            patient = numbers[sum(one.person is person for one in made) % len(numbers)]
            has_card = person in carded or (person not in listed and rng.random() < 0.85)
            received = datetime(2024, 1, 1, 9) + timedelta(days=rng.randrange(330))
            external = f"H23-{number:05d}" if rng.random() < 0.05 else None
            made.append(Case(site, number, person, patient, received, has_card, external))
        return made

    def _reports(self, case: Case, has_frozen: bool) -> Iterable[Row]:
        rng = self._rng
        wrong = timedelta(days=rng.choice((-300, -31, -3, 7, 100))) if rng.random() < 0.05 else timedelta()
        key = f"R-{case.site}-{case.number:05d}"
        common = {
            "site": case.site, "accession": case.accession, "patient_id": case.patient, "patient_name": case.person.name,
            "sex": case.person.sex, "birth_date": case.person.born, "id_number": case.person.card if case.has_card else None,
            "accession_external": case.external, "organ": rng.choice(_ORGANS), "received_date": case.received + wrong,
            "reported_date": case.received + timedelta(days=4), "status": "final", "is_current": True, "source_row": 1,
        }  # fmt: skip
        yield {**common, "report_id": key, "report_type": "primary"}
        if has_frozen:
            yield {**common, "report_id": f"{key}-F", "report_type": "frozen", "reported_date": case.received}
        if rng.random() < 0.1:
            unsaid = {"patient_id": None, "patient_name": None, "id_number": None, "birth_date": None, "sex": None}
            yield {**common, **unsaid, "report_id": f"{key}-S", "report_type": "supplementary"}

    # --- Slides ---

    def _slides(self, case: Case, has_frozen: bool) -> Iterable[Glass]:
        rng = self._rng
        for place in range(rng.choice((2, 3, 3, 4))):
            one = Glass(
                f"S-{case.site}-{case.number:05d}-{place}", case, f"A{place + 1}", has_frozen and place == 0,
                f"{case.number:05d}", f"{case.number:05d}" if case.site != SITES[0] else None,
                case.patient if rng.random() < 0.6 else None, case.received + timedelta(days=rng.randrange(1, 20)),
            )  # fmt: skip
            if case.external:
                # Glass that came with the sender's number on it.
                one.name, one.barcode = case.external, None
                one.planted.add("external")
            else:
                self._spoil(one)
            yield one

    def _spoil(self, one: Glass) -> None:
        rng = self._rng
        for source, share in (("name", 0.06), ("barcode", 0.03)):
            digits = getattr(one, source)
            if digits is not None and rng.random() < 0.1:
                setattr(one, source, None)
                one.planted.add(f"{source} missing")
            elif digits is not None and rng.random() < share:
                at = rng.randrange(5)
                setattr(one, source, digits[:at] + rng.choice("0123456789".replace(digits[at], "")) + digits[at + 1 :])
                one.planted.add(f"{source} wrong")
        if one.patient is not None and rng.random() < 0.02:
            others = [person.numbers[one.case.site] for person in self.persons if one.case.site in person.numbers]
            one.patient = rng.choice(rng.choice(others))
            one.planted.add("patient wrong")

    def _swap(self, glass: Sequence[Glass]) -> None:
        """Exchange the labels of some pairs of slides."""
        labelled = [one for one in glass if one.barcode and one.planted <= {"name missing"}]
        chosen = self._rng.sample(labelled, min(12, len(labelled) // 2 * 2))
        for one, other in zip(chosen[::2], chosen[1::2], strict=True):
            if one.case.person is not other.case.person:
                one.barcode, other.barcode = other.barcode, one.barcode
                one.planted.add("swapped")
                other.planted.add("swapped")

    # --- Other systems ---

    def _materials(self, glass: Sequence[Glass]) -> list[Row]:
        """What glass there is; a barcode that the laboratory system prints is the number of a glass and of nothing else."""
        return [
            {"material_id": f"M-{one.key}", "site": GLASS, "kind": "slide", "accession": one.case.accession, "specimen": "A",
             "block": one.part[1:], "stain": "HE", "glass_id": glass_number(one.case.number, one.part)}
            for one in glass if one.case.site == GLASS and not one.case.external
        ]  # fmt: skip

    def _index(self, glass: Sequence[Glass]) -> list[Row]:
        """What the scanner was told for half of its slides, one in fifty wrongly."""
        rows = []
        for one in glass:
            if one.case.site == INDEXED and not one.case.external and self._rng.random() < 0.5:
                wrong = self._rng.random() < 0.02
                number = self._rng.randrange(1, self._cases + 1) if wrong else one.case.number
                one.planted |= {"index wrong"} if number != one.case.number else {"index"}
                rows.append({
                    "entry_id": f"X-{one.key}", "site": INDEXED, "path": f"D:\\scans\\{_relpath(one)}",
                    "accession": f"S24-{number}", "accession_raw": f"S24-{number:05d}",
                })  # fmt: skip
        return rows

    def _merges(self) -> list[Row]:
        return [
            {"merge_id": f"G-{number}", "site": site, "patient_id": stays, "other_patient_id": other, "source_file": "m.csv"}
            for number, (site, stays, other) in enumerate(self.merged)
        ]  # fmt: skip


def glass_number(number: int, part: str) -> str:
    """The opaque barcode of a glass: that of part A1 of case 7 is 9000070001."""
    return f"9{number:05d}{int(part[1:]):04d}"


def _written(one: Glass, digits: str) -> str:
    head = digits if digits.startswith("H") else f"P24.{digits}" if one.case.site == SITES[3] else f"S24-{digits}"
    return f"{head}-{one.part}"


def _relpath(one: Glass) -> str:
    text = f"{_written(one, one.name)} HE" if one.name else "scan"
    return f"2024/{one.key[-7:]}x/{text}.svs"


def _slide_row(one: Glass) -> Row:
    barcode = None
    if one.barcode is not None:
        opaque = one.case.site == GLASS
        barcode = glass_number(int(one.barcode), one.part) if opaque else _written(one, one.barcode)
    return {
        "slide_id": one.key, "site": one.case.site, "archive": "main", "relpath": _relpath(one).encode(), "status": "ok",
        "barcode": barcode, "patient_id": one.patient, "scan_datetime": one.scanned, "stain": "HE",
        "preparation": "frozen" if one.frozen else None,
    }  # fmt: skip
