"""Names that nothing announces and no list holds: words with a capital inside an English sentence that are no words.

Default-deny: what is written with a capital where the language asks for none, and is no word of it, of pathology or of the
trade, is taken for the name of a person or a place, unless what stands beside it says that something is called after it or
that somebody made something: ``Ficat stage``, ``Vysis 3``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishsorts import NAMES, Sort, sort_of
from pathcurate.scrubbers.text.englishwords import english_words, is_eponym, is_term, is_word
from pathcurate.scrubbers.text.namewords import folded_name, is_han

_LOW = "a-z\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_UP = "A-Z\u00c0-\u00d6\u00d8-\u00deĆČĎĐŁŃŇŘŚŞŠŤŹŻŽİŐŰ"
_WORD = re.compile(
    rf"(?<![{_LOW}{_UP}0-9_@.\\'’-])(?:(?:Mc|Mac|De|Di|Du|La|Le|Van|Von|Fitz|[DLO]['’])(?=[{_UP}][{_LOW}]))?[{_UP}][{_LOW}]+"
    rf"(?:[-'’](?:(?:Mc|Mac|O['’])?[{_UP}])?[{_LOW}]+)*(?![{_LOW}{_UP}0-9_@]|-[0-9{_UP}]|\.[{_LOW}]{{2}})"
)
_BETWEEN = re.compile(
    rf"[ ](?:[{_UP}]\.?[ ]|(?:(?:van|von|der|den|de|la|le|di|da|dos|du|bin|binti|binte|bte|bt|a/l|a/p|s/o|d/o|ap|al|el|y"
    rf"|Ní|Ó|Uí|Mac|St\.)[ ]){{1,2}})?"
    rf"|(?<=[ .][{_UP}])\.[ ]?"
)
_INITIALS_BEFORE = re.compile(
    rf"(?<![{_LOW}{_UP}0-9.'’/-])(?=\S)(?:[{_UP}][ ](?:[{_UP}][ ])?|"
    rf"(?:[{_UP}]\.-?[ ]?){{1,3}}|(?:Mohd|Muhd|Md|Abd|Wm|Chas|Thos|Jas|Geo)\.?[ ]"
    rf"|(?:Ng|Wu|Li|Xu|Yu|Hu|Ho|Lo|Vu|Oh|Ko|Su|Ma|Lu|Fu|Ye|Gu|Qi)[ ])?(?:(?:van|von|der|den|de|la|le|di|da|dos|du|al|el"
    rf"|ap)[ ]){{0,2}}\Z"
)
# A. Omentum is an item of a list, 3. D. Ormerod is in one.
_ITEM = re.compile(r"[A-M]\.[ ]\Z")
_ITEM_BEFORE = re.compile(r"[0-9][.)][ ]\Z")
_INITIAL_BEHIND = re.compile(
    rf",?[ ][{_UP}](?:\.(?=[ ,;]|$)|(?=[ ]*(?:[,;.)\n]|$))|(?=[ ](?:and|vs?|or|hosp"
    rf"|[0-9]{{4}})(?![a-z])))"
)
_STARTS = re.compile(r"(?:\A|[\n.!?:;•*|>]|(?:^|\n)[ ]*[-–—]|[0-9A-Z][.)]|[–—-]|[\"“”]|\t|  )[ ]*\Z")
_CALLED = re.compile(
    r"['’]?s?(?:[ ]?(?:[/&-]|and"
    r"|or)[ ]?[A-Z][A-Za-z]+['’]?s?){0,2}(?:[ -](?P<first>[A-Za-z]+))?(?:[ -](?P<second>[A-Za-z]+))?"
)
_NO_NAME_BEHIND = re.compile(
    r"[ ]?[+(±][+±-]|[ ]?\+|[ ]?[<>≥≤=®™]|[ ][0-9]{1,2}(?![0-9]|[/.:-][0-9]|(?:st|nd|rd|th)|[ ](?:[JFMASOND][a-z]{2}|yo|y))"
    r"|[ ](?:[IVX]{1,4}[ABCabc]?|[A-F][0-9]?|[Nn]o)(?![A-Za-z.]|[ ,]{1,2}[0-9]{1,3}[ ,y]|/[0-9])"
    r"|[ ]?%|['’]?s?[ -](?:positive|negative|immuno|stain|antibod|clone|assay|probe|kit|test|spp|sp\.)"
)
_GOES_ON_LOW = re.compile(r"[ ]([a-z]{4,})")
_SPECIES = re.compile(r"(?:i|us|um|is|ae|ans|a|ii|es|ri)$")
_PERSON_BEHIND = re.compile(
    r"(?:['’]s?[ ](?:office|list|clinic|secretary|team|request|patient|slides?|son|daughter|wife|husband|mother|father"
    r"|opinion|"
    r"GP|surgery|theatre|notes?|letter|bloods?|sister|brother|family|partner|m[uo]m|dad|gran|nan|carer|parents)\b"
    r"|,?[ ]who[ ]|[ ](?:agree[ds]?|concur(?:s|red)?|said|says|asked|asks|called|phoned|rang|wrote|e-?mailed|will|thinks"
    r"|wants|"
    r"to[ ](?:see|review|chase|call|ring|discuss|present|follow|check|phone|confirm|arrange|inform)|informed|notified"
    r"|wondered|"
    r"(?:is|was|were|has[ ]been)[ ](?:informed|told|notified|aware|called|paged|away|off|on[ ]leave|happy|contacted|asked)"
    r"|(?:is|was)[ ](?:a|an)[ ][0-9]|presented|attended|underwent|requested|dictated|verified|thanked|texted|replied)\b)"
)
_SCHOLAR_BEFORE = re.compile(
    r"(?i)(?:dating|grad(?:e[ds]?|ing)|stag(?:e[ds]?|ing)|scor(?:e[ds]?|ing)|classif[a-z]+|criteria|method|technique|system"
    r"|modified|according|"
    r"index|level|type|pattern)[ ](?:as[ ]|is[ ]|[0-9IVX]{1,4}[ ])?(?:\(?(?:per|by|of|after|to|using|via)[ ])?\Z"
)
_ROLE_BEFORE = re.compile(
    r"(?<![A-Za-z])(?:Cons|Consult|Reg|Surg|Path|Pathol|Sec|Ref|Phys|Tech|Asst|Rad|Onc|Attg|Attn|Dir|Sup|Spr|Histo|Haem"
    r"|Pt|pt|PT|[dDsS]?/?w|re|Re|RE|GP|PCP|Attend|Subm|Ord|Req|Phleb)[.:]?[ ]\Z|(?:[dDsS]/w|W/)[ ]\Z"
)
# Who speaks for a department: Radiology (Teixeira) favours; and on which day: (Vukovic, 11 Jul).
_DEPARTMENT_BEFORE = re.compile(
    r"(?i:radiology|ortho(?:paedics)?|oncology|surgery|surgeons?|genetics|micro(?:biology)?|ha?ematology|registrar|reg"
    r"|fellow"
    r"|resident|team|clinic|office|secretary|gynae|urology|gastro|imaging|theatres?|ward|nurse|lab|transplant|icu|itu|ed"
    r"|consultant|trainee|pharmacy|anaesthetics|reception|mortuary|coordinator|tech|scientist)[ ]\(\Z"
)
_DAY_BEHIND = re.compile(
    r",?[ ](?:[0-3]?[0-9][ /.-](?:[01]?[0-9]|[JFMASOND][a-z]{2})(?![a-z0-9])"
    r"|[JFMASOND][a-z]{2}[ ][0-3]?[0-9])"
)
_SLASH_BEFORE = re.compile(
    rf"(?:(?P<first>[{_UP}][{_LOW}]+)\.?[ ])?(?<![{_LOW}{_UP}0-9/])(?P<v>[{_UP}][{_LOW}]+)(?:/|[ ]/[ ])\Z"
)
_SLASH_BEHIND = re.compile(
    rf"(?:/|[ ]/[ ])(?P<v>[{_UP}][{_LOW}]+)(?![{_LOW}{_UP}0-9/-]"
    rf"|[ ](?:[{_UP}]\.?[ ])?[{_UP}][{_LOW}])"
)
_PLACE_BEFORE = re.compile(r"(?:\b(?:at|from|in|near|of|to|via|outside)(?: the)?|[Tt]he)[ ]\Z")
_MAKER = re.compile(r"(?<![0-9]{4}[ ])\((?:[^()\n]{0,24}[,;/ ])?\Z")
_REACHED = re.compile(
    r"(?<![A-Za-z])(?:told|informed|notified|phoned|called|paged|rang|asked|emailed|bleeped|texted|thanked|call"
    r"(?: back)? from|message (?:from|for)|"
    r"left for|spoke (?:to|with)|speaking (?:to|with)|handed to|given to|read back by|result to|results to|thanks"
    r"|cheers),?[ ]\Z"
)
_REACHED_BEHIND = re.compile(r"[ ]*(?:[.,;)\n]|\Z)|[ ](?:at|in|on|who|the|for|and|to|is|was|said|about|from|[0-9(])")
_WRITTEN_ON = re.compile(r"(?:label+(?:ed|s)?|reads?|says?|marked|named|called|as|and|with|under|for|of|is)[ :]{1,2}[\"“]\Z")
_WHOLE_LINE = re.compile(r"[ ]*(?:,[ ]|[ ]{2}|\n|$)")
_CAPITALS_BEHIND = re.compile(rf"[ ](?P<v>(?!FRC|MRC|FAC|FCA|MBB|FIB|DAB|MPH)[{_UP}]{{4,20}})(?![{_LOW}{_UP}0-9-])")
_CAPITALS_BEFORE = re.compile(rf"(?<![{_LOW}{_UP}0-9/-])(?P<v>[{_UP}]{{4,20}})[ ]\Z")
_VERB = re.compile(
    r"[ ](?:is|was|has|had|will|who|also|did|does|at|from|and I|in|[a-z]{3,}(?<!ie)ed|favours?|thinks"
    r"|wants|feels|spent|began|said|went"
    r"|gave|took|saw|rang|wrote|sent|told|came|felt|made|left|got|brought|knows|says|needs|asks|agrees)[ ]"
)
_NUMBERED = re.compile(r",?[ ]\(?(?:[A-Z]{1,4}-?)?[0-9]{5}")
_GIVEN_DOES = re.compile(
    r"[ ](?!and[ ]|or[ ])[a-z]{2,}[ .,]|,[ ](?:it|I|we|you|can|could|please|the|this|would|thanks"
    r"|are|have|do|did|is|any|in|path|ortho|ward|theatre|clinic|histo|cyto|micro|reception|sec(?:retary)?|bms|office|lab)\b"
)
# Who is spoken to: Marnie, are these right?
_ASKED = re.compile(
    r",[ ](?:it's|I|I've|we|you|can you|could you|please|are|have you|do you|did you|is this|any chance"
    r"|re)[ ]"
)
_REST_OF_FIELD = re.compile(rf",[ ]?(?P<v>[{_UP}][{_LOW}]+)(?=[ ]*(?:\n|$|[ ]{{2}}|[;|(]))")
_AFTER_COMMA = re.compile(rf",[ ]?(?P<v>[{_UP}][{_LOW}]+)(?![{_LOW}{_UP}0-9])")
_WARD = re.compile(r"[ ](?:[Ww]ard|WARD)(?![a-z])")
_WARD_BEFORE = re.compile(r"(?:[Ww]ard|WARD)[ ]\Z")
_LAST_LINES = 160
_IRISH = frozenset({"ní", "nic", "uí", "mhic"})
_LONGEST_SYLLABLE = 6
_SHORT_SURNAMES = frozenset(
    {"bui", "chan", "cho", "choi", "chua", "fung", "goh", "ho", "hui", "jung", "kang", "kim", "koh", "lam", "lau",
     "lee", "lim", "ly", "ma", "mak", "ng", "ngo", "ong", "park", "sze", "tam", "tan", "tang", "tay", "teo", "toh",
     "vo", "vu", "wan", "wu", "yeo", "yu"}
)  # fmt: skip
_WORDS = frozenset({Sort.WORD, Sort.VOCABULARY})
_NOT_ONLY_WORDS = NAMES | {Sort.BOTH}
# Whoever ends a text with nothing but a word has signed it.
_SIGNS = re.compile(r"(?:[.!?)][ ]|\n|[–—-][ ])\Z")
_PLACE_WORDS = frozenset(
    {"park", "hill", "road", "house", "county", "valley", "base", "hospital", "clinic", "surgery", "cross", "green", "bay",
     "beach", "bridge", "court", "hall", "private", "bluff", "district", "general", "royal", "health", "medical", "centre",
     "center", "infirmary", "university", "college", "community", "creek", "springs", "falls", "heights", "lodge", "grove",
     "city", "town", "village", "island", "lake", "river", "pathology", "diagnostics", "laboratories", "labs", "aviation",
     "motors", "foods", "regional", "memorial", "mount", "port", "north", "south", "east", "west", "new", "great", "saint",
     "st", "mt", "upper", "lower", "nether", "old", "glen", "glan", "castle", "market", "campus", "site", "unit",
     "suite", "surgical", "transplant", "oncology", "dermatology", "urology", "imaging", "radiology", "cancer", "school",
     "academy", "practice", "haven", "harbour", "harbor", "field", "fields", "gate", "view"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    """A word with a capital, and how much of a name it is."""

    start: int
    end: int
    word: str
    sort: Sort


def find_strangers(normal: str) -> Iterator[Removal]:
    """Names of this kind in a text of half width without Han characters; places may overlap."""
    if not normal.isascii() and is_han(normal):
        return
    runs = list(_runs(normal))
    names = list(_joined(normal, [name for tokens in runs for name in _of_run(normal, tokens)]))
    yield from names
    # Who is named inside a sentence may begin another one.
    known = {word for name in names for word in name.value.split(" ") if len(word) > len("Vu")}
    for tokens in runs:
        for token in tokens:
            if token.sort is Sort.STRANGER and token.word.upper() in known and not _is_called_after(normal, token.end):
                yield Removal(token.start, token.end, Kind.PERSON, "stranger.again", token.word.upper())


def _joined(normal: str, names: Sequence[Removal]) -> Iterator[Removal]:
    """Places behind a comma made one with the place before it: Heol Fawr, Aberaeron."""
    last: Removal | None = None
    for name in names:
        if last and last.kind is name.kind is Kind.PERSON and _is_surname_first(normal, last, name):
            last = Removal(last.start, name.end, Kind.PERSON, last.rule, folded_name(normal[last.start : name.end]))
            continue
        if last and last.kind is Kind.HOSPITAL and name.start == last.end + 2 and normal.startswith(", ", last.end):
            last = Removal(last.start, name.end, Kind.HOSPITAL, last.rule)
            continue
        if last:
            yield last
        last = name
    if last:
        yield last


def _is_surname_first(normal: str, surname: Removal, given: Removal) -> bool:
    """Whether a given name stands behind a surname and a comma: Vaughan-Lee, Imogen."""
    is_behind = given.start == surname.end + 2 and normal.startswith(", ", surname.end)
    first = _WORD.match(normal, given.start)
    is_given = first is not None and sort_of(first[0]) is Sort.GIVEN
    return is_behind and is_given and " " not in normal[surname.start : surname.end]


def _runs(normal: str) -> Iterator[list[_Token]]:
    """Words with a capital that stand side by side."""
    run: list[_Token] = []
    for found in _WORD.finditer(normal):
        written = found[0]
        end = found.end()
        for ending in ("'s", "’s"):
            if written.endswith(ending):
                written, end = written[:-2], end - 2
        token = _Token(found.start(), end, written.lower(), sort_of(written))
        if run and not (_BETWEEN.fullmatch(normal, run[-1].end, token.start) and run[-1].end != token.start):
            yield run
            run = []
        run.append(token)
    if run:
        yield run


def _of_run(normal: str, run: Sequence[_Token]) -> Iterator[Removal]:
    at = 0
    while at < len(run):
        if run[at].sort in _WORDS:
            at += 1
            continue
        last = at
        while last + 1 < len(run) and _goes_on(run, last):
            last += 1
        yield from _of_name(normal, run, at, last)
        at = last + 1


def _goes_on(run: Sequence[_Token], last: int) -> bool:
    """Whether the word behind a place of a run is of the same name: a word of no list, a surname that is one, or ``Ní``."""
    behind = run[last + 1]
    is_surname = behind.sort is Sort.VOCABULARY and run[last].sort is Sort.GIVEN
    return behind.sort not in _WORDS or is_surname or (behind.word in _IRISH and last + 2 < len(run))


def _of_name(normal: str, run: Sequence[_Token], first: int, last: int) -> Iterator[Removal]:
    """A name of the words from ``first`` to ``last`` of a run."""
    tokens = run[first : last + 1]
    start, end = _with_parts(run, first, last, _behind_initials(normal, tokens), tokens[-1].end)
    sorts = {token.sort for token in tokens}
    is_begun = start == tokens[0].start and _STARTS.search(normal, max(0, start - 8), start) is not None
    is_begun = is_begun and _ROLE_BEFORE.search(normal, max(0, start - 14), start) is None
    acts = _PERSON_BEHIND.match(normal, end) is not None
    if not sorts & NAMES and (is_begun or not (acts or _is_reached(normal, start, end))):
        return
    if _is_else(normal, start, end, tokens, is_given=Sort.GIVEN in sorts):
        return
    surname = _CAPITALS_BEFORE.search(normal, max(0, start - 24), start)
    if surname and sort_of(surname["v"].capitalize()) not in _WORDS:
        start, acts = surname.start("v"), True
    capitals = _CAPITALS_BEHIND.match(normal, end)
    if capitals and sort_of(capitals["v"].capitalize()) is Sort.STRANGER:
        end, acts = capitals.end(), True
    start, end, is_joined = _with_other(normal, start, end)
    acts = acts or is_joined or (tokens[0].sort is Sort.STRANGER and _is_aside(normal, start, end))
    if len(tokens) == 1 and is_begun and not acts and not _is_quoted(normal, start, end):
        if not _begins_name(normal, tokens[0]):
            return
        field = _REST_OF_FIELD.match(normal, end)
        end = field.end() if field and sort_of(field["v"]) in NAMES else end
    start, end, is_place = _with_place(run, first, last, start, end)
    behind = _INITIAL_BEHIND.match(normal, end) if not is_place else None
    if behind and (len(tokens) == 1 or normal[end] != ","):
        end = behind.end()
    led = _PLACE_BEFORE.search(normal, max(0, start - 12), start)
    if is_place or (led and Sort.GIVEN not in sorts):
        yield Removal(start, end, Kind.HOSPITAL, "stranger.place")
    else:
        yield Removal(start, end, Kind.PERSON, "stranger.person", folded_name(normal[start:end]))


def _behind_initials(normal: str, tokens: Sequence[_Token]) -> int:
    """Where a name begins: at its initials, if they are no item of a list."""
    start = tokens[0].start
    initials = _INITIALS_BEFORE.search(normal, max(0, start - 14), start)
    if initials is None:
        return start
    is_item = _ITEM.match(initials[0]) and _STARTS.search(normal, max(0, initials.start() - 8), initials.start())
    is_in_one = _ITEM_BEFORE.search(normal, max(0, initials.start() - 5), initials.start())
    return start if is_item and len(tokens) == 1 and not is_in_one else initials.start()


def _is_else(normal: str, start: int, end: int, tokens: Sequence[_Token], *, is_given: bool) -> bool:
    """Whether what stands beside a name says that it is an eponym, a maker, a germ, an antibody or a ward."""
    if _is_called_after(normal, end) or _NO_NAME_BEHIND.match(normal, end) or is_term(normal[start : end + 24]):
        return True
    if _is_species(normal, tokens[-1]) or _WARD.match(normal, end) or _WARD_BEFORE.search(normal, max(0, start - 8), start):
        return True
    if is_given:
        return False
    is_made = len(tokens) == 1 and _MAKER.search(normal, max(0, start - 26), start) and not _is_aside(normal, start, end)
    return bool(is_made or _SCHOLAR_BEFORE.search(normal, max(0, start - 32), start))


def _with_parts(run: Sequence[_Token], first: int, last: int, start: int, end: int) -> tuple[int, int]:
    """A name with the short surname before it that is a word too, and then with a short word behind it: Tan Siew Eng."""
    before = run[first - 1] if first else None
    if before is None or before.word not in _SHORT_SURNAMES or len(run[first].word) > _LONGEST_SYLLABLE:
        return start, end
    behind = run[last + 1] if last + 1 < len(run) else None
    is_part = behind is not None and len(behind.word) < _LONGEST_SYLLABLE - 1 and not is_word(behind.word)
    return before.start, behind.end if behind and is_part else end


def _is_aside(normal: str, start: int, end: int) -> bool:
    """Whether a name in brackets is that of who acts: behind a department, or before a day."""
    is_open = normal.startswith("(", start - 1)
    return is_open and bool(_DEPARTMENT_BEFORE.search(normal, max(0, start - 24), start) or _DAY_BEHIND.match(normal, end))


def _with_other(normal: str, start: int, end: int) -> tuple[int, int, bool]:
    """A name with the other that a stroke joins to it, and whether there is one: Wu/Albrecht, Nakagawa / Young."""
    alone = start, end
    before = _SLASH_BEFORE.search(normal, max(0, start - 36), start)
    # John Smith / Jane Roe are two.
    is_second = before is not None and before["first"] is not None and sort_of(before["first"]) in _NOT_ONLY_WORDS
    is_name = before is not None and (sort_of(before["v"]) in _NOT_ONLY_WORDS or len(before["v"]) == len("Wu"))
    if before and is_name and not is_second:
        start = before.start("v")
    behind = _SLASH_BEHIND.match(normal, end)
    if behind and sort_of(behind["v"]) in _NOT_ONLY_WORDS:
        end = behind.end()
    return start, end, (start, end) != alone


def _with_place(run: Sequence[_Token], first: int, last: int, start: int, end: int) -> tuple[int, int, bool]:
    """A place with the words that are of its name: Wollaton Park, Royal Thornbury."""
    is_place = False
    while last + 1 < len(run) and run[last + 1].word in _PLACE_WORDS:
        last, is_place = last + 1, True
        end = run[last].end
    while first > 0 and run[first - 1].word in _PLACE_WORDS:
        first, is_place = first - 1, True
        start = run[first].start
    return start, end, is_place


def _is_reached(normal: str, start: int, end: int) -> bool:
    """Whether a word that is a name as well stands where somebody is told something: told Sandy at noon."""
    return (
        _REACHED.search(normal, max(0, start - 24), start) is not None
        and _REACHED_BEHIND.match(normal, end) is not None
        and not is_eponym(normal[start:end].lower())
    )


def _is_quoted(normal: str, start: int, end: int) -> bool:
    """Whether a word stands in quotes behind what says that it is written on something: the label reads "Abernethy"."""
    return normal[end : end + 1] in {'"', "”"} and _WRITTEN_ON.search(normal, max(0, start - 24), start) is not None


def _begins_name(normal: str, token: _Token) -> bool:
    """Whether a word at the beginning of a sentence is a name: of a list of names, before an initial or a verb, or alone."""
    if _INITIAL_BEHIND.match(normal, token.end) or _VERB.match(normal, token.end):
        return True
    if _NUMBERED.match(normal, token.end):
        return True
    if (token.sort is Sort.GIVEN and _GIVEN_DOES.match(normal, token.end)) or _ASKED.match(normal, token.end):
        return True
    is_last = token.sort in NAMES and not normal[token.end :].strip(' .\n"')
    if is_last and _SIGNS.search(normal, max(0, token.start - len(") ")), token.start):
        return True
    following = _AFTER_COMMA.match(normal, token.end)
    if following and sort_of(following["v"]) in NAMES and not _is_called_after(normal, following.end()):
        return True
    return (
        token.sort is not Sort.BOTH
        and (token.start == 0 or normal[token.start - 1] == "\n")
        and len(normal) - token.start < _LAST_LINES
        and token.start > 0
        and _WHOLE_LINE.match(normal, token.end) is not None
    )


def _is_called_after(normal: str, end: int) -> bool:
    """Whether something is called after somebody: Ficat radiographic stage, Klintrup and Makinen score."""
    found = _CALLED.match(normal, end)
    if found is None:
        return False
    words = english_words()
    first, second = (found["first"] or "").lower(), (found["second"] or "").lower()
    if first in words.behind_eponyms:
        return True
    return second in words.behind_eponyms and first not in words.function_words


def _is_species(normal: str, token: _Token) -> bool:
    """Whether a word of Latin follows: the genus of a germ."""
    following = _GOES_ON_LOW.match(normal, token.end)
    return following is not None and _SPECIES.search(following[1]) is not None and sort_of(following[1]) is Sort.STRANGER
