"""The pictures beside a slide's pyramid, for the passes that look at them."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from pathcurate.readers import picture
from pathcurate.scan.passes import PassSpec


def open_picture(row: Mapping[str, Any], spec: PassSpec, kind: str) -> Image.Image | None:
    """A picture of a slide; None if it has none.

    Args:
        row: of :data:`pathcurate.scan.passes.PASS_INPUT`.
        spec: with the row's root.
        kind: ``label``, ``overview`` or ``thumbnail``.

    Raises:
        OSError: the file cannot be read.
        Exception: whatever decoding raises.
    """
    with spec.roots[row["root"]].open(row["relpath"]) as source:
        return picture(source, row["reader"], kind)


def is_final(error: Exception) -> bool:
    """Whether another look at the same bytes would fail in the same way; not so if the storage failed.

    Pillow raises ``OSError`` for damaged pictures too, but without an error number.
    """
    return not (isinstance(error, OSError) and error.errno is not None)
