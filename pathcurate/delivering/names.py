"""Which paths within a delivery every system can have: the same when they are sent and when they are unpacked."""

import re
from collections.abc import Collection

from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY
from pathcurate.model.delivery import DELIVERY_FILE, DELIVERY_SIGNED, INNER_PATH, VOLUME_LIST, VOLUME_NAME

RECEIPT_FILE = "receipt.json"
README_FILE, SCRIPT_FILE = "README.txt", "check.ps1"
DOCUMENTS = (DELIVERY_FILE, DELIVERY_SIGNED, AGREEMENT_FILE, AGREEMENT_POLICY)
"""What says what a delivery is; lies beside the volumes, and beside what was in them."""
BESIDE = (*DOCUMENTS, VOLUME_LIST, README_FILE, SCRIPT_FILE)
"""Every file that lies beside the volumes."""
MOST_PATH = 240
"""Characters of a path within: Windows takes 260 with the folder that it lies in."""
_INNER = re.compile(INNER_PATH)
_VOLUME = re.compile(VOLUME_NAME)
_OWN = re.compile(
    "|".join(re.escape(name) for name in (*BESIDE, RECEIPT_FILE, "PURGED.json", "manifest-sha256.delivered.txt"))
    + r"|deletion\..*|" + VOLUME_NAME,
    re.IGNORECASE,
)  # fmt: skip
"""What `product receive` and `product purge` write beside the files of a delivery."""
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def is_volume(name: str) -> bool:
    """Whether a name is one of a volume."""
    return _VOLUME.fullmatch(name) is not None


def fault_of(paths: Collection[str]) -> str | None:
    """Why files cannot lie beside one another on every system; None if they can. Says no path."""
    folders = {parent for path in paths for parent in _above(path)}
    if any(_own_fault(path) for path in paths):
        return "has a path that not every system can have"
    if len({path.lower() for path in paths}) < len(paths) or len({path.lower() for path in folders}) < len(folders):
        return "has a path that differs from another's in upper and lower case only"
    if {path.lower() for path in paths} & {path.lower() for path in folders}:
        return "has the path of a folder"
    return None


def _own_fault(path: str) -> bool:
    parts = path.split("/")
    return (
        _INNER.fullmatch(path) is None
        or len(path) > MOST_PATH
        or _OWN.fullmatch(path) is not None
        or any(part.endswith(".") or _DEVICE.fullmatch(part) for part in parts)
    )


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
