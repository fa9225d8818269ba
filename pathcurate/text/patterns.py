"""Patterns that analysts write: RE2, compared with folded text, without regard to case."""

import re
from collections.abc import Sequence

import re2

from pathcurate.text.folding import fold

_MOST_MEMORY = 64 << 20
_REFUSED = {"\\Q": "write each sign with a backslash instead of \\Q", "\\C": "\\C would cut letters of several bytes apart"}
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ANCHOR = re.compile(r"[\^$]|\\[Az]")


def fault(pattern: str) -> str:
    """What is wrong with a pattern, in words; nothing if it is good."""
    for escape, words in _REFUSED.items():
        if escape in _ESCAPE.findall(pattern):
            return f"not a pattern for texts: {words}"
    # By itself and not as one of several, so that a bracket too many or too few does not hide among theirs.
    return _fault_of(folded_pattern(pattern))


def joint_fault(patterns: Sequence[str]) -> str:
    """What is wrong with patterns together that are each good, in words; nothing if they are."""
    return _fault_of(joined(patterns))


def _fault_of(folded: str) -> str:
    try:
        compiled = re2.compile(folded, options())
    except re2.error as failure:
        reason = failure.args[0]
        text = reason.decode("utf-8", errors="replace") if isinstance(reason, bytes) else str(reason)
        hint = ""
        if "perl operator: (?" in text:
            hint = " (RE2 has no look-behind and no look-ahead; write what must not be matched under `unless`)"
        elif re.search(r"escape sequence: \\[1-9]", text):
            hint = " (RE2 has no back-references)"
        return f"not an RE2 pattern: {text}{hint}"
    return "the pattern matches the empty text, so it would match everywhere" if compiled.search("") else ""


def compile_any(patterns: Sequence[str]) -> "re2._Regexp":
    """One compiled pattern that matches where any of these does, on folded text (or its UTF-8) and without regard to case.

    Raises:
        re2.error: one of them is not RE2, or two of them name the same group.
    """
    return re2.compile(joined(patterns), options())


def joined(patterns: Sequence[str]) -> str:
    """One pattern for any of these, written for folded text."""
    return "|".join(f"(?:{folded_pattern(pattern)})" for pattern in patterns)


def options() -> "re2.Options":
    """How patterns are compiled. The memory is what a set of many may use, so that it never gives up."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.case_sensitive = False
    chosen.never_capture = True
    chosen.max_mem = _MOST_MEMORY
    return chosen


def folded_pattern(pattern: str) -> str:
    """The pattern for folded text: its letters and signs beyond ASCII folded as the text is, and signs taken literally.

    ``（ＨＥＲ２）`` becomes ``\\(her2\\)``: a full-width bracket is a bracket in the text and no group.
    """
    parts: list[str] = []
    is_escaped = False
    for sign in pattern:
        same = sign if sign.isascii() else fold(sign)
        if not sign.isascii() and same.isascii() and not same.isalnum() and not is_escaped:
            parts.append("\\")
        elif not sign.isascii() and is_escaped and (same.isalnum() or not same.isascii()):
            # A backslash before a letter would now mean something else.
            parts.pop()
        parts.append(same)
        is_escaped = sign == "\\" and not is_escaped
    return "".join(parts)


def has_anchor(pattern: str) -> bool:
    """Whether a pattern may ask for the begin or end of the text."""
    return _ANCHOR.search(pattern) is not None
