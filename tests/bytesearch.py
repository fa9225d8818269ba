"""An independent search for values in all bytes of files, in the encodings that scanners and people write."""

import base64
from pathlib import Path

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")


def forms(value: str) -> set[bytes]:
    """A value in every encoding, and in Base64 at each of the three places where its first byte may stand."""
    raw = {value.encode(code) for code in ENCODINGS} | {value.lower().encode(), value.upper().encode()}
    packed = set()
    for data in (value.encode(), value.encode("gb18030")):
        for before in range(3):
            text = base64.b64encode(bytes(before) + data)
            # Digits that depend on the neighbours' bits are left out.
            packed.add(text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6])
    return {form for form in raw | packed if len(form) >= 4}


def left_in(folder: Path, values: dict[str, str]) -> set[tuple[str, str]]:
    """Which values stand in which files below a folder, or in their names."""
    found = set()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            data = file.read_bytes() + b"\0" + str(file.relative_to(folder)).encode()
            found |= {(file.name, place) for place, value in values.items() if any(form in data for form in forms(value))}
    return found
