"""What numbers, codes and references may look like: what is of no such form is text in the wrong place, and goes."""

import re
from typing import Final

from pathcurate.dicomtexts import decode
from pathcurate.images.colourprofile import blank_texts
from pathcurate.scrubbers.dicom.values import Level, Ruling, Subject, Treatment, matching

_CODE: Final = re.compile(rb"(?!.*[0-9]{6})[A-Za-z0-9_ \-./]{0,16}")
"""The standard's codes have at most 16 characters, and no number that could be a day or somebody's."""
_ONE_INTEGER: Final = rb" *(?:(?!(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9] *(?:\\|$))[+\-]?[0-9]{1,10} *)?"
_INTEGERS: Final = re.compile(_ONE_INTEGER + rb"(?:\\" + _ONE_INTEGER + rb")*")
"""Numbers of up to 31 bits (PS3.5 table 6.2-1) that are no day."""
_ONE_DECIMAL: Final = rb" *(?:[+\-]?(?:[0-9]{1,10}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+\-]?[0-9]{1,3})? *)?"
_DECIMALS: Final = re.compile(_ONE_DECIMAL + rb"(?:\\" + _ONE_DECIMAL + rb")*")
_UID: Final = re.compile(rb"[0-9.\\]{0,1024}")
_REFERENCE: Final = re.compile(r"[A-Za-z]{0,4}[ _\-]?[0-9]{0,4}")
_WRITING: Final = re.compile(rb"[A-Za-z0-9 ,.^=@_\-]{12}|(?:[\xb0-\xf7][\xa1-\xfe]){8}|(?:[\xe4-\xe9][\x80-\xbf]{2}){4}")
"""ASCII, GB 2312 and Chinese in UTF-8, where numbers should be."""
_PRINTED: Final = re.compile(rb"[ -~]{9,}")


def code_string(otherwise: Treatment) -> Treatment:
    """Codes of the standard's stay, each value for itself."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        bare = raw.rstrip(b" \0")
        if subject.is_known(raw, level):
            return otherwise(subject, raw, level, ruling)
        kept = b"\\".join(part if _CODE.fullmatch(part.strip(b" \0")) else b"" for part in bare.split(b"\\"))
        if not kept.strip(b"\\") and bare:
            return otherwise(subject, raw, level, ruling)
        subject.stays(kept, level)
        return raw if kept == bare else kept

    return treat


def integers(otherwise: Treatment) -> Treatment:
    """Whole numbers stay."""
    return matching(_INTEGERS, otherwise)


def decimals(otherwise: Treatment) -> Treatment:
    """Numbers stay."""
    return matching(_DECIMALS, otherwise)


def well_formed_uid(otherwise: Treatment) -> Treatment:
    """UIDs of kinds of things stay."""
    return matching(_UID, otherwise)


def numbers(otherwise: Treatment) -> Treatment:
    """Binary numbers stay, unless their bytes spell a text."""

    def treat(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
        spells = _PRINTED.fullmatch(raw.rstrip(b" \0")) or _WRITING.search(raw)
        return otherwise(subject, raw, level, ruling) if spells else raw

    return treat


def colours(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """A colour profile stays without its texts; what is none goes."""
    made = blank_texts(raw)
    if made is None:
        return b""
    return raw if made == raw else made


def reference(subject: Subject, raw: bytes, level: Level, ruling: Ruling) -> bytes | None:
    """What others refer to stays if it is a number, a few letters or known words; else a code takes its place."""
    said = decode(raw, level.charset).strip(" \0")
    if not subject.is_known(raw, level) and (_REFERENCE.fullmatch(said) or subject.cleaned(said)[1]):
        return raw
    subject.goes(raw, level, ruling)
    return subject.job.codes.code("S", "reference", said).split("-", 1)[-1].encode()
