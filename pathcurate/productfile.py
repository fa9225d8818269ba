"""Reads ``products/NAME.yaml``: see :mod:`pathcurate.model.productfile`."""

from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.productfile import ProductFile


def product_path(root: Path, name: str) -> Path:
    """Where a workspace keeps what is said of a product."""
    return root / "products" / f"{name}.yaml"


def load_product_file(file: Path) -> ProductFile:
    """Read what is said of a product.

    Raises:
        UsageError: the file cannot be read or is not of its form; every fault is named with its place.
    """
    document = yamlsource.load(file, file.name, UsageError)
    return yamlsource.validate(document, ProductFile, UsageError)
