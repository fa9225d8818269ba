"""The standard by which the risk is judged; another file of the same form can take its place."""

from pathlib import Path

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.evaluation import Standard
from pathcurate.workspace import Workspace

SHIPPED = Path(__file__).parent / "gbt42460.yaml"


def load_standard(workspace: Workspace) -> Standard:
    """The standard that a workspace names, else the shipped one.

    Raises:
        UsageError: as :func:`read_standard`.
    """
    file = workspace.settings.deid.risk
    return read_standard(SHIPPED if file is None else workspace.root / file)


def read_standard(file: Path = SHIPPED) -> Standard:
    """A standard from its file.

    Raises:
        UsageError: the file is not of this form; every fault is named with its place.
    """
    return yamlsource.validate(yamlsource.load(file, file.name, UsageError), Standard, UsageError)
