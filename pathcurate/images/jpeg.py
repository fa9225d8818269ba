"""Small pictures for pages that people look at."""

from io import BytesIO

from PIL import Image


def small_jpeg(image: Image.Image, most: tuple[int, int], quality: int) -> bytes:
    """A picture as a JPEG of its pixels alone: no Exif, comment or profile goes along.

    Args:
        image: of any mode.
        most: width and height in pixels that it is scaled down to, its sides in proportion.
        quality: of the JPEG, 1 to 95.
    """
    picture = image.convert("RGB")
    picture.thumbnail(most, Image.Resampling.BOX)
    bare = Image.frombytes("RGB", picture.size, picture.tobytes())
    buffer = BytesIO()
    bare.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
