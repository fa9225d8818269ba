"""Arrows go one way: an import only ever goes down, also inside functions and under ``TYPE_CHECKING``."""

import ast
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pathcurate

FLOORS = {
    6: {"__main__"},
    5: {"cli", "api"},
    4: {
        "annotations", "scan", "reports", "events", "permissions", "link", "concepts", "deid", "describe", "cohort",
        "manifest", "validate", "evaluate", "copies", "exporting",
        "product", "receiving", "custody", "doctor", "reidentify", "trail", "find", "forget", "identities", "materials",
        "scanner_index",
        "requests", "erasure", "labels", "ledgers", "codelistcheck",
    },
    3: {"readers", "parsers", "scrubbers", "engines", "registries"},
    2: {
        "benchmarks", "compaction", "dataspace", "labelmatch", "questionsheet", "sealedsets", "sealing", "spacesettings",
        "ownfolder", "pairing", "phrases", "wholefolder",
        "agreements", "applications", "delivering", "recipientkeys", "recoding", "usematching", "withdrawals",
        "attestations", "catalogentries", "certificates", "checksums", "lifecycle", "masking", "registrationtable",
        "registryaddress", "signing", "submission", "trustfile",
        "blanking", "codelists", "contracts", "copying", "delimited", "demo", "dicomtexts", "diff", "digests", "disclosure",
        "filerules", "findingformats", "findings", "firstarray", "htmlreport", "htmltable", "ifd",
        "glassrow", "images", "leaksearch", "lookup", "manual", "mapping", "members", "objectstore", "pacing", "roots",
        "metadata", "peoplecsv", "placeholders", "pluginhost", "productfile", "profiles", "pseudonyms",
        "recipefile", "recipelint", "recipeschema", "recipetemplates", "recipewords", "relations", "releases", "reviews",
        "attribution", "attrition", "cohortfacts", "forgotten", "goingback",
        "resources", "rewriting", "rights", "roles", "rowtable", "sources", "slidefiles", "splits", "spreads", "spreadsheet",
        "sqlcondition", "sqlplan", "stamps", "storage", "tables", "terminaltext",
        "text", "upkeep", "vault", "verification",
        "workspace", "yamlsource",
    },
    1: {"model"},
    0: {"", "errors"},  # "" is the package itself: its version
}  # fmt: skip
FLOOR = {unit: floor for floor, units in FLOORS.items() for unit in units}
CLI, STAGES, FAMILIES, TOOLS, MODEL = 5, 4, 3, 2, 1
INPUT_OUTPUT = {
    "duckdb", "fcntl", "glob", "io", "openslide", "os", "pandas", "pathlib", "pyarrow", "shutil", "socket", "sqlalchemy",
    "sqlite3", "subprocess", "tempfile", "urllib", "yaml",
}  # fmt: skip
ONLY_CLI_IMPORTS = {"click", "tqdm"}
ONLY_CLI_NAMES = {
    "print", "input", "exit", "quit", "sys.exit", "sys.argv", "sys.stdout", "sys.stderr", "sys.stdin", "os.environ",
    "os.getenv", "os.getcwd", "os.chdir", "Path.cwd", "Path.home",
}  # fmt: skip

MAY_NAME = {"engines.spark.sight": {"os.environ"}}
"""Names that only the command line may use, but for these: what a cluster calls one of its workers stands nowhere else."""

Modules = dict[str, list[ast.Import | ast.ImportFrom | ast.Name | ast.Attribute]]


def read_modules(package: Path) -> Modules:
    """Module name below the package (``scan.kernels``, ``scan`` for its ``__init__``) to its imports and names."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        nodes = ast.walk(ast.parse(path.read_bytes()))
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = [
            node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom | ast.Name | ast.Attribute)
        ]
    return modules


def imports(name: str, modules: Modules) -> Iterator[str]:
    """What a module imports, wherever it says so: ``.tables`` for one of ours, ``pyarrow`` for another's."""
    for node in modules[name]:
        if isinstance(node, ast.ImportFrom) and node.level:
            yield ".<relative>"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                both = f"{node.module}.{alias.name}"
                yield _ours(both if both.removeprefix("pathcurate.") in modules else str(node.module))
        elif isinstance(node, ast.Import):
            yield from (_ours(alias.name) for alias in node.names)


def _ours(module: str) -> str:
    package, _, rest = module.partition(".")
    return f".{rest}" if package == "pathcurate" else package


def names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Plain names and dotted ones that are used: ``print``, ``os.environ``; ``from os import environ`` as well."""
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            yield f"{node.value.id if isinstance(node.value, ast.Name) else node.value.attr}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(modules: Modules) -> list[str]:
    """Everything that breaks the rules of the house, as sentences."""
    unassigned = [f"{name} stands on no floor" for name in modules if name.partition(".")[0] not in FLOOR]
    if unassigned:
        return unassigned
    found = [sentence for name in modules for sentence in _of_module(name, modules)]
    ours = {name: {item[1:] for item in imports(name, modules) if item[0] == "."} - {name} for name in modules}
    units: dict[str, set[str]] = {}
    for name, imported in ours.items():
        unit = name.partition(".")[0]
        units.setdefault(unit, set()).update({item.partition(".")[0] for item in imported} - {unit})
    for graph in (ours, units):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found.append(f"circle: {' -> '.join(error.args[1])}")
    return found


def _of_module(name: str, modules: Modules) -> Iterator[str]:
    unit, _, member = name.partition(".")
    floor = FLOOR[unit]
    for imported in imports(name, modules):
        if imported[0] != ".":
            if floor < CLI and imported in ONLY_CLI_IMPORTS:
                yield f"{name} imports {imported}"
            if unit and floor <= MODEL and imported in INPUT_OUTPUT:
                yield f"{name} imports {imported}, which does input and output"
            continue
        other, _, other_member = imported[1:].partition(".")
        if other not in FLOOR:
            yield f"{name} imports {imported}, which stands on no floor"
        elif FLOOR[other] > floor:
            yield f"{name} imports {imported} above it"
        elif other != unit and floor == FLOOR[other] and floor in {STAGES, FAMILIES}:
            yield f"{name} imports {imported} beside it"
        elif (
            other == unit and floor == FAMILIES and member and other_member
            and member.partition(".")[0] != other_member.partition(".")[0]
        ):  # fmt: skip
            yield f"{name} imports its sibling {imported}"
    if floor < CLI:
        forbidden = ONLY_CLI_NAMES - MAY_NAME.get(name, set())
        yield from (f"{name} names {used}" for used in names(modules[name]) if used in forbidden)
    if floor <= MODEL:
        yield from (f"{name} names open" for used in names(modules[name]) if used == "open")


def test_imports_only_go_down() -> None:
    modules = read_modules(Path(pathcurate.__file__).parent)
    assert violations(modules) == []
    present = {name.partition(".")[0] for name in modules}
    assert set(FLOOR) - present == set(), "FLOORS names what is not there"


@pytest.fixture
def house(write: Callable[[str, str | bytes], Path]) -> Path:
    """A made-up package without a fault."""
    write("house/__init__.py", "")
    write("house/errors.py", "")
    write("house/model/__init__.py", "")
    write("house/model/slide.py", "import re\nfrom pathcurate.errors import PathcurateError\n")
    write("house/tables.py", "import os\nfrom pathcurate.model import slide\nos.fsync\n")
    write("house/storage.py", "from pathcurate.tables import read\n")
    write("house/readers/__init__.py", "from pathcurate.readers import tiff\n")
    write("house/readers/tiff.py", "from pathcurate.storage import Source\n")
    write("house/readers/openslide.py", "")
    write("house/engines/__init__.py", "")
    write("house/scan/__init__.py", "from pathcurate.scan.kernels import kernel\nfrom pathcurate.readers import read\n")
    write("house/scan/kernels.py", "from pathcurate.storage import Source\n")
    write("house/link.py", "")
    write("house/cli/__init__.py", "")
    write("house/cli/scan.py", "import click\nfrom pathcurate.scan import scan\nprint(Path.cwd())\n")
    return write("house/__main__.py", "from pathcurate.cli import scan\n").parent


def test_a_house_in_order_has_no_violation(house: Path) -> None:
    assert violations(read_modules(house)) == []


@pytest.mark.parametrize(
    ("module", "line", "violation"),
    [
        ("tables.py", "from pathcurate.scan import scan", "tables imports .scan above it"),
        ("tables.py", "def late():\n    from pathcurate.readers import tiff", "tables imports .readers.tiff above it"),
        ("tables.py", "if TYPE_CHECKING:\n    import pathcurate.link", "tables imports .link above it"),
        ("model/slide.py", "from pathcurate.tables import read", "model.slide imports .tables above it"),
        ("errors.py", "from pathcurate.model.slide import Slide", "errors imports .model.slide above it"),
        ("link.py", "from pathcurate.scan import scan", "link imports .scan beside it"),
        ("scan/kernels.py", "from pathcurate.link import link", "scan.kernels imports .link beside it"),
        ("link.py", "from pathcurate.cli.scan import command", "link imports .cli.scan above it"),
        ("readers/openslide.py", "from pathcurate.readers import tiff",
         "readers.openslide imports its sibling .readers.tiff"),
        ("readers/openslide.py", "from pathcurate.engines import Engine", "readers.openslide imports .engines beside it"),
        ("model/slide.py", "import pyarrow.parquet", "model.slide imports pyarrow, which does input and output"),
        ("model/slide.py", "def read():\n    import os", "model.slide imports os, which does input and output"),
        ("model/slide.py", "open('x')", "model.slide names open"),
        ("link.py", "import click", "link imports click"),
        ("link.py", "from tqdm import tqdm", "link imports tqdm"),
        ("link.py", "print()", "link names print"),
        ("link.py", "import sys\nsys.exit(1)", "link names sys.exit"),
        ("readers/tiff.py", "import os\nos.environ['X']", "readers.tiff names os.environ"),
        ("readers/tiff.py", "from os import environ", "readers.tiff names os.environ"),
        ("tables.py", "Path.cwd()", "tables names Path.cwd"),
        ("tables.py", "import pathlib\npathlib.Path.cwd()", "tables names Path.cwd"),
        ("tables.py", "import os\nos.getcwd()", "tables names os.getcwd"),
        ("tables.py", "from . import storage", "tables imports .<relative>, which stands on no floor"),
        ("tables.py", "from pathcurate.storage import walk", "circle: tables -> storage -> tables"),
        ("scan/kernels.py", "from pathcurate.scan import scan", "circle: scan.kernels -> scan -> scan.kernels"),
        ("helpers.py", "", "helpers stands on no floor"),
    ],
)  # fmt: skip
def test_each_violation_is_found(house: Path, module: str, line: str, violation: str) -> None:
    path = house / module
    path.write_text((path.read_text() if path.exists() else "") + line + "\n")
    found = violations(read_modules(house))
    rotated = {f"circle: {' -> '.join(turn)}" for item in found for turn in _turns(item)}
    assert violation in {*found, *rotated}


def _turns(sentence: str) -> Iterator[list[str]]:
    """A circle has no beginning."""
    nodes = sentence.removeprefix("circle: ").split(" -> ")[:-1]
    for start in range(len(nodes)):
        turned = nodes[start:] + nodes[:start]
        for order in (turned, turned[::-1]):
            yield [*order, order[0]]
