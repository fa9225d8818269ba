"""Files that pathcurate ships beside its code: recipes, schemas and the manual."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """A shipped directory or file: inside the package where it was installed, beside it in a checkout.

    Args:
        name: ``recipes``, ``schemas`` or ``README.md``.
    """
    installed = _PACKAGE / name
    return installed if installed.exists() else _PACKAGE.parent / name
