"""Passwords in addresses, which no message shows."""

import re

# What stands for a password in an address; a reference to one is no secret. One of a database may hold what is not escaped.
_REFERENCE = r"(?!\$\{(?:env|file):[^{}]*\}@)"
_SECRET = re.compile(
    rf"""(postgres\w*(?:\+\w+)?://[^\s@:]*:){_REFERENCE}(.+)(?=@)|([?&]\w*(?:pass|secret)\w*=)([^\s&"']+)"""
    rf"""|(://[^\s@:"']*:){_REFERENCE}([^\s@"']+)(?=@)""",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The text with an asterisk for each character of a password (``scheme://user:password@host``, ``?password=…``)."""
    return _SECRET.sub(lambda found: next(found[at] + "*" * len(found[at + 1]) for at in (1, 3, 5) if found[at]), text)
