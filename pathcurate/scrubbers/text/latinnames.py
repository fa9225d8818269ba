"""Names in Latin letters that nobody told us: behind a label or a title, before a degree, or as a signature in Pinyin."""

import re
from collections.abc import Iterator
from functools import cache

from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishwords import GIVEN_WORDS, english_words, is_called_after, is_given, is_term, is_word
from pathcurate.scrubbers.text.latinends import name_at
from pathcurate.scrubbers.text.namewords import folded_name, medical_latin, name_words
from pathcurate.scrubbers.text.spelling import spelling
from pathcurate.text.beginnings import Searched

_LETTERS = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_ANY_WORD = re.compile(rf"[{_LETTERS}]+")
_AFTER_LABEL = re.compile(
    r"[ \t]{0,4}(?:\([^()\n]{0,14}\)[ \t]{0,2})?(?P<colon>[:#=>|][ \t]*(?:\n[ \t]*)?|[-–—][ ]|,?[ \t]*\n[ \t]*)?"
)
_CAPITAL = "A-Z\u00c0-\u00de"
# Between a role and the name of who has it: the pathologist, Sunil; PC 4417 Hughes; interpreter present: Linh Tran.
_AFTER_ROLE = re.compile(
    rf"(?:[ ]\([^()\n]{{1,14}}\))?(?P<comma>,[ ])?(?:[ ](?:is |was "
    rf"|[0-9]{{2,6}} )?)?(?<= )[\"“]?(?=[{_CAPITAL}])"
)
_CLAUSE_ENDS = re.compile(r"[ ]*(?:[.,;:)\n\"”—–@<]|-[ ]|$)")
_FIELD_ENDS = re.compile(r",?[ ]?(?:[\n;)|]|[ ]|$)|[.](?:[ \n]|$)|,?[ ](?:MD|DO|MB|FRC|MRC|PA|RN|BMS|M\.D)")
_SENTENCE_GOES_ON = re.compile("[ ][A-Z]?[a-z]")
_CLAUSE_GOES_ON = re.compile(r"[ ]+(?:[a-z0-9(+@<—–-]|[A-Z]{2}[0-9])|['’]s[ ]|/[A-Z]")
_AFTER_HINT = re.compile(
    rf"[:,]?[ ]?[ ][\"“]?(?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}})(?=['’]s[ ]|[ ]*[.,;:)!?\n\"”]|[ ]+(?:[a-z(<@–—0-9]"
    rf"|-[ ])|[ ]*$)"
)
_INITIALS = re.compile(
    r"[ ]{0,2}[:=/]?[ ]{0,2}(?P<v>[A-Z]{2,3}(?:/[A-Za-z]{2,3})?|[a-z]{2,3})(?=[ ]?(?:[.,;/)\n]|[ ]{2}|$)"
    r"|[ ](?:on )?[0-9]{1,2}[-/.]|[ ](?:and|&)[ ][A-Z]{2,3}(?![A-Za-z])"
    r"|[ ](?:typed|transcribed|checked|proofed)[ ])(?!\.[a-z])"
)
_SECOND_INITIALS = re.compile(r"[ ](?:and|&)[ ](?P<v>[A-Z]{2,3})(?![A-Za-z0-9-])")
_HAVE_INITIALS = frozenset(
    {"checked", "cut", "cut up", "cut-up", "cutting", "microtomy", "embedding", "screener", "histotech", "mla", "cytotech",
     "dictated", "embedded", "fellow", "initials", "attending", "prosector", "read", "reported", "resident",
     "sec", "secretary", "transcribed",
     "transcriptionist", "typed", "typist"}
)  # fmt: skip
_NO_INITIALS = frozenset(
    {"us", "me", "him", "her", "it", "the", "an", "ihc", "ish", "pcr", "fna", "ct", "mri", "hpf", "fish", "my", "our",
     "two", "all", "one", "ngs", "mdt", "mdm", "er", "em", "if", "icu", "itu", "ent", "gi", "gp", "np", "rn", "md",
     "pa", "bms",
     "lab", "who", "cap", "fda", "nhs", "hpv", "and", "for", "not", "iv", "mr", "dr", "ob", "gyn", "ir", "ed", "dna", "rna",
     "we", "no", "eye", "car", "day", "now"}
)  # fmt: skip
_INITIALS_BEHIND = re.compile(r"[ ](?P<v>[A-Z]{2,3})(?=[ ]*(?:[\n;,)|/]|$)|[ ]{2})")
_NO_INITIALS_BEHIND = _NO_INITIALS | frozenset(
    {"do", "mb", "bs", "phd", "frc", "mrc", "bsc", "msc", "dds", "mph", "fs", "dob", "mrn", "hx", "bx", "ln"}
)
# Titles that are said of somebody whose name follows; the others of a label need a colon.
_CALLED_BY_DEGREE = frozenset({"rn", "np", "r.n."})
_CALLED_LOW = frozenset({"dr", "dr.", "doctor", "prof", "prof."})
_CALLED_SMALL = _CALLED_LOW | {"drs", "drs.", "mr", "mr.", "mrs", "mrs.", "miss", "ms."}
_GREETINGS = frozenset(
    {"morning", "good morning", "afternoon", "good afternoon", "evening", "good evening", "hi", "hello", "hey", "dear"}
)
_GREETED = re.compile("[,!]|[ ]?[—–-][ ]")
_SIGN_OFFS = frozenset(
    {"cheers", "ta", "regards", "kind regards", "best wishes", "thanks", "many thanks", "yours", "yours sincerely", "rgds",
     "best", "br", "bw", "kr", "warm regards", "best regards", "with thanks", "thx", "thank you", "love", "thanks again",
     "tks", "thks", "tnx", "thanks a lot", "all the best", "kindest regards", "speak soon", "yours truly", "warmly",
     "respectfully", "yours faithfully", "with kind regards", "sincerely"}
)  # fmt: skip
# By the rules of whom a tumour is classified: non-GCB by Hans.
_ALGORITHMS = frozenset({"hans"})
_AFTER_SIGN_OFF = re.compile(
    rf"[,.!:]?[ ]?(?:\n[ ]?|(?<=[ ])"
    rf"|(?=[-–—]))(?:[-–—][ ]?)?(?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}}(?=[ ]*(?:[.;)(\n,]|$|xx?[ ]*(?:\n|$)"
    r"|[-–—]))|[A-Z]{1,2}\.?(?=[ ]*(?:\n|$)))"
)
# Nobody but a person stands there: BCN (Shaz), the reg (Shahid, mob 07700); and before: Dev (BMS).
_IN_BRACKETS = re.compile(
    rf"[ ]\((?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}}(?:[ ][{_CAPITAL}][{_LETTERS}'’-]{{1,20}})?)(?=\)|,[ ]?(?:mob"
    rf"|ext|bleep|tel"
    r"|ph|cell|x[0-9]|pager|page|on |[0-9+]))"
)
_BEFORE_BRACKET = re.compile(rf"(?<![{_LETTERS}0-9.'’-])(?P<v>[{_CAPITAL}][a-z\u00df-\u00ff]{{1,14}})[ ]\((?:[a-z]+[ ])?\Z")
_WHO = (", who ", " who ", ", our ", ", the ", " (mob", " (ext", " (x", " (bleep", ", ext", " at ext", " on ext", " +")
_SPOKEN = re.compile(
    r"[ ](?P<v>(?P<one>[a-z]{2,15})[ ](?P<other>[a-z]{2,15}))(?=[ ,]{1,2}(?:date of birth|dob|born|mrn|medical record"
    r"|aged?[ ]"
    r"|hospital n|chart n|[0-9]))"
)
_TWO_WORDS = re.compile(r"(?P<given>[A-Z][a-z]{2,14})[ ][A-Z][a-z]{2,14}(?=,[ ])")
_FURTHER = re.compile(r"(?:[ ]?[;/&][ ]?|[ ]and[ ])(?:(?:Dr|Prof)\.?[ ])?(?=[A-Z])")
_OFFICE = (
    r"(?:Sister|Matron|Reg|SpR|GP|BMS|MLA|CNS|BCN|HCA|ODP|ANP|CNM|RN|PA|NP|MTA|MLS|MLT|APP?|ST[1-8]|FY?[12]|PGY-?[1-8])[ ]"
)
_ROLE = re.compile(_OFFICE)
_FURTHER_DOCTOR = re.compile(r"(?:,? and |,? & |[ ]?/[ ]?|, )(?=[A-Z])")
_TITLE = re.compile(
    r"(?:(?:Drs?|Prof|Mr|Mrs|Ms|Miss|DR|PROF|MR|MRS|Rev|Hon|Capt|Col|Lt|Maj|Sgt|Cdr|Surg|Smt|Shri|Sri|Kum|Puan|Encik|Cik"
    r"|Pn|Fr"
    r"|Sr|Sir|Dame|Lady|Mdm|Mme|SGT|LTC|CPT|COL|MAJ|CPL|PVT|SPC|LCpl|Cpl|Pte)\.?[ ]{1,2}|(?:Doctor"
    r"|Professor|Nurse)[ ]"
    rf"|{_OFFICE}){{1,3}}"
)
_POSSESSOR = re.compile(
    r"(?i)(?<![a-z])(?:his|her|their|the|a|\w+['’]s)[ ](?:late[ ]|ex-|(?:old|young|eld)(?:er|est)[ ]|twin[ ])?$"
)
_AFTER_RELATION = re.compile(r"(?:[ ]is|[ ]named)?(?:,[ ]?|[ ]?\([ ]?|[ ])(?=[A-Z])")
_COMMA = re.compile(r",?[ ]")
_LOWER_CALLED = re.compile(r"\.?[ ](?P<v>[a-z]{3,15}(?<!ed)(?<!ing)(?<!ly))(?![a-z'’-])")
# Whom something is said of has a name, be it a word: Mr. Case is a 58-year-old.
_WORD_CALLED = re.compile(
    r"\.?[ ](?P<v>[A-Z][a-z]{2,14})(?=['’]s[ ]|,? who[ ]|[ ](?:is|was|has|had|will|says|said|presented|underwent"
    r"|attended|agrees|asked"
    r"|called|rang|phoned|reports|returned|died)[ ]|,? (?:MRN|DOB|dob|NHS|aged?)|[ ]\(|,[ ][0-9]{1,3}[ ,y]|[ ]*(?:\n|\Z))"
)
_APPOSITION = re.compile(r",?[ ][A-Z][a-z]{2,}[ ](?:[A-Z]\.|[A-Z][a-z]+(?:-[A-Z][a-z]+)?),(?=[ ](?:[a-z0-9]|MRN|DOB))")
_AFTER_NAMED = re.compile(r"[ ]{1,2}[\"“']?(?=[A-Z])")
_AFTER_TITLE = re.compile(rf"(?<=\.)[ \t]{{0,2}}\n?(?=[{_LETTERS}])|[ \t]{{1,2}}\n?(?=[{_LETTERS}])")
_BEFORE_DEGREE = re.compile(
    rf"(?:(?<![{_LETTERS}0-9])(?:[A-Z\u00c0-\u00de][{_LETTERS}'’-]*\.?[ ]){{1,3}}[A-Z\u00c0-\u00de][{_LETTERS}'’-]+"
    r"|(?<![A-Za-z0-9])[A-Z][A-Za-z'’-]+,[ ][A-Z][A-Za-z'’-]+(?:[ ][A-Z]\.?)?)(?=,?[ ]{1,2}$|,$)"
)
_LONGEST_BEFORE_DEGREE = 64
_LOWER = re.compile(r"[a-z]{2,15}(?:,?[ ][a-z]{1,15}){1,2}(?=[ ]{2}|[ ]*(?:$|[\n,;|(]))")
_SIGNED = Searched(
    r"(?P<one>[A-Z](?<![A-Za-z][A-Z])[A-Za-z]{1,6})(?:[ ]|,[ ]?)(?P<other>[A-Z][A-Za-z]{1,11}(?:-[A-Za-z]{1,6})?)"
    r"(?=[ \t]*[\n/,]?[ \t]*(?:(?:19|20)[0-9]{2}(?![0-9])|$))"
)
_FINALS = "iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ue|ui|un|uo|a|e|i|o|u|v"
PINYIN = f"(?:(?:[zcs]h|[bpmfdtnlgkhjqxrzcsyw])?(?:{_FINALS}))"
"""One syllable of Pinyin, for a regular expression."""
_SYLLABLES = re.compile(f"{PINYIN}(?:-?{PINYIN})?")
_LONGEST_SYLLABLE = 7
_MOST_SIGNERS = 8
_MAY_BEGIN = re.compile(
    "[A-Zndpm](?:(?<=[A-Z])[A-Za-z.]|(?<=n)ame|(?<=d)(?:r|octor)[. ]|(?<=m)(?:rs?|iss)[. ]|(?<=p)atient )"
)
_RULES = {kind: f"label.{kind.value}" for kind in Kind}
_NAME_PARTS = ("surname", "forename", "forenames", "first name", "last name", "family name", "given name")


@cache
def _anchors() -> tuple[dict[str, str], AhoCorasick]:
    """Words beside which a name may stand, with what they are, and what finds them in lower case."""
    words = english_words().labels
    return words, AhoCorasick(tuple(words), matchkind=MatchKind.LeftmostLongest)


def find_latin_names(normal: str) -> Iterator[Removal]:
    """Names in a text, in no order; places may overlap."""
    if not _MAY_BEGIN.search(normal):
        return
    words, automaton = _anchors()
    lower = spelling(normal).lower
    for _, start, end in automaton.find_matches_as_indexes(lower):
        if _is_word(lower, start, end):
            yield from _beside(normal, start, end, words[lower[start:end]])
    surnames = name_words().pinyin
    for found in _SIGNED.finditer(normal):
        one, other = found["one"].lower(), found["other"].lower()
        is_name = (one in surnames and _SYLLABLES.fullmatch(other)) or (
            other in surnames and len(one) <= _LONGEST_SYLLABLE and _SYLLABLES.fullmatch(one)
        )
        if is_name and not {one, other} & name_words().latin:
            yield _removal(normal, found.start(), found.end(), Kind.STAFF, "line.staff")


def _is_word(lower: str, start: int, end: int) -> bool:
    before, behind = lower[start - 1 : start] if start else "", lower[end : end + 1]
    return not (before.isalpha() and before.isascii()) and not (
        behind.isalnum() and behind.isascii() and lower[end - 1].isalnum()
    )


def _beside(normal: str, start: int, end: int, what: str) -> Iterator[Removal]:
    label = normal[start:end].lower()
    if what == "degree":
        yield from _before_degree(normal, start, end)
        yield from _in_brackets(normal, start, end)
        if label in _CALLED_BY_DEGREE:
            yield from _of_role(normal, start, end, Kind.STAFF)
    elif what == "relation":
        if _POSSESSOR.search(normal, max(0, start - 24), start):
            yield from _behind(normal, _AFTER_RELATION.match(normal, end), Kind.PERSON, "relation.person")
        yield from _labelled(normal, end, Kind.PERSON, fewest=1, needs_colon=True)
        yield from _of_role(normal, start, end, Kind.PERSON, "relation.person")
        yield from _in_brackets(normal, start, end, Kind.PERSON)
    elif what == "apposition":
        yield from _in_apposition(normal, end)
    elif what == "named":
        yield from _behind(normal, _AFTER_NAMED.match(normal, end), Kind.PERSON, "named.person", fewest=2)
        yield from _hinted(normal, end)
    elif what == "hint":
        yield from _hinted(normal, end, is_greeting=label in _GREETINGS)
        if label in _SIGN_OFFS:
            yield from _signed_off(normal, end)
    elif what.startswith("title"):
        yield from _titled(normal, start, end, Kind.STAFF if what == "title_staff" else Kind.PERSON)
    else:
        yield from _behind_label(normal, start, end, Kind(what))


def _titled(normal: str, start: int, end: int, kind: Kind) -> Iterator[Removal]:
    rule = f"title.{kind.value}"
    label = normal[start:end].lower()
    if _is_title(normal, start, end):
        yield from _behind(normal, _AFTER_TITLE.match(normal, end), kind, rule, is_called=True)
        yield from _others_titled(normal, end, kind, rule) if label in {"drs", "drs."} else ()
        word = _WORD_CALLED.match(normal, end)
        if word and word["v"].lower() not in english_words().function_words:
            yield _removal(normal, *word.span("v"), kind, rule)
    elif label in _CALLED_LOW and normal[start].islower():
        yield from _behind(normal, _AFTER_NAMED.match(normal, end), kind, rule, is_called=True)
    lower = _LOWER_CALLED.match(normal, end) if label in _CALLED_SMALL else None
    is_reached = lower is not None and normal.startswith((" at ext", " on ext", " at pager", " on bleep"), lower.end())
    if lower and (is_reached or not is_word(lower["v"])) and lower["v"] not in english_words().function_words:
        yield _removal(normal, *lower.span("v"), kind, rule)
    if label in {"doctor", "nurse"}:
        yield from _labelled(normal, end, kind, fewest=1, needs_colon=True)
        yield from _of_role(normal, start, end, kind)


def _others_titled(normal: str, end: int, kind: Kind, rule: str) -> Iterator[Removal]:
    """``Drs. Pemberton, Vance and Lim``: those behind the first."""
    first = _AFTER_TITLE.match(normal, end)
    last = name_at(normal, first.end(), fewest=1, is_called=True, has_comma=False) if first else None
    for _ in range(_MOST_SIGNERS):
        further = _FURTHER_DOCTOR.match(normal, last) if last else None
        last = name_at(normal, further.end(), fewest=1, is_called=True, has_comma=False) if further else None
        if further is None or last is None:
            return
        yield _removal(normal, further.end(), last, kind, rule)


def _behind_label(normal: str, start: int, end: int, kind: Kind) -> Iterator[Removal]:
    label = normal[start:end].lower()
    if label == "by":
        yield from _hinted(normal, end)
    if label == "patient":
        yield from _in_apposition(normal, end)
        yield from _spoken(normal, end)
    if label in _SIGN_OFFS:
        yield from _signed_off(normal, end)
    if kind is Kind.STAFF:
        yield from _in_brackets(normal, start, end)
    yield from _labelled(normal, end, kind, fewest=1, says_name=label.endswith("name"), needs_colon=label == "by")
    if kind is not Kind.PATIENT and label != "by":
        yield from _of_role(normal, start, end, kind)
    has_initials = label in _HAVE_INITIALS or (label.endswith(" by") and normal[end - 1].islower())
    initials = _INITIALS.match(normal, end) if has_initials else None
    if initials and initials["v"].lower() not in _NO_INITIALS:
        yield _removal(normal, *initials.span("v"), Kind.STAFF, "label.initials")
        second = _SECOND_INITIALS.match(normal, initials.end("v"))
        if second and second["v"].lower() not in _NO_INITIALS:
            yield _removal(normal, *second.span("v"), Kind.STAFF, "label.initials")


def _of_role(normal: str, start: int, end: int, kind: Kind, rule: str = "") -> Iterator[Removal]:
    """``the resident, Sunil.``, ``Surgeon Bea Underhill``, ``parents Jo and Simon Reed``: a role and whose it is."""
    gap = _AFTER_ROLE.match(normal, end)
    if gap is None or (end - start > len("CNMW") and normal[start:end].isupper()):
        return
    place = _behind_role(normal, gap.end())
    for _ in range(_MOST_SIGNERS):
        last = name_at(normal, place, fewest=1, has_comma=False)
        if last is None and gap["comma"] is not None:
            last = _apposed_end(normal, place)
        elif last is None:
            last = _given_end(normal, place, is_relative=kind is Kind.PERSON)
        elif not _is_told(normal, place, last, is_aside=gap["comma"] is not None):
            last = None
        if last is None:
            return
        yield _removal(normal, place, last, kind, rule or _RULES[kind])
        further = _FURTHER.match(normal, last)
        if further is None:
            return
        place = _behind_role(normal, further.end())


def _behind_role(normal: str, place: int) -> int:
    role = _ROLE.match(normal, place)
    return role.end() if role else place


def _given_end(normal: str, start: int, *, is_relative: bool) -> int | None:
    """Where a given name ends that is a word as well: husband Mark, nurse Amber 06/21/24."""
    found = _ANY_WORD.match(normal, start)
    if found is None or not found[0].istitle() or found[0].lower() not in english_words().given | GIVEN_WORDS:
        return None
    behind = normal[found.end() : found.end() + 2]
    goes_on = behind.startswith(" ") and (is_relative or behind[1:].isdigit())
    return found.end() if goes_on or _CLAUSE_ENDS.match(normal, found.end()) else None


def _is_told(normal: str, start: int, end: int, *, is_aside: bool) -> bool:
    """Whether a word or two behind a role are a name by themselves."""
    words = [word.lower() for word in _ANY_WORD.findall(normal[start:end]) if len(word) > 1]
    if all(map(is_word, words)) or _is_cut(normal, end):
        return False
    if len(words) > 1 or " " in normal[start:end]:
        return True
    ends = _CLAUSE_ENDS.match(normal, end)
    is_written = not normal[start:end].isupper() and len(words[0]) > 1
    return is_written and (ends is not None or (not is_aside and _CLAUSE_GOES_ON.match(normal, end) is not None))


def _apposed_end(normal: str, start: int) -> int | None:
    """Where a given name and a word end that stand between commas behind a role: the urology CNS, Hope Green, was told."""
    found = _TWO_WORDS.match(normal, start)
    if found is None:
        return _given_end(normal, start, is_relative=False)
    return found.end() if found["given"].lower() in english_words().given | GIVEN_WORDS else None


def _hinted(normal: str, end: int, *, is_greeting: bool = False) -> Iterator[Removal]:
    """``Hi Rob``, ``alias "Alex"``: one given name behind a word that other words may follow as well."""
    found = _AFTER_HINT.match(normal, end)
    if found is None or is_called_after(normal, found.end()):
        return
    word = found["v"].lower()
    is_told = normal.startswith(_WHO, found.end()) and not is_word(word)
    if word in _ALGORITHMS:
        return
    is_greeted = normal.startswith(" at ", found.end()) or (is_greeting and _GREETED.match(normal, found.end()) is not None)
    if is_given(word) or is_told or (word in GIVEN_WORDS and is_greeted):
        yield _removal(normal, *found.span("v"), Kind.PERSON, "hint.person")


def _signed_off(normal: str, end: int) -> Iterator[Removal]:
    """``Cheers, Mags.``, ``Ta, A.``: who takes leave."""
    found = _AFTER_SIGN_OFF.match(normal, end)
    if found is None or _TITLE.match(f"{found['v']} "):
        return
    word = found["v"].lower().rstrip(".")
    # Who signs with a word that is a name as well ends the letter.
    is_last = not normal[found.end() :].strip(" .\n") and word in GIVEN_WORDS | name_words().latin_both
    if len(word) == 1 or found["v"].isupper() or is_last or not is_word(word):
        yield _removal(normal, *found.span("v"), Kind.PERSON, "hint.person")


def _in_brackets(normal: str, start: int, end: int, kind: Kind = Kind.STAFF) -> Iterator[Removal]:
    """``the reg (Shahid, mob 07700)``, ``Dev (BMS)``: a name beside a role of which one is in brackets."""
    behind = _IN_BRACKETS.match(normal, end)
    if behind and not any(map(is_word, behind["v"].lower().split())):
        yield _removal(normal, *behind.span("v"), kind, f"bracket.{kind.value}")
    before = _BEFORE_BRACKET.search(normal, max(0, start - 32), start) if normal[end : end + 1] in {")", ",", ";"} else None
    if before and not is_word(before["v"].lower()):
        yield _removal(normal, *before.span("v"), kind, f"bracket.{kind.value}")


def _spoken(normal: str, end: int) -> Iterator[Removal]:
    """``patient ruby stone date of birth``: a name in a dictation without capitals."""
    found = _SPOKEN.match(normal, end)
    words = english_words().function_words | name_words().latin
    if found and words.isdisjoint((found["one"], found["other"])) and not medical_latin() & {found["one"]}:
        yield _removal(normal, *found.span("v"), Kind.PATIENT, "label.patient")


def _in_apposition(normal: str, end: int) -> Iterator[Removal]:
    """``a 52-year-old male, Robert Lewis, who``: a name of two words or a word and an initial, between commas."""
    found = _APPOSITION.match(normal, end)
    if found is not None:
        yield from _behind(normal, _COMMA.match(normal, end), Kind.PATIENT, "apposition.patient", fewest=2)


def _is_title(normal: str, start: int, end: int) -> bool:
    """Whether a title is written as one: ``Mr.``, ``Dr``; ``MS`` is a disease, ``MR`` an image, ``ms`` a time."""
    title = normal[start:end]
    return title[0].isupper() and (title.endswith(".") or not title.isupper() or title in {"DR", "MRS", "PROF"})


def _removal(normal: str, start: int, end: int, kind: Kind, rule: str) -> Removal:
    return Removal(start, end, kind, rule, folded_name(normal[start:end]))


def _behind(
    normal: str, gap: "re.Match[str] | None", kind: Kind, rule: str, *, fewest: int = 1, is_called: bool = False
) -> Iterator[Removal]:
    if gap is None:
        return
    title = _TITLE.match(normal, gap.end())
    start = title.end() if title else gap.end()
    is_called = is_called or title is not None
    end = name_at(normal, start, fewest=fewest, is_called=is_called, has_comma=not is_called)
    if end is not None and not is_term(normal[start:end]):
        yield _removal(normal, start, end, kind, rule)


def _labelled(
    normal: str, place: int, kind: Kind, *, fewest: int, says_name: bool = False, needs_colon: bool = False
) -> Iterator[Removal]:
    gap = _AFTER_LABEL.match(normal, place)
    # In running capitals a label is a word like any other: COVERED BY THIN CAPSULE.
    if gap is None or (gap["colon"] is None and (needs_colon or normal[place - 2 : place].isupper())):
        return
    title = _TITLE.match(normal, gap.end())
    start = title.end() if title else gap.end()
    is_part = normal[max(0, place - len("family name")) : place].lower().endswith(_NAME_PARTS)
    fewest = fewest if gap["colon"] or is_part else 2
    end = name_at(normal, start, fewest=fewest, has_comma=title is None) if start > place else None
    if end is None and gap["colon"] and says_name:
        lower = _LOWER.match(normal, start)
        is_name = lower is not None and name_words().latin.isdisjoint(_ANY_WORD.findall(lower[0]))
        end = lower.end() if lower and is_name else None
    if end is None and gap["colon"]:
        end = _plain_end(normal, start)
    if end is None or is_term(normal[start:end]) or normal.startswith(":", end):
        return
    if not gap["colon"] and _is_cut(normal, end):
        return
    end = _with_initials(normal, end) if gap["colon"] and " " not in normal[start:end] else end
    yield _removal(normal, start, end, kind, _RULES[kind])
    for _ in range(0 if kind is Kind.PATIENT else _MOST_SIGNERS):
        further = _FURTHER.match(normal, end)
        place = _behind_role(normal, further.end()) if further else end
        is_titled = further is not None and place > further.end()
        following = name_at(normal, place, fewest=1 if is_titled else 2) if further else None
        if following is None:
            return
        yield _removal(normal, place, following, kind, _RULES[kind])
        end = following


def _with_initials(normal: str, end: int) -> int:
    """Where a name ends with the initials behind its surname: Prosector: Lim WX, Smith JA."""
    found = _INITIALS_BEHIND.match(normal, end)
    return found.end() if found and found["v"].lower() not in _NO_INITIALS_BEHIND else end


def _plain_end(normal: str, start: int) -> int | None:
    """Where a name of nothing but words ends, behind a label and alone in its field: ``Surgeon: Hill``, ``Rose Marsh``."""
    end = name_at(normal, start, fewest=1, is_called=True)
    if end is None or not _FIELD_ENDS.match(normal, end):
        return None
    lists = name_words()
    both = lists.latin_both | lists.eponyms | GIVEN_WORDS | english_words().given
    words = [word.lower() for word in _ANY_WORD.findall(normal[start:end]) if len(word) > 1]
    if len(words) == 1 and _SENTENCE_GOES_ON.match(normal, end):
        # Patient: White male
        return None
    return end if all(word in both for word in words) else None


def _is_cut(normal: str, end: int) -> bool:
    """Whether a digit or a hyphen follows, as in ``Ki-67``: what stood there was no name."""
    return normal[end : end + 1].isdigit() or normal[end : end + 1] == "-"


def _is_given_to(words: str) -> bool:
    """Whether words begin with a given name: May Brown, PA, but neither Camp Hill, PA nor Chest PA."""
    first = words.partition(" ")[0].lower().rstrip(",.")
    return is_given(first) or first in GIVEN_WORDS


def _before_degree(normal: str, start: int, end: int) -> Iterator[Removal]:
    """``John A. Smith, MD``: the words before a degree, without those that are no name."""
    if normal[start:end] == "DO" and not normal[max(0, start - 3) : start].rstrip().endswith(","):
        return
    if not normal[start].isupper() or not any(sign.isupper() for sign in normal[start + 1 : end]):
        return
    found = _BEFORE_DEGREE.search(normal, max(0, start - _LONGEST_BEFORE_DEGREE), start)
    if found is None or (normal[start:end] == "PA" and not (normal[start - 2] == "," and _is_given_to(found[0]))):
        return
    lists = name_words()
    words = list(re.finditer(r"[^ ,]+", found[0]))
    names = [word for word in words if word[0].lower().rstrip(".") not in lists.latin]
    if any(len(word[0].rstrip(".")) > 1 for word in names) and len(words) > 1:
        first = next((word for word in reversed(words) if word not in names), None)
        offset = first.end() if first else 0
        inside = re.search(r"\S.*", found[0][offset:])
        if inside and inside[0].strip(" ,."):
            yield _removal(normal, found.start() + offset + inside.start(), found.end(), Kind.STAFF, "degree.staff")
