"""Files that pathcurate ships beside its code: recipes and schemas."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """A shipped directory: inside the package where it was installed, beside it in a checkout.

    Args:
        name: ``recipes`` or ``schemas``.
    """
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
