"""Where a connector is: an address that says nothing but that."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from pathcurate.errors import UsageError

_HOST = re.compile(r"[0-9A-Za-z_.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_PATH = re.compile(r"(/[0-9A-Za-z._~-]+)*", re.ASCII)
_VERSIONED = re.compile(r"/v\d\w*$", re.ASCII)
FORM = "https://HOST/api/management"


def checked_address(address: str, shown: str, *, insecure: bool) -> str:
    """The address without a slash at its end.

    Args:
        address: as the workspace file says it.
        shown: what messages call it; they never quote an address, which may hold a password.
        insecure: whether it may be reached without TLS from elsewhere than this machine.

    Raises:
        UsageError: it is of another form, holds a user or a query, names a version, or is not encrypted.
    """
    wrong = UsageError(f"{shown} is to be written {FORM}", "No user, password, query or fragment stands in it.")
    try:
        parts = urlsplit(address.rstrip("/"))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    place = parts.netloc.removesuffix(f":{port}") if port is not None else parts.netloc
    if parts.scheme not in {"http", "https"} or _HOST.fullmatch(place) is None or _PATH.fullmatch(parts.path) is None:
        raise wrong
    if parts.query or parts.fragment or "?" in address or "#" in address or port == 0:
        raise wrong
    if _VERSIONED.search(parts.path):
        raise UsageError(f"{shown} names a version", f"Write it without: {FORM}. The version is asked for.")
    if parts.scheme == "http" and not insecure and not _is_this_machine(host):
        raise UsageError(
            f"{shown} is not encrypted: the key would go over the network for all to read",
            "Write https://, or `insecure: true` if something else protects the way.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
