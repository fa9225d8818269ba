"""What the crosswalk keeps behind each internal pseudonym (GB/T 39725-2020 10.2 e: the index of codes stays inside)."""

import re
from dataclasses import dataclass

from pathcurate.model.deidentified import PSEUDONYM_BODY, PSEUDONYM_KINDS


@dataclass(frozen=True, slots=True)
class Original:
    """What stands behind one kind of code.

    Attributes:
        fields: names of the values, in order.
        keyed: of how many of them, from the first, the code is made.
    """

    fields: tuple[str, ...]
    keyed: int


ORIGINALS = {
    # A person's numbers as `SITE NUMBER`, with `; ` between them; never a name.
    "P": Original(("person_id", "numbers"), keyed=1),
    "C": Original(("site", "accession"), keyed=2),
    # The path as text: UTF-8, each byte that is none as a lone surrogate (PEP 383), so that it leads back to the file.
    "S": Original(("slide_id", "site", "archive", "relpath"), keyed=1),
    "R": Original(("report_id", "site", "accession"), keyed=1),
    "I": Original(("series_id", "site", "archive", "relpath"), keyed=1),
    "A": Original(("annotation_id", "site", "slide_id"), keyed=1),
    "M": Original(("material_id", "site", "accession"), keyed=1),
}
"""Kind of code (see :data:`~pathcurate.model.deidentified.PSEUDONYM_KINDS`) to what the crosswalk keeps of it."""

_CODE = re.compile(rf"([{''.join(PSEUDONYM_KINDS)}])-{PSEUDONYM_BODY}")


def kind_of(code: str) -> str | None:
    """The kind of a code, None if the text is no code."""
    match = _CODE.fullmatch(code)
    return match[1] if match else None
