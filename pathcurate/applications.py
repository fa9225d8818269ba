"""Reads applications (``application.yaml``), and names the contracts that come of them."""

from pathlib import Path

from pathcurate import yamlsource
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.application import Application

MOST_BYTES = 1 << 20
"""Of an application; a person reads it."""
TEMPLATE = Path(__file__).with_name("application.template.yaml")
_SIGNS = 8


def load_application(file: Path, content: bytes | None = None) -> Application:
    """Read an application.

    Args:
        file: where it is; messages call it by its name.
        content: its bytes, if they were read already.

    Raises:
        UsageError: it is not of its form; every fault is named with its place.
        InputOutputError: it cannot be read.
    """
    data = read_application(file) if content is None else content
    return yamlsource.validate(yamlsource.load(data, file.name, UsageError), Application, UsageError)


def read_application(file: Path) -> bytes:
    """The bytes of an application.

    Raises:
        UsageError: it is larger than a person reads.
        InputOutputError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputOutputError(f"the application cannot be read ({type(error).__name__})", "Check its path.") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"the application is larger than {MOST_BYTES:,} bytes", "Attach what is long as a document.")
    return content


def application_digest(application: Application) -> str:
    """What an application says, as a digest: the same however its file is laid out."""
    return sha256_text(canonical_json(application.as_dict()))


def contract_id(product: str, release_digest: str, application: Application) -> str:
    """The id of the contract that an application for a release can come to; the same application gives the same."""
    digest = sha256_text(canonical_json([release_digest, application_digest(application)])).removeprefix("sha256:")
    return f"{product}-{application.recipient}-{digest[:_SIGNS]}"


def blank_application() -> str:
    """A blank application with comments in Chinese and English, to be filled in by whoever applies."""
    return TEMPLATE.read_text(encoding="utf-8")
