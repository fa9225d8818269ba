"""Names in English prose that nothing announces: by a given name, by initials, or by what stands behind them."""

import re
from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishsorts import NAMES, Sort, sort_of
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
from pathcurate.scrubbers.text.latinends import name_at
from pathcurate.scrubbers.text.namewords import folded_name, name_words
from pathcurate.text.beginnings import Searched

_LETTERS = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
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
    r"|[0-9]{1,2}/[0-9]{1,2}(?![0-9])|[A-Z]{1,3}[0-9]{2}-[0-9]{2,}|[FM],?[ ]?/?[0-9]{1,3}\b|[0-9]{1,3},?[ ]?/?(?:[MFmf]"
    r"|male|female)\b|#?[A-Z]{0,3}[0-9]{6,10}[A-Z]?(?![0-9%.])|[A-Z]{3}[0-9]{4}(?![0-9])"
    r"|[0-3]?[0-9][.-][01]?[0-9][.-](?:19|20)?[0-9]{2}(?![0-9])"
    r"|[0-9]{1,2}-[A-Za-z]{3}-)"
)
_TWO_WORDS = Searched(
    rf"(?!(?:Patient|Pt|Name|Re|For|From|Of|Case|Dr|Mr|Mrs|Ms|Miss|The|Tube|Label|Seen|And|Client"
    rf"|Donor)[ .])[{_CAPITAL}](?<![{_LETTERS}0-9.'’/-][{_CAPITAL}])[{_LETTERS}'’-]+,?[ ](?:[{_CAPITAL}]\.?["
    rf" ])?(?:(?:[Tt][Ee]|[Dd][Ee]|[Vv][Aa][Nn]|[Ll][Aa]|[Ll][Ee]|[Aa][Ll]|[Ee][Ll]|Ó|Ní|Mac|bin|binti)[ ])?"
    rf"[{_CAPITAL}][{_LETTERS}'’-]+(?:[ ][A-Z](?![A-Za-z/])\.?)?(?=[ ]?[,;/(\[ -])"
)
# Sung-Min Choi: given names of Korea and Taiwan are two syllables that a hyphen joins, beside a surname.
_SYLLABLES = "[A-Z][a-z]{1,5}-[A-Z]?[a-z]{1,5}"
_EASTERN = (
    "(?:Kim|Lee|Park|Choi|Jung|Kang|Cho|Yoon|Jang|Lim|Han|Shin|Kwon|Hwang|Ahn|Song|Hong|Chen|Lin|Huang|Chang|Wang|Wu|Liu"
    "|Tsai|Yang)"
)
_HYPHENATED = Searched(rf"{_SYLLABLES}[ ]{_EASTERN}(?![A-Za-z-])|(?<![A-Za-z-]){_EASTERN},?[ ]{_SYLLABLES}(?![A-Za-z-])")
_MISREAD = Searched(
    rf"(?P<given>[{_CAPITAL}](?<![{_LETTERS}0-9.'’/-][{_CAPITAL}])(?=[a-z01]{{2,12}}[ ])[a-z]{{0,10}}[01][a-z01]{{1,11}})"
    rf"[ ](?:[A-Z]\.?[ ])?[{_CAPITAL}][a-z01’'-]{{2,16}}(?![{_LETTERS}0-9])"
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
    {"ais", "am/pm", "aml", "bcc", "bx", "cap", "cin", "cis", "cll", "ct", "cxr", "dob", "dx", "ecg", "egd", "eus", "fna",
     "gi", "gu", "her", "hx", "icu", "idc", "ihc", "ii", "iii", "ilc", "ish", "iv", "ln", "lvi", "mdm", "mdt", "mmr",
     "mra", "mri", "mrn", "msi", "mss", "na", "nad", "nb", "neg", "net", "ngs", "nhs", "nil", "no", "nos", "nst",
     "ob", "ok", "pcr",
     "pet", "pin", "pni", "pos", "pr", "ps", "rip", "scc", "tnm", "tx", "us", "vi", "vii", "vin", "who", "wnl", "xi",
     "xr", "yes"}
)  # fmt: skip
_NO_INITIALS = _NOBODY | frozenset(
    {"afs", "all", "am", "and", "asap", "bms", "both", "bx", "by", "cc", "cm", "cup", "cut", "dna", "do", "done",
     "dr", "dx", "ed", "eod", "er", "etc", "fax", "fs", "fyi", "gm", "gp", "hand", "he", "him", "his", "hpf", "hr",
     "ir", "it", "kg", "l", "lab", "lt", "mail", "mb", "md", "me", "mg", "ml", "mm", "mx", "n", "nad", "neg", "new",
     "nhs", "np", "off", "old", "on", "op", "or", "out", "pa", "pas", "pd", "phd", "pls", "pm", "post", "pt", "r",
     "rn", "rna", "rt", "she", "sn", "stat", "ta", "tbc", "tbd", "the", "them", "thx", "trans", "two", "uk", "up",
     "us", "usa", "via", "wt", "you"}
)  # fmt: skip
# What stands between a name and a number is no surname.
_NUMBERED_BY = frozenset(
    {"acc", "chi", "crn", "csn", "dob", "dva", "empi", "fin", "gmc", "har", "hcn", "hn", "hosp", "hrn", "ic", "id",
     "imc", "ip", "mr", "mrn", "nhi", "nhs", "no", "npi", "nric", "op", "phn", "pps", "ppsn", "ramq", "ohip", "ddn",
     "sin", "ssn", "tel", "uhid",
     "umrn", "unit", "ur", "urn"}
)  # fmt: skip
_IS_LAST = re.compile(r"[ ]*(?:[.,;)\n/]|\Z)|[ ]\(")
_MOST_INITIALS, _LEAST_SMALL = 3, 5
_INFLECTED = re.compile("(?:ing|ed|ly|s|tion|al|ist|er|ness|ment)$")
_INSIDE = re.compile(r"[a-z/] \Z")
_LAST_INITIALS = re.compile(r"(?:(?<=[a-z)][.;] )|(?<=[-/][0-9]{2} )|(?<=[-/ ][0-9]{4} ))(?P<v>[A-Z]{2,3})(?=\.?\s*\Z)")
_INITIALS_SIGNED = (
    # At the very end, behind a sentence, a dash or a stroke: -- jkw, 12 2024 /dk; behind a day: 3-4-24 CW.
    Searched(r"(?:(?<=[a-z0-9)][.;] )|(?<=-- )|(?<= - )|(?<= – )|(?<=[0-9] /))(?P<v>[a-z]{2,3}|[A-Z]{2,3})(?=\.?\s*\Z)"),
    Searched(r"(?<=[0-9][/.-][0-9]{2} )(?P<v>[A-Z]{2,3})(?=\.?[ ]?(?:[\n;,)]|\Z)|\.[ ])"),
    Searched(r"(?:op|operator|user)[ :=]{1,2}(?P<v>[a-z]\.[a-z]{3,12})(?![0-9A-Za-z.@])"),
    Searched(r"(?<![A-Za-z/])(?P<v>[a-z]{2,3}/[a-z]{2,3})(?=[ ][0-9]{1,2}[-/][0-9]{1,2}(?![0-9]))"),
    Searched(r"(?<![A-Za-z])(?P<v>[A-Z]{1,2}(?:Mc|Mac|O['’])[A-Z])(?![A-Za-z])"),
    Searched(
        r"(?i:typed|dict(?:ated)?|checked|scanned|cut|embedded|released|printed|signed|entered|stained|screened|verified"
        r"|booked|logged|rec(?:eive)?d|grossed|prepared|transcribed|amended|given|taken|phoned|called|seen"
        r"|collected)(?:[ ](?:on[ ])?[0-9][0-9/.-]{2,9})?[ ]by:?[ ]"
        r"(?P<v>[a-z]{2,5}|[a-z]{3,12}\.[a-z]{1,2}|[a-z]\.[a-z]{3,12})(?=[ ]*(?:[.,;)\n/]|\Z))"
    ),
)
# Who signs with a degree, or is called by a given name and one; whom a report begins with.
_WITH_DEGREE = (
    Searched(
        r"[–—-](?<![0-9A-Za-z][–—-])[ ]?(?P<v>[A-Z][a-z]{2,15})(?=,[ ](?:NP|PA(?:-C)?|RN|MD|DO|MBBS|"
        r"FRCPath)(?![A-Za-z]))"
    ),
    Searched(r"(?P<v>[A-Z](?<![A-Za-z.'’ -][A-Z])[a-z]+[ ][A-Z][a-z]+)(?=[ ]is an?[ ][0-9]{1,3}[- ]?y)"),
)
_GIVEN_WITH_DEGREE = Searched(r"(?P<v>[A-Z](?<![A-Za-z.'’-][A-Z])[a-z]{2,12})(?=,?[ ](?:RN|EN|NP|BCN|CNS)(?![A-Za-z]))")
_NOT_CALLED = frozenset(
    {"the", "this", "our", "my", "your", "his", "her", "said", "index", "male", "female", "patient", "pt", "she", "he"}
)
_SMALL_PROSE = Searched("[a-z]{2}[a-z]{1,13}[ ][a-z(]")
_LOW_WORD = "[a-z\u00df-\u024f]{3,15}"
# In haste names are written small: mccready (mrn 8821903), told ozturk, patient donna mae prescott 2/2/61.
_LOW_BEFORE_NUMBER = Searched(
    rf"(?<![{_LETTERS}0-9'’/.-])(?P<v>{_LOW_WORD}(?:,?[ ]{_LOW_WORD}){{0,2}})(?=,?[ ]\(?(?:mrn|dob|d\.o\.b|nhs no|hosp no"
    r"|unit no|mr#|chi[ ][0-9]|nhi[ ]|date of birth)(?![a-z]))"
)
_LOW_TOLD = Searched(
    r"(?<![A-Za-z])(?:told|informed|paged|texted|phoned|rang|called|emailed|bleeped|spoke (?:to|with)|d/w|s/w|dr\.?|pt"
    r"|patient"
    rf"|nurse|cheers|thanks|hi|ta),?[ ](?P<v>{_LOW_WORD})(?=[ ]*(?:[.,;)\n]|\Z)|[ ](?:at|in|on|who|about|says|said|will|re"
    rf"|and|to|is"
    r"|was|wants|[0-9(]))"
)
_LOW_PATIENT = Searched(
    rf"(?<![A-Za-z])(?:[Pp]atient|[Pp]t|[Cc]lient):?[ ](?P<v>{_LOW_WORD}(?:[ ]{_LOW_WORD}){{1,2}})(?=,?[ ]\(?(?:[0-9#]|dob"
    rf"|mrn))"
)
# ATT: SUBRAMANIAM / LAB: in capitals a field holds a name if it holds a word of no list.
_CAPITAL_FIELD = Searched(
    rf":[ ]?(?P<v>[{_CAPITAL}][{_CAPITAL}'’-]{{3,20}}(?:,?[ ][{_CAPITAL}'’-]{{2,20}}|[ ][A-Z]\.?){{0,2}})"
    r"(?=[ ]*(?:[/|;\n]|\Z|[ ]{2}))"
)
# Whatever stands in quotes there is what somebody is called: known as 'Taff', unknown male, "Tango 4".
_CALLED_IN_QUOTES = Searched(
    r"(?:(?:[Kk]nown as|[Gg]oes by|a\.?k\.?a\.?|alias|nicknamed?|[Tt]rauma name|[Pp]refer(?:red name|s))|[Uu]nknown (?:male"
    r"|female|patient"
    r"|man|woman))"
    rf"[,:]?[ ][\"“'‘](?P<v>[{_CAPITAL}][{_LETTERS}0-9 ,.-]{{1,24}})[\"”'’]"
)
_CHILD_OF = Searched(
    rf"(?<![{_LETTERS}])(?P<v>(?:(?i:baby(?:[ ](?:boy|girl|of)){{0,2}}|infant of|twin [AB12](?: of)?)|B/[Oo]|[Bb]/o)[ ]"
    rf"(?:(?:Mrs|Ms|Mr|Smt)\.?[ ])?(?:[{_CAPITAL}][{_LETTERS}'’-]+)(?:[ ][{_CAPITAL}][{_LETTERS}'’-]+)?)"
)
_KIN_OF = Searched(
    r"(?<![A-Za-z])(?:[SWDCFMsw]/[Oo]|[SWDC]\.O\.)[ ]?:?[ ]?(?:[Ll]ate[ ])?(?:(?:Mr|Shri|Sh|Mrs|Smt|Dr)\.?[ ])?(?=[A-Z])"
)
_SIGN_OFFS = frozenset({"ta", "cheers", "thanks", "regards", "rgds", "best", "hi", "hello", "sincerely", "yours", "wishes"})
_LABELLED_TUBE = Searched(
    rf"[\"“'‘](?P<v>(?:(?:O|Mc|Mac|St|De|Van)[ ])?[{_CAPITAL}][{_LETTERS}'’-]+(?:,?[ ][{_CAPITAL}][{_LETTERS}]*\.?){{1,2}})"
    r"(?=,?[ ][A-Z]{0,3}[ ]?[0-9]{5}|(?<=,[ ][A-Z])[\"”]|(?<=,[ ][A-Z]\.)[\"”]|(?<=,[ ][A-Z])[ ]-[ ])"
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
_NEEDED = Searched(r"[A-Z](?:[a-z]{1,15}[ ,'’.;:)\n]|\.[ ]?[A-Z][a-z]|[A-Z]{2}[ ,])")


def find_english_names(normal: str) -> Iterator[Removal]:
    """Names in a text of half width, in no order; places may overlap."""
    if normal.isascii() or _SMALL_PROSE.search(normal):
        yield from _signed_small(normal)
        yield from _written_small(normal)
        yield from _of_kin(normal)
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
    yield from _misread(normal)
    yield from _with_degree(normal)
    yield from _before_person(normal)
    yield from _beside_figures(normal)
    for found in _SIGNED.finditer(normal) if _SIGNED_NEEDS.search(normal) else ():
        group = found.lastgroup or "v"
        if found[group].lower() not in _NOBODY:
            yield Removal(*found.span(group), Kind.STAFF, "line.initials", found[group].upper())
    last = _LAST_INITIALS.search(normal, max(0, len(normal) - len("10-5-2023 JPD. ")))
    if last and last["v"].lower() not in _NO_INITIALS:
        yield Removal(*last.span("v"), Kind.STAFF, "line.initials", last["v"])
    for found in _SPACED.finditer(normal):
        yield Removal(
            *found.span("v"),
            Kind.PATIENT,
            "label.spaced",
            found["v"].replace("  ", "\n").replace(" ", "").replace("\n", " "),
        )


def _misread(normal: str) -> Iterator[Removal]:
    """A given name in which a letter was read as a digit, with the surname: T0m Ashdown."""
    for found in _MISREAD.finditer(normal):
        given = found["given"].lower().replace("0", "o")
        if any(is_given(one) or one in GIVEN_WORDS for one in (given.replace("1", "l"), given.replace("1", "i"))):
            yield _removal(normal, *found.span(), "given.misread")


def _with_degree(normal: str) -> Iterator[Removal]:
    """``–Price, NP``, ``Kylie RN``, and ``Rusty Stone is a 41 y``: who signs, is called so, or is written about."""
    for pattern in _WITH_DEGREE:
        for found in pattern.finditer(normal):
            if _NOT_CALLED.isdisjoint(found["v"].lower().split(" ")):
                yield _removal(normal, *found.span("v"), "degree.person")
    for found in _GIVEN_WITH_DEGREE.finditer(normal):
        if is_given(found["v"].lower()):
            yield _removal(normal, *found.span("v"), "degree.person")


def _before_person(normal: str) -> Iterator[Removal]:
    """``Fox, Amber L. 10/10/1979``: two words before what only a person has; ``Sung-Min Choi``."""
    for found in _TWO_WORDS.finditer(normal):
        words = _words(found[0])
        if not _NUMBERED_BY.isdisjoint(words) or is_term(found[0]):
            continue
        if _PERSON_BEHIND.match(normal, found.end()) and _could_be(words):
            yield _removal(normal, *found.span(), "before.person")
    for found in _HYPHENATED.finditer(normal):
        yield _removal(normal, *found.span(), "hyphen.person")


def _could_be(words: list[str]) -> bool:
    """Whether words are a name before what only a person has: none is a word, or each is a name too and one a given one."""
    if not any(map(is_word, words)):
        return True
    both = name_words().latin_both | GIVEN_WORDS
    return any(word in GIVEN_WORDS or is_given(word) for word in words) and all(
        word in both or not is_word(word) for word in words
    )


def _signed_small(normal: str) -> Iterator[Removal]:
    """Initials of who signs, types or cuts."""
    for pattern in _INITIALS_SIGNED:
        for found in pattern.finditer(normal):
            parts = re.split("[/.]", found["v"].lower())
            if _NO_INITIALS.isdisjoint(parts) and not any(len(part) > _MOST_INITIALS and is_word(part) for part in parts):
                yield Removal(*found.span("v"), Kind.STAFF, "line.initials", found["v"].upper())


def _written_small(normal: str) -> Iterator[Removal]:
    """Names without a capital, where only a name can stand."""
    for found in _LOW_BEFORE_NUMBER.finditer(normal):
        words = list(_PART.finditer(normal, *found.span("v")))
        while words and sort_of(words[0][0].capitalize()) not in NAMES:
            del words[0]
        if words and all(sort_of(word[0].capitalize()) in NAMES or word[0] in GIVEN_WORDS for word in words):
            yield _removal(normal, words[0].start(), found.end("v"), "small.person")
    for found in _LOW_TOLD.finditer(normal):
        if _is_small_name(found["v"]):
            yield _removal(normal, *found.span("v"), "small.person")
    for found in _CAPITAL_FIELD.finditer(normal):
        sorts = [sort_of(word.capitalize()) for word in _PART.findall(found["v"]) if len(word) > 1]
        if not NAMES.isdisjoint(sorts) and Sort.WORD not in sorts and not is_called_after(normal, found.end()):
            yield _removal(normal, *found.span("v"), "field.person")
    for found in _LOW_PATIENT.finditer(normal):
        first, *rest = found["v"].split(" ")
        if is_given(first) and not english_words().function_words & set(rest):
            yield Removal(*found.span("v"), Kind.PATIENT, "small.patient", folded_name(found["v"]))


def _is_small_name(word: str) -> bool:
    sort = sort_of(word.capitalize())
    return sort is Sort.GIVEN or (sort is Sort.STRANGER and len(word) >= _LEAST_SMALL and not _INFLECTED.search(word))


def _of_kin(normal: str) -> Iterator[Removal]:
    """``BABY OF GITHINJI``, ``W/O Karuppasamy``: children by their mother's name, and relatives as India writes them."""
    for found in _CHILD_OF.finditer(normal):
        words = list(_PART.finditer(normal, *found.span("v")))
        while words[-1][0].lower() in _NUMBERED_BY:
            del words[-1]
        if not is_word(words[-1][0].lower()):
            name = normal[found.start("v") : words[-1].end()]
            yield Removal(found.start("v"), words[-1].end(), Kind.PATIENT, "child.patient", folded_name(name))
    for found in _CALLED_IN_QUOTES.finditer(normal):
        yield _removal(normal, *found.span("v"), "named.person")
    for found in _KIN_OF.finditer(normal):
        end = name_at(normal, found.end(), fewest=1)
        if end is not None:
            yield _removal(normal, found.end(), end, "relation.person")


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
    initial = re.compile(
        r"(?:[ ](?!I[ ][a-z]|[MF][ /,]{0,2}[0-9]"
        r"|[SWDC]/[Oo])[A-Z](?![A-Za-z0-9])\.?){1,2}"
    ).match(normal, end)
    return initial.end() if initial else end


def _is_listed(normal: str, letter: str, end: int) -> bool:
    """Whether a colon follows an item, and the letter before or behind it is one too: A. Cornu: scar. B. Uncus: none."""
    return normal.startswith(":", end) and any(f"{chr(ord(letter) + step)}. " in normal for step in (-1, 1))


def _with_initials(normal: str) -> Iterator[Removal]:
    """``T. Marsh``, ``W.H. Fitzgerald``; no items of a list (``A. Omentum``) and no species (``E. Coli``)."""
    for found in _INITIALS.finditer(normal):
        if _SEX.search(normal, max(0, found.start() - 4), found.end()) or normal[found.start() - 1 : found.start()] == "&":
            continue  # D&C. Menorrhagia
        is_item = found[0].count(".") == 1 and _ITEM.search(normal, max(0, found.start() - 5), found.start())
        end = name_at(normal, found.start(), fewest=2, has_comma=False)
        parts = _PART.findall(normal[found.end() : end]) if end is not None and is_item else []
        if parts and (NAMES.isdisjoint(map(sort_of, parts)) or _is_listed(normal, found[0][0], end or 0)):
            continue
        if end is not None:
            words = _words(normal[found.end() : end])
            is_eponymous = not is_item and all(map(is_eponym, words)) and _IS_LAST.match(normal, end) is not None
            if words and (is_eponymous or not all(map(is_word, words))) and not is_called_after(normal, end):
                yield _removal(normal, found.start(), end, "initial.person")
