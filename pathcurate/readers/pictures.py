"""The pictures beside a slide's pyramid, below an archive root."""

from collections.abc import Iterator

from PIL import Image

from pathcurate.readers import picture
from pathcurate.storage import Root


def open_picture(root: Root, relpath: bytes, reader: str, kind: str) -> Image.Image | None:
    """A picture of a slide; None if it has none.

    Args:
        root: the archive root.
        relpath: path below it of the file that stands for the slide.
        reader: name of the reader that read its header.
        kind: ``label``, ``overview`` or ``thumbnail``.

    Raises:
        OSError: the file cannot be read.
        Exception: whatever decoding raises.
    """
    with root.open(relpath) as source:
        return picture(source, reader, kind)


def label_views(root: Root, relpath: bytes, reader: str) -> Iterator[Image.Image]:
    """The photo of the label, or else both ends of the overview, one of which is the label's; nothing if it has neither.

    Arguments and errors as of :func:`open_picture`.
    """
    label = open_picture(root, relpath, reader, "label")
    if label is not None:
        yield label
        return
    overview = open_picture(root, relpath, reader, "overview")
    if overview is None:
        return
    width, height = overview.size
    if width >= height:
        yield overview.crop((0, 0, width // 3, height))
        yield overview.crop((width - width // 3, 0, width, height))
    else:
        yield overview.crop((0, 0, width, height // 3))
        yield overview.crop((0, height - height // 3, width, height))


def is_final(error: Exception) -> bool:
    """Whether another look at the same bytes would fail in the same way; not so if the storage failed.

    Pillow raises ``OSError`` for damaged pictures too, but without an error number.
    """
    return not (isinstance(error, OSError) and error.errno is not None)
