"""RE2 patterns spelled so that Java's and Rust's regular expressions read them as RE2 does.

Spark matches with Java's engine and Sail with Rust's. Both differ from RE2 (https://github.com/google/re2/wiki/Syntax) in
what ``\\d``, ``.`` and ``$`` mean, in names of classes and in which characters need a backslash. Here every literal that is
not a letter or a digit becomes ``\\x{..}`` and every class a list of ranges, which the three read alike.
"""

import re
from collections.abc import Generator, Iterator

import re2

_DIGITS, _WORDS, _SPACES = "0-9", "0-9A-Za-z\\x{5F}", "\\x{9}\\x{A}\\x{C}\\x{D}\\x{20}"
_PERL = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\\x{0}-\\x{7F}", "blank": "\\x{9}\\x{20}",
    "cntrl": "\\x{0}-\\x{1F}\\x{7F}", "digit": _DIGITS, "graph": "\\x{21}-\\x{7E}", "lower": "a-z",
    "print": "\\x{20}-\\x{7E}", "punct": "\\x{21}-\\x{2F}\\x{3A}-\\x{40}\\x{5B}-\\x{60}\\x{7B}-\\x{7E}",
    "space": "\\x{9}-\\x{D}\\x{20}", "upper": "A-Z", "word": _WORDS, "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_SYNTAX = {".": "[^\\x{A}]", "$": "\\z"} | {sign: sign for sign in ("\\A", "\\z", *"^|()*+?")}
_CHARACTERS = r"""
    \\x\{(?P<long>[0-9A-Fa-f]+)\} | \\x(?P<short>[0-9A-Fa-f]{2})
    | \\(?P<property>[pP])(?:\{(?P<inverse>\^?)(?P<name>\w+)\}|(?P<letter>[A-Z]))
    | \\(?P<escaped>.) """
_INSIDE = re.compile(
    rf"{_CHARACTERS} | \[:(?P<not>\^?)(?P<posix>[a-z]+):\] | (?P<plain>.)", re.VERBOSE | re.DOTALL
)  # fmt: skip
_OUTSIDE = re.compile(
    rf"""\\Q(?P<quoted>.*?)(?:\\E|\Z) | {_CHARACTERS}
    | \(\?(?:P?<\w+>|(?P<colon>:)|(?P<flags>[imsU-]+)(?P<end>[:)]))
    | (?P<repetition>\{{[0-9]+(?:,[0-9]*)?\}})
    | (?P<opening>\[\^?)
    | (?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)  # fmt: skip


def common_pattern(pattern: str) -> str:
    """The pattern in the common spelling; named groups become plain ones.

    Raises:
        ValueError: it is no RE2 pattern, or has no common spelling: ``\\b``, ``\\B``, ``\\C``, octal escapes, the flags m, s
            and U. The message does not repeat the pattern.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error:
        raise ValueError("it is not an RE2 pattern") from None
    return "".join(_spelled(pattern))


def _spelled(pattern: str) -> Iterator[str]:
    place = 0
    while place < len(pattern):
        token = _match(_OUTSIDE, pattern, place)
        place = token.end()
        if token["opening"]:
            yield token["opening"]
            place = yield from _class(pattern, place)
        else:
            yield _outside(token)


def _class(pattern: str, place: int) -> Generator[str, None, int]:
    """What stands between brackets, with the closing one; gives the place behind it."""
    first, may_begin_range = place, False
    while pattern[place] != "]" or place == first:
        token = _match(_INSIDE, pattern, place)
        is_range = token["plain"] == "-" and may_begin_range and pattern[place + 1] != "]"
        yield "-" if is_range else _character(token)
        place = token.end()
        if is_range:
            high = _match(_INSIDE, pattern, place)
            yield _character(high)
            place = high.end()
        is_single = not (token["property"] or token["posix"] or (token["escaped"] or "").lower() in _PERL)
        may_begin_range = is_single and not is_range
    yield "]"
    return place + 1


def _match(expected: re.Pattern[str], pattern: str, place: int) -> re.Match[str]:
    found = expected.match(pattern, place)
    assert found is not None  # noqa: S101 - the last branch of both is any character
    return found


def _outside(token: re.Match[str]) -> str:
    """A token that does not stand between brackets."""
    text: str = token[0]
    if token["flags"]:
        if set(token["flags"]) - {"i", "-"}:
            raise ValueError("flags other than (?i) mean different things on different engines")
        # Java folds ASCII letters alone without `u`, which is what Rust does in any case.
        return f"(?{token['flags'].replace('i', 'iu')}{token['end']}"
    if text.startswith("(?"):
        return "(?:" if token["colon"] else "("
    if token["quoted"] is not None:
        return "".join(map(_literal, token["quoted"]))
    if text in _SYNTAX or token["repetition"]:
        return str(_SYNTAX.get(text, text))
    return f"[{_character(token)}]" if token["escaped"] in set("dws") else _character(token)


def _character(token: re.Match[str]) -> str:
    """One character or a set of them, as written between brackets."""
    if token["long"] or token["short"]:
        return f"\\x{{{int(token['long'] or token['short'], 16):X}}}"
    if token["property"]:
        return _property(token)
    if token["plain"]:
        return _literal(token["plain"])
    if token["escaped"] is None:
        ranges = _POSIX[token["posix"]]
        return f"[^{ranges}]" if token["not"] else ranges
    return _escaped(token["escaped"])


def _escaped(character: str) -> str:
    if character.lower() in _PERL:
        ranges = _PERL[character.lower()]
        return f"[^{ranges}]" if character.isupper() else ranges
    if character in _CONTROLS:
        return f"\\x{{{_CONTROLS[character]:X}}}"
    if character.isalnum():
        raise ValueError(f"\\{character} means different things on different engines")
    return _literal(character)


def _property(token: re.Match[str]) -> str:
    # A script's name needs `Is` in Java, which Rust allows; a general category has one letter or two in all three.
    name = token["letter"] or token["name"]
    if name == "Any":
        raise ValueError("\\p{Any} is not known to every engine")
    is_inverse = (token["property"] == "P") != bool(token["inverse"])
    return f"\\{'P' if is_inverse else 'p'}{{{name if len(name) <= 2 else f'Is{name}'}}}"


def _literal(text: str) -> str:
    return text if text.isascii() and text.isalnum() else f"\\x{{{ord(text):X}}}"
