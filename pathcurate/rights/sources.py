"""What a release is made of by site: ``products/sources/NAME-VERSION.json``, bound to the release's digest.

It is no part of the release: small counts of a site could tell something about people.
"""

import json
from pathlib import Path

from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError
from pathcurate.model.rights import SourceStatement
from pathcurate.roles import shared_directory
from pathcurate.storage import write_bytes
from pathcurate.workspace import Workspace

SOURCES = "sources"
"""Below ``products/``."""
_LARGEST = 1 << 24
"""Bytes of the largest statement that is read; that of a release of a thousand sites has less than one million."""


def sources_path(workspace: Workspace, name: str, version: str) -> Path:
    """Where the statement of a release is."""
    return workspace.products / SOURCES / f"{name}-{version}.json"


def write_sources(workspace: Workspace, statement: SourceStatement) -> Path:
    """Write what a release is made of by site, whole or not at all, for the owner and the group of ``products/``.

    Raises:
        InputOutputError: it cannot be written.
    """
    path = sources_path(workspace, statement.product, statement.version)
    text = json.dumps(statement.as_dict(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    try:
        shared_directory(path.parent)
        write_bytes(path, text.encode(), mode=0o640)
    except OSError as error:
        raise InputOutputError(
            f"products/{SOURCES}/{path.name} cannot be written ({type(error).__name__})",
            "Check the owner and the group of products/, and build again: the release itself is whole.",
        ) from None
    return path


def read_sources(workspace: Workspace, name: str, version: str, release_digest: str) -> SourceStatement:
    """Read what a release is made of by site.

    Args:
        workspace: the workspace.
        name: of the product.
        version: of the release.
        release_digest: of the release, as ``sha256:`` and 64 digits.

    Raises:
        PlanIncompleteError: there is no statement; the release was built elsewhere, or before there were any.
        DigestMismatchError: it is of another release, or damaged.
    """
    path = sources_path(workspace, name, version)
    build = "Run `pathcurate manifest build` with its recipe again; a release that is there already is not changed."
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("larger than any statement")
        content = json.loads(path.read_bytes())
        statement = SourceStatement.from_dict(content)
    except OSError:
        raise PlanIncompleteError(f"nothing says of which sites {name} {version} is made", build) from None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise DigestMismatchError(f"products/{SOURCES}/{path.name} is damaged", build) from None
    if (statement.product, statement.version, statement.release_digest) != (name, version, release_digest):
        raise DigestMismatchError(f"products/{SOURCES}/{path.name} is of another release", build)
    return statement
