"""What a platform answers to whom handed a release over: an entry's number, and with luck which bytes it is about.

No two platforms answer alike, so a receipt is read for a few words that they use, and everything else in it is left.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.dataspace import Listing, Offering
from pathcurate.storage import LocalSource

KIND = "files"
_LARGEST = 1 << 20
_LONGEST = 500
_DEEPEST = 8
_NAMES: Mapping[str, tuple[str, ...]] = {
    "entry": (
        "entry", "entry_id", "entryId", "catalogId", "catalog_id", "assetId", "asset_id", "resourceId", "resource_id",
        "productId", "product_id", "登记编号", "目录编号", "产品编号", "资源编号", "编号", "@id", "id",
    ),
    "url": ("url", "landingPage", "landing_page", "dcat:landingPage", "link", "href", "网址", "链接"),
    "release_digest": ("release_digest", "releaseDigest", "pcns:releaseDigest", "digest", "sha256", "发布摘要", "摘要"),
    "listed_at": (
        "listed_at", "listedAt", "publishedAt", "published_at", "createdAt", "created_at", "issued", "time", "上架时间",
        "发布时间", "登记时间",
    ),
}  # fmt: skip
"""Words for the same thing, the clearest first."""
_WRAPPERS = ("data", "result", "body", "receipt", "回执", "数据")
_DIGEST = re.compile(r"(?:sha256:)?([0-9A-Fa-f]{64})")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_HINT = "Give the entry's number with --entry instead."


@dataclass(frozen=True, slots=True)
class PlatformReceipt:
    """A platform's answer.

    Attributes:
        entry: what the platform calls the release; never empty.
        url: where it is shown there; empty if not said.
        release_digest: which release the platform names, as ``sha256:`` and digits; empty if not said.
        listed_at: when it was listed, as the platform wrote it; empty if not said.
        sha256: digest of the file's bytes; empty if there is no file.
    """

    entry: str
    url: str = ""
    release_digest: str = ""
    listed_at: str = ""
    sha256: str = ""


def read_receipt(path: Path) -> PlatformReceipt:
    """Read a platform's receipt: JSON, at most 1 MB.

    Raises:
        InputOutputError: it cannot be read, is too large or no JSON, names no entry, or something in it is not of its form.
    """
    try:
        with LocalSource(os.fsencode(path)) as source:
            content = source.read_at(0, _LARGEST + 1)
    except OSError as error:
        raise InputOutputError(
            f"the receipt cannot be read ({type(error).__name__})", "Check that it is a plain file, and its permissions."
        ) from None
    if len(content) > _LARGEST:
        raise InputOutputError(f"the receipt is larger than {_LARGEST >> 20} MB", "A receipt is a short JSON file.")
    try:
        told = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise InputOutputError("the receipt is no JSON", _HINT) from None
    layers = list(_layers(told, 0))
    said = {part: _first(layers, names) for part, names in _NAMES.items()}
    try:
        return _checked(PlatformReceipt(**said, sha256=sha256_text(content)))
    except UsageError as error:
        raise InputOutputError(f"the receipt: {error.message}", _HINT) from None


def _layers(told: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """The object, and those that it wraps its answer in."""
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if isinstance(told, Mapping) and depth < _DEEPEST:
        yield told
        for name in _WRAPPERS:
            yield from _layers(told.get(name), depth + 1)


def _first(layers: list[Mapping[str, Any]], names: tuple[str, ...]) -> str:
    for name in names:
        for layer in layers:
            value = layer.get(name)
            if isinstance(value, bool) or not isinstance(value, str | int):
                continue
            if text := str(value).strip():
                return text
    return ""


def platform_receipt(entry: str, *, url: str = "", release_digest: str = "", listed_at: str = "") -> PlatformReceipt:
    """A receipt from what a person types.

    Raises:
        UsageError: something is not of its form.
    """
    return _checked(PlatformReceipt(entry.strip(), url.strip(), release_digest.strip(), listed_at.strip()))


def _checked(receipt: PlatformReceipt) -> PlatformReceipt:
    if not receipt.entry:
        raise UsageError("no entry is named", "Give the number that the platform has for it.")
    parts = (receipt.entry, receipt.url, receipt.release_digest, receipt.listed_at)
    if not all(len(part) <= _LONGEST and part.isprintable() for part in parts):
        raise UsageError(f"a part is longer than {_LONGEST} characters, or no plain text", "Look at the receipt.")
    if receipt.url and not _is_web(receipt.url):
        raise UsageError("the address of the entry is none that begins with http:// or https://", "Leave it away.")
    if receipt.listed_at and _MOMENT.fullmatch(receipt.listed_at) is None:
        raise UsageError("the time is not written as 2026-11-20T09:30:00+08:00", "Leave it away.")
    digest = ""
    if receipt.release_digest:
        found = _DIGEST.fullmatch(receipt.release_digest)
        if found is None:
            raise UsageError("the digest is not `sha256:` and 64 digits", "Leave it away.")
        digest = f"sha256:{found[1].lower()}"
    return PlatformReceipt(receipt.entry, receipt.url, digest, receipt.listed_at, receipt.sha256)


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and " " not in address


def listing_of(receipt: PlatformReceipt, offering: Offering, space: str) -> Listing:
    """The listing that a receipt stands for.

    Raises:
        DigestMismatchError: the receipt names another release.
    """
    if receipt.release_digest and receipt.release_digest != offering.release_digest:
        raise DigestMismatchError(
            f"the receipt names another release digest than {offering.product} {offering.version} has",
            "Look which version was handed over, and enter the receipt for that one.",
        )
    refs = {"entry": receipt.entry, "url": receipt.url, "listed_at": receipt.listed_at, "receipt": receipt.sha256}
    return Listing(space, KIND, offering.release_digest, {name: said for name, said in refs.items() if said})
