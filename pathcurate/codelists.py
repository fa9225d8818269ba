"""Code lists: what form the codes of a system have, which codes are on a list, and what it may be compared with."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from pathcurate.model.deidentified import TRUE_CODE
from pathcurate.model.recipe import Codelist

_FORMS: Mapping[str, tuple[str, str]] = {
    "icd10": (r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?[+*]?", "ICD-10 code such as C34 or C34.1"),
    "icd10-cn": (
        r"[A-Z]\d[0-9A-Z](\.(\d{1,3}|[xX]\d{2})([xX]\d{1,4})?)?[+*]?",
        "code of a Chinese edition of ICD-10 such as C34, C34.100 or M16.900x001",
    ),
    "icd9cm3": (r"\d{2}(\.\d{1,2})?", "ICD-9-CM-3 code such as 81.5 or 81.51"),
    "icd9cm3-cn": (
        r"\d{2}(\.\d{1,4}([xX]\d{2,3})?)?",
        "code of a Chinese edition of ICD-9-CM-3 such as 81.51 or 81.5100",
    ),
    "icdo3-topography": (r"C\d{2}(\.\d)?", "ICD-O-3 topography such as C50 or C50.4"),
    "icdo3-morphology": (r"[89]\d{3}/[012369]", "ICD-O-3 morphology with its behaviour such as 8140/3"),
    "snomed": (r"[1-9]\d{5,17}", "SNOMED CT identifier with its check digit"),
    "loinc": (r"\d{1,5}-\d", "LOINC code such as 2857-1"),
    "atc": (r"[ABCDGHJLMNPRSV](\d{2}([A-Z]([A-Z](\d{2})?)?)?)?", "ATC code such as L01 or L01XC03"),
    "local": (TRUE_CODE.pattern, "code of Latin letters, signs and at most four digits in a row (so no patient's number)"),
}  # fmt: skip
"""By system: what a code looks like, and what to call one."""
_COLUMNS: Mapping[str, str] = {
    "icd10": "icd10", "icd10-cn": "icd10", "icdo3-topography": "icdo3_topography", "icdo3-morphology": "icdo3_morphology",
}  # fmt: skip
_CODE_SYSTEMS: Mapping[str, str] = {
    **_COLUMNS, "icd9cm3": "icd9cm3", "icd9cm3-cn": "icd9cm3", "loinc": "loinc", "atc": "atc", "local": "local",
}  # fmt: skip
_WITH_DESCENDANTS = frozenset({"icd10", "icd10-cn", "icd9cm3", "icd9cm3-cn", "icdo3-topography", "atc"})
_FEWEST_SHOWN = 10
# Verhoeff's check of SNOMED CT identifiers (SNOMED CT Release File Specification, "Check-digit"): the dihedral group of
# order ten, and the permutation by place.
_VERHOEFF = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PLACES = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")


def is_code(system: str, code: str) -> bool:
    """Whether a text has the form of a code of a system."""
    if re.fullmatch(_FORMS[system][0], code, re.ASCII) is None:
        return False
    return system != "snomed" or _is_checked(code)


def form_words(system: str) -> str:
    """What a code of a system is called, with an example."""
    return _FORMS[system][1]


def nearest_code(system: str, text: str) -> str | None:
    """The code that was probably meant: full width, small letters, spaces and a missing dot or slash are put right."""
    plain = "".join(unicodedata.normalize("NFKC", text).split()).upper().replace("。", ".")
    dotted = 2 if system.startswith("icd9") else 3
    guesses = [plain, plain.rstrip("."), plain.replace("X", "x"), f"{plain[:dotted]}.{plain[dotted:]}"]
    if system == "icdo3-morphology":
        digits = plain.removeprefix("M").removeprefix("-")
        guesses += [digits, f"{digits[:4]}/{digits[4:]}"]
    return next((guess for guess in guesses if guess != text and is_code(system, guess)), None)


def has_descendants(system: str) -> bool:
    """Whether the codes below a code of this system begin like it."""
    return system in _WITH_DESCENDANTS


def fits(system: str, column: str) -> bool:
    """Whether a column may be compared with codes of a system; ``code`` (of events) holds most systems."""
    return column == _COLUMNS.get(system) or (column == "code" and system in _CODE_SYSTEMS)


def code_system(system: str) -> str | None:
    """What ``events.code_system`` says where ``events.code`` is of a list's system; None if no event has such codes."""
    return _CODE_SYSTEMS.get(system)


# --- Which codes are on a list -------------------------------------------------------------------------------------------


def exact_codes(codelist: Codelist) -> tuple[str, ...]:
    """Each code that is on a list, as archives write it; empty for a list that matches descendants.

    The letter x of the Chinese editions is written small or large.
    """
    if codelist.match != "exact":
        return ()
    left_out = {_folded(code) for code in codelist.without or ()}
    kept = [code for code in codelist.codes or () if _folded(code) not in left_out]
    return tuple(dict.fromkeys(one for code in kept for one in _spelt(codelist.system, code)))


def prefix_codes(codelist: Codelist) -> tuple[str, ...]:
    """What the codes on a list begin with, in capitals and without dots; empty for a list that matches exactly."""
    return _prefixes(codelist.codes or ()) if codelist.match == "descendants" else ()


def prefix_without(codelist: Codelist) -> tuple[str, ...]:
    """What codes begin with, written likewise, that are not on the list though :func:`prefix_codes` has them."""
    return _prefixes(codelist.without or ()) if codelist.match == "descendants" else ()


def matches(codelist: Codelist, code: str | None) -> bool:
    """Whether a code of the list's system is on the list: what lists mean, for all who read them otherwise."""
    if code is None:
        return False
    if codelist.match == "exact":
        return code in exact_codes(codelist)
    return _begins(code, prefix_codes(codelist)) and not _begins(code, prefix_without(codelist))


def _spelt(system: str, code: str) -> tuple[str, ...]:
    if not system.endswith("-cn") or "x" not in code[1:].lower():
        return (code,)
    return code, code[0] + code[1:].lower(), code.upper()


def _begins(code: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a code begins like one of these, of which none begins like another: then only the one before it can be."""
    folded = _folded(code)
    place = bisect_right(prefixes, folded)
    return place > 0 and folded.startswith(prefixes[place - 1])


def _folded(code: str) -> str:
    return code.replace(".", "").upper()


def _prefixes(codes: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest of them: what begins like another one adds nothing. Dagger and asterisk are no part of a beginning."""
    kept: list[str] = []
    for code in sorted({_folded(code).rstrip("+*") for code in codes}):
        if not (kept and code.startswith(kept[-1])):
            kept.append(code)
    return tuple(kept)


def _is_checked(digits: str) -> bool:
    check = "0"
    for place, digit in enumerate(reversed(digits)):
        check = _VERHOEFF[int(check)][int(_PLACES[place % 8][int(digit)])]
    return check == "0"


# --- Lists against an archive --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Omitted:
    """A code of the archive below a listed one, which is not on the list.

    Attributes:
        column: where it stands.
        code: the code.
        rows: how many rows have it; None if they are fewer than ten.
    """

    column: str
    code: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """A code list against an archive.

    Attributes:
        name: the list.
        unseen: codes of it that no row has, nor one below it where descendants count.
        omitted: codes below a listed one that a list which matches exactly does not have.
    """

    name: str
    unseen: tuple[str, ...]
    omitted: tuple[Omitted, ...]


def check(codelists: Mapping[str, Codelist], counts: Mapping[str, Mapping[str, int]]) -> tuple[Coverage, ...]:
    """Compare code lists with an archive.

    Args:
        codelists: by name.
        counts: rows by code, by column (``icd10`` or ``reports.icd10``).
    """
    return tuple(_coverage(name, codelist, counts) for name, codelist in codelists.items())


def _coverage(name: str, codelist: Codelist, counts: Mapping[str, Mapping[str, int]]) -> Coverage:
    fitting = {column: codes for column, codes in counts.items() if fits(codelist.system, column.rpartition(".")[2])}
    seen = {code for codes in fitting.values() for code, rows in codes.items() if rows}
    folded, codes = sorted(map(_folded, seen)), codelist.codes or ()
    if codelist.match == "exact":
        unseen = [code for code in codes if seen.isdisjoint(_spelt(codelist.system, code))]
    else:
        unseen = [code for code in codes if not _has_below(folded, _folded(code).rstrip("+*"))]
    omitted = []
    if codelist.match == "exact" and has_descendants(codelist.system):
        listed, beginnings, left_out = set(exact_codes(codelist)), _prefixes(codes), _prefixes(codelist.without or ())
        omitted = [
            Omitted(column, code, rows if rows >= _FEWEST_SHOWN else None)
            for column, counted in sorted(fitting.items())
            for code, rows in sorted(counted.items())
            if rows and code not in listed and _begins(code, beginnings) and not _begins(code, left_out)
        ]
    return Coverage(name, tuple(unseen), tuple(omitted))


def _has_below(folded: list[str], beginning: str) -> bool:
    place = bisect_left(folded, beginning)
    return place < len(folded) and folded[place].startswith(beginning)
