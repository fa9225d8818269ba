"""Names in scripts that no Chinese report is written in: Cyrillic, Mongolian, Tibetan, Arabic, Hangul, Kana and Thai.

Greek is none of them: α, κ and μ are medicine.
"""

from collections.abc import Iterator

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.namewords import is_han
from pathcurate.text.beginnings import Searched

# Of Cyrillic only words with small letters: capitals alone are Latin ones that were typed on another keyboard (СЕА).
_CYRILLIC = r"[\u0400-\u042f](?<![\u0400-\u052f][\u0400-\u042f])[\u0430-\u052f]{2,24}"
_RUNS = tuple(
    f"{signs}{{3,24}}"
    for signs in (
        "[\u1820-\u18aa\u180b-\u180e]",
        "[\u0f40-\u0fbc\u0f0b]",
        "[\u0620-\u065f\u066e-\u06d3]",
        "[\uac00-\ud7a3]",
        "[\u3041-\u3096\u30a1-\u30fa\u30fc]",
        "[\u0e01-\u0e4e]",
    )
)
_NAME = Searched("|".join(f"{word}(?:[ -]{word}){{0,4}}" for word in (_CYRILLIC, *_RUNS)))


def find_foreign_names(normal: str) -> Iterator[Removal]:
    """Words of these scripts in a text that is written in Chinese."""
    matches = () if normal.isascii() else _NAME.finditer(normal)
    if matches and is_han(normal):
        yield from (Removal(*match.span(), Kind.PERSON, "script.person") for match in matches)
