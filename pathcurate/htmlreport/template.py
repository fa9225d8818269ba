"""The one door to the templates: everything is escaped, nothing may be missing, and no value can change what one sees.

Values may come from anywhere. Beyond markup, text can hold control characters, which XML forbids, and marks that reverse
the direction of what follows them, so that a person reads something else than what is there: both are shown as their
code points instead.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Controls but tab and line ends; line and paragraph separators; the bidirectional controls (UAX 9 section 2); surrogates,
# the byte order mark and the two that XML 1.0 section 2.2 leaves out.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def render(name: str, **values: object) -> str:
    """A template of this package with values in it; all of them are escaped but those that are ``Markup``."""
    return _environment().get_template(name).render(values)


def picture_source(picture: bytes | None) -> Markup | None:
    """A picture as an address for an ``img``; None for anything but a JPEG."""
    if picture is None or not picture.startswith(b"\xff\xd8\xff"):
        return None
    return Markup("data:image/jpeg;base64,") + base64.b64encode(picture).decode("ascii")


@cache
def own_script(name: str) -> Mapping[str, str]:
    """A script of this package, as ``script`` and the ``script_digest`` by which its page lets it in."""
    script = files("pathcurate.htmlreport").joinpath(name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return {"script": Markup(script), "script_digest": digest}  # noqa: S704 -- without any value in it


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pathcurate.htmlreport", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(grouped=grouped, share=share)
    return environment


def _finalize(value: object) -> object:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def shown(text: str) -> str:
    """Text as a page may hold it: what cannot be seen, or turns what can be seen around, as ``U+202E``."""
    return _UNSHOWABLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def grouped(number: int) -> str:
    """A whole number with its digits in groups of three, parted by a narrow space at which no line breaks (ISO 80000-1)."""
    return f"{number:,}".replace(",", "\u202f")


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal; what is neither none nor all is never shown as if it were."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "<\u202f0.1\u202f%"
    if 99.95 <= percent < 100:
        return ">\u202f99.9\u202f%"
    return f"{percent:.1f}\u202f%"
