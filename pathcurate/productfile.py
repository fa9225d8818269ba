"""Reads ``products/NAME.yaml``: see :mod:`pathcurate.model.productfile`."""

from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.productfile import ProductFile


def product_path(root: Path, name: str) -> Path:
    """Where a workspace keeps what is said of a product."""
    return root / "products" / f"{name}.yaml"


def load_product_file(file: Path, content: bytes | None = None) -> ProductFile:
    """Read what is said of a product.

    Args:
        file: where it stands; messages call it by its name.
        content: its bytes, if they were read already: then the file is not read again, and may have changed since.

    Raises:
        UsageError: the file cannot be read or is not of its form; every fault is named with its place.
    """
    document = yamlsource.load(file if content is None else content, file.name, UsageError)
    return yamlsource.validate(document, ProductFile, UsageError)
