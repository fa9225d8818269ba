"""Texts of a TIFF: TIFF 6.0 says ASCII; scanners write UTF-8, GB18030 or Latin-1."""


def decode(data: bytes, limit: int) -> str:
    """The text, by the first of the three encodings that fits; one of ``limit`` bytes may be cut within a character."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == limit and error.start > len(data) - 4:
            return data[: error.start].decode("utf-8")
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("latin-1")
