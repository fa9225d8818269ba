"""Names in English prose that nothing announces: by a given name, by initials, or by what stands behind them."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishsorts import NAMES, sort_of
from pathcurate.scrubbers.text.englishstrangers import find_strangers
from pathcurate.scrubbers.text.englishwords import (
    GIVEN_WORDS,
    english_words,
    is_called_after,
    is_eponym,
    is_given,
    is_term,
    is_word,
)
from pathcurate.scrubbers.text.latinnames import name_at
from pathcurate.scrubbers.text.namewords import folded_name, name_words
from pathcurate.text.beginnings import Searched

_LETTERS = "A-Za-z\u00c0-\u024f"
_CAPITAL = "A-Z\u00c0-\u00de"
_WORDS = Searched(rf"[{_CAPITAL}](?<![{_LETTERS}0-9_.@/-][{_CAPITAL}])[{_LETTERS}]{{1,15}}")
_PART = re.compile(rf"[{_LETTERS}]+")
_SURNAME_BEFORE = re.compile(
    rf"(?<![{_LETTERS}0-9'’-])(?P<v>(?:[dlDLO]['’]|Mc|Mac|(?:van|von|de|der"
    rf"|St\.?)[ ])?[{_CAPITAL}][{_LETTERS}'’-]{{1,24}})(?P<comma>,?)[ ]?\Z"
)
_REACH = 28
_INITIALS = Searched(
    rf"(?:[A-Z](?<![{_LETTERS}0-9.'’/-][A-Z])\.[ ]?(?:-?[A-Z]\.[ ]?){{0,2}})(?=(?:van|von|de|der|den|la|le|al|el|Mc"
    rf"|O['’])?[ -]?[{_CAPITAL}][a-z\u00df-\u00ff'’])"
)
_SEX = re.compile(r"[0-9][ ]?(?:y/?o?[ ])?[MF]\.[ ]?\Z")
_ITEM = re.compile(r"(?:\A|[\n;.]|part|men)[ ]*\Z")
_PERSON_BEHIND = re.compile(
    r"[ ]?[,;/(\[-]?[ ]?[(\[]?(?:MRN|M\.R\.N|DOB|D\.O\.B|d\.o\.b|dob|NHS|NHI|CHI|HCN|PHN|SSN|MR[ ]?#|aged?[ ][0-9]"
    r"|[0-9]{1,3}[ -]?(?:y\b|yo\b|y/o|yrs?\b|year)"
    r"|[0-9]{1,2}/[0-9]{1,2}(?![0-9])|[A-Z]{1,3}[0-9]{2}-[0-9]{2,}|[FM],?[ ]?[0-9]{1,3}\b|[0-9]{1,3},?[ ]?(?:[MFmf]"
    r"|male|female)\b)"
)
_TWO_WORDS = Searched(
    rf"[{_CAPITAL}](?<![{_LETTERS}0-9.'’/-][{_CAPITAL}])[{_LETTERS}'’-]+,?[ ](?:[{_CAPITAL}]\.?["
    rf" ])?[{_CAPITAL}][{_LETTERS}'’-]+(?=[ ]?[,;/(\[ -])"
)
_ACTING = Searched(
    rf"(?<![{_LETTERS}0-9.'’-])(?:(?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}})(?=[ ](?:to (?:see|present|call|review"
    rf"|check|follow|phone|confirm|look|cut|"
    r"chase|discuss)|will|has|had|agrees|agreed|concurs|concurred|called|says|said|phoned|asked|asks|who|thinks|wants"
    r"|wrote|writes|rang|confirmed)\b)"
    rf"|[(][\"“](?P<quoted>[{_CAPITAL}][a-z]{{1,14}})[\"”])"
)
_SIGNED = Searched(
    r"(?:(?<=\n)|(?<=[./] )|\A)(?P<v>(?:[A-Z]{2,3}|[a-z]{2,3})(?:[/:][A-Za-z]{2,3})?)"
    r"(?=[ ,/]{1,3}(?:[0-3]?[0-9][-/. ](?:[01]?[0-9]|[ivxIVX]{1,4}|[A-Za-z]{3})[-/. ](?:19|20)?[0-9]{2})[ ]*(?:\n|\Z))"
    r"|(?:(?<=\n)|(?<=[.)] )|\A)(?P<dotted>(?:[A-Z]\.){2,3})(?=[ ]*(?:\n|\Z))"
    r"|(?<![0-9A-Za-z/.-])(?P<pair>[A-Z]{2,3}[/:][a-z]{2,3})(?=[ ]*(?:[.;,)\n]|\Z)|[ ]{2}|[ ][A-Z0-9])"
)
_NOBODY = frozenset(
    {"ais", "am/pm", "aml", "bcc", "bx", "cap", "cin", "cis", "cll", "ct", "cxr", "dx", "ecg", "egd", "eus", "fna",
     "gi", "gu", "her", "hx", "icu", "idc", "ihc", "ii", "iii", "ilc", "ish", "iv", "ln", "lvi", "mdm", "mdt", "mmr",
     "mra", "mri", "msi", "mss", "na", "nad", "nb", "neg", "net", "ngs", "nil", "no", "nos", "nst", "ob", "ok", "pcr",
     "pet", "pin", "pni", "pos", "pr", "ps", "rip", "scc", "tnm", "tx", "us", "vi", "vii", "vin", "who", "wnl", "xi",
     "xr", "yes"}
)  # fmt: skip
_INSIDE = re.compile(r"[a-z/] \Z")
_LAST_INITIALS = re.compile(r"(?:(?<=[a-z)][.;] )|(?<=[-/][0-9]{2} )|(?<=[-/ ][0-9]{4} ))(?P<v>[A-Z]{2,3})(?=\.?\s*\Z)")
_SIGN_OFFS = frozenset({"ta", "cheers", "thanks", "regards", "rgds", "best", "hi", "hello", "sincerely", "yours", "wishes"})
_LABELLED_TUBE = Searched(
    rf"[\"“](?P<v>(?:(?:O|Mc|Mac|St|De|Van)[ ])?[{_CAPITAL}][{_LETTERS}'’-]+(?:,?[ ][{_CAPITAL}][{_LETTERS}]*\.?){{1,2}})"
    r"(?=,?[ ][A-Z]{0,3}[ ]?[0-9]{5}|(?<=,[ ][A-Z])[\"”]|(?<=,[ ][A-Z]\.)[\"”])"
)
_DATED = Searched(
    rf"\((?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{2,14}}(?:/[{_CAPITAL}][a-z\u00df-\u00ff]{{2,14}})?),?[ ]"
    r"(?=[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2})"
)
_HEADER = re.compile(
    rf"(?:\A|\n)[ ]*(?:From|To|Cc|CC|Attn|FAO|Sent by|FROM"
    rf"|TO)[ ]?:[ ]*(?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}})(?=[ ]*(?:[\n,;<(]|\Z))"
)
_SPACED = Searched(r"N[ ]A[ ]M[ ]E[ ]{0,3}:?[ ]{0,3}(?P<v>[A-Z](?:[ ]{1,2}[A-Z](?![A-Za-z])){3,40})")
_SIGNED_NEEDS = re.compile("[A-Za-z][A-Za-z](?:[ ,/]{1,3}[0-3]?[0-9][-/. ]|[/:][a-z])")
_NEEDED = Searched(r"[A-Z](?:[a-z]{1,15}[ ,]|\.[ ]?[A-Z][a-z]|[A-Z]{2}[ ,])")


def find_english_names(normal: str) -> Iterator[Removal]:
    """Names in a text of half width, in no order; places may overlap."""
    if not _NEEDED.search(normal):
        return
    for found in _HEADER.finditer(normal):
        yield from _addressed(normal, found)
    yield from _given(normal)
    yield from _with_initials(normal)
    yield from find_strangers(normal)
    for found in _ACTING.finditer(normal):
        if is_given((found["v"] or found["quoted"]).lower()) or (found["quoted"] or "").lower() in GIVEN_WORDS:
            yield _removal(normal, *found.span(found.lastgroup or "v"), "given.alone")
    for found in _TWO_WORDS.finditer(normal):
        if _PERSON_BEHIND.match(normal, found.end()) and not any(map(is_word, _words(found[0]))):
            yield _removal(normal, *found.span(), "before.person")
    yield from _beside_figures(normal)
    for found in _SIGNED.finditer(normal) if _SIGNED_NEEDS.search(normal) else ():
        group = found.lastgroup or "v"
        if found[group].lower() not in _NOBODY:
            yield Removal(*found.span(group), Kind.STAFF, "line.initials", found[group].upper())
    last = _LAST_INITIALS.search(normal, max(0, len(normal) - len("10-5-2023 JPD. ")))
    if last and last["v"].lower() not in _NOBODY:
        yield Removal(*last.span("v"), Kind.STAFF, "line.initials", last["v"])
    for found in _SPACED.finditer(normal):
        yield Removal(
            *found.span("v"),
            Kind.PATIENT,
            "label.spaced",
            found["v"].replace("  ", "\n").replace(" ", "").replace("\n", " "),
        )


def _addressed(normal: str, found: re.Match[str]) -> Iterator[Removal]:
    """``To: Whit``: who stands in the head of a letter, and begins its first line."""
    if not is_word(found["v"].lower()):
        yield _removal(normal, *found.span("v"), "header.person")
        if normal.startswith(found["v"], found.end() + 1) and not normal[found.end() + 1 + len(found["v"])].isalpha():
            yield _removal(normal, found.end() + 1, found.end() + 1 + len(found["v"]), "header.person")


def _beside_figures(normal: str) -> Iterator[Removal]:
    """``(Flint/Osgood, 5/5/24)``, ``labelled "Quigley B, 104477"``: in brackets before a day, in quotes before a number."""
    for found in _DATED.finditer(normal):
        if not any(map(is_word, _words(found["v"]))):
            yield Removal(*found.span("v"), Kind.STAFF, "dated.staff", folded_name(found["v"]))
    for found in _LABELLED_TUBE.finditer(normal):
        if not all(map(is_word, _words(found["v"]))):
            yield Removal(*found.span("v"), Kind.PATIENT, "quoted.tube", folded_name(found["v"]))


def _removal(normal: str, start: int, end: int, rule: str) -> Removal:
    return Removal(start, end, Kind.PERSON, rule, folded_name(normal[start:end]))


def _words(written: str) -> list[str]:
    """The words of a name in lower case, without initials."""
    return [word.lower() for word in _PART.findall(written) if len(word) > 1 and word not in name_words().particles]


def _given(normal: str) -> Iterator[Removal]:
    """``Gracie Benton``, ``Lena S.``, ``O'Neill, Sarah J``, ``NGATA Aroha``."""
    for found in _WORDS.finditer(normal):
        word = found[0].lower()
        if not is_given(word) and word not in english_words().given:
            continue
        end = name_at(normal, found.start(), fewest=2, has_comma=False)
        if end is not None and not _has_surname(normal, found.start(), found.end(), end):
            end = None
        start = _surname_before(normal, found.start()) if is_given(word) else None
        if start is not None and not is_term(normal[found.start() : found.start() + _REACH]):
            yield _removal(normal, start, end or _with_initial(normal, found.end()), "given.person")
        elif end is not None and not is_called_after(normal, end) and not is_term(normal[found.start() : end]):
            yield _removal(normal, found.start(), end, "given.person")


def _has_surname(normal: str, start: int, behind_given: int, end: int) -> bool:
    rest = _words(normal[behind_given:end])
    if not is_given(normal[start:behind_given].lower()):
        # May Grunwald, Will Follow: a word before another is a name only before one that is nothing else.
        return any(not is_word(word) for word in rest) and not any(map(is_eponym, rest))
    lists = name_words()
    has_particle = any(word in lists.particles for word in _PART.findall(normal[behind_given:end]))
    both = lists.latin_both
    return not rest or has_particle or any(not is_word(word) or word in both or is_eponym(word) for word in rest)


def _surname_before(normal: str, start: int) -> int | None:
    before = _SURNAME_BEFORE.search(normal, max(0, start - _REACH), start)
    if before is None or not (before["comma"] or (before["v"].isupper() and not normal[start : start + 3].isupper())):
        return None
    # In a sentence capitals are no surname: a repeated EBUS, Vikram to do.
    is_inside = _INSIDE.search(normal, max(0, before.start("v") - 2), before.start("v")) is not None
    if before["v"].isupper() and is_inside and not normal[start : start + 3].isupper():
        return None
    words = _words(before["v"])
    lists = name_words()
    if before["comma"] and before["v"].lower() in _SIGN_OFFS:
        return None
    is_else = any(is_given(word) or (is_word(word) and word not in lists.latin_both | lists.eponyms) for word in words)
    return before.start("v") if words and not is_else else None


def _with_initial(normal: str, end: int) -> int:
    initial = re.compile(r"(?:[ ](?!I[ ][a-z])[A-Z](?![A-Za-z0-9])\.?){1,2}").match(normal, end)
    return initial.end() if initial else end


def _is_listed(normal: str, letter: str, end: int) -> bool:
    """Whether a colon follows an item, and the letter before or behind it is one too: A. Cornu: scar. B. Uncus: none."""
    return normal.startswith(":", end) and any(f"{chr(ord(letter) + step)}. " in normal for step in (-1, 1))


def _with_initials(normal: str) -> Iterator[Removal]:
    """``T. Marsh``, ``W.H. Fitzgerald``; no items of a list (``A. Omentum``) and no species (``E. Coli``)."""
    for found in _INITIALS.finditer(normal):
        if _SEX.search(normal, max(0, found.start() - 4), found.end()):
            continue
        is_item = found[0].count(".") == 1 and _ITEM.search(normal, max(0, found.start() - 5), found.start())
        end = name_at(normal, found.start(), fewest=2, has_comma=False)
        parts = _PART.findall(normal[found.end() : end]) if end is not None and is_item else []
        if parts and (NAMES.isdisjoint(map(sort_of, parts)) or _is_listed(normal, found[0][0], end or 0)):
            continue
        if end is not None:
            words = _words(normal[found.end() : end])
            if words and not all(map(is_word, words)) and not is_called_after(normal, end):
                yield _removal(normal, found.start(), end, "initial.person")
