"""What must not stand in the code, whoever writes it."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "pathcurate"
MODULES = sorted(PACKAGE.rglob("*.py"))
TOP_LEVEL = ("pathcurate", "recipes", "schemas", "tests", ".ci", "pyproject.toml", "Makefile", "README.md", ".gitignore")
MOST_LINES = 520
LONGER = {"yamlsource.py": 530}
"""Files that are longer, and how long they may be: shorten them, never raise these."""
NO_TEXT = {"scrubbers/text/names.npz", "scrubbers/text/signers.npz"}
"""Data that is no text: learned weights, half a million small numbers, which as text would be ten times as long."""
PICKLES = {"engines/__init__.py", "engines/embedded/processes.py", "engines/spark/jobs.py", "engines/spark/worker.py"}
"""Unpickles only what this program's own processes send one another."""

_CALLS = {
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all",
    "os.system", "os.popen", "eval", "exec", "compile", "__import__", "marshal.load", "marshal.loads", "shelve.open",
    "pd.read_pickle", "pandas.read_pickle", "joblib.load", "tempfile.mktemp",
}  # fmt: skip
_NUMPY = {"np.load", "numpy.load"}
_UNSAFE_NAMES = {"UnsafeLoader", "FullLoader", "Loader"}
_UNFINISHED = re.compile(r"\b(TO~DO|FIX~ME)\b".replace("~", ""))
_PICKLE = {"pickle.load", "pickle.loads", "pickle.Unpickler"}
# The tildes keep this file from naming them itself.
_FOREIGN = re.compile(
    r"(?<![\w.\]])/(?:ho~me|Us~ers|wo~rk|ro~ot)/|[A-Z]:\\Us~ers|/opt/py~pi|"
    r"py~pi\.org|python~hosted|npm~js\.|ana~conda\.org|py~pi/(?:web/)?simple|mirrors?\.(?:al~i|tu~na|us~tc)".replace("~", "")
)


def dotted(node: ast.expr) -> str:
    """``a.b`` of an expression that is one, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def violations(source: str, relpath: str) -> Iterator[str]:
    """What one module has that it must not."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Call():
                yield from _of_call(node, relpath)
            case ast.Attribute(value=ast.Name(id="yaml"), attr=attr) if attr in _UNSAFE_NAMES:
                yield f"uses yaml.{attr}"
            case ast.ImportFrom(module=module, names=names) if module in {"pickle", "marshal", "yaml", "os", "subprocess"}:
                # Under another name, nothing above would see it.
                yield from (f"imports {item.name} from {module}" for item in names)
            case ast.Import(names=names):
                renamed = [
                    item.name for item in names if item.asname and item.name in {"pickle", "yaml", "os", "subprocess"}
                ]
                yield from (f"renames {name}" for name in renamed)
            case ast.Assert(test=test) if not _narrows(test):
                yield "asserts; raise an error instead, which python -O keeps"
            case ast.ExceptHandler(type=None):
                yield "has a bare except"
            case _:
                pass
    if _UNFINISHED.search(source):
        yield "says that it is not finished"
    lines = source.count("\n")
    if lines > LONGER.get(relpath, MOST_LINES):
        yield f"has {lines} lines"


def _of_call(call: ast.Call, relpath: str) -> Iterator[str]:
    name = dotted(call.func)
    if name in _CALLS or (name in _PICKLE and relpath not in PICKLES):
        yield f"calls {name}"
    if name in _NUMPY and not any(word.arg == "allow_pickle" and _is_false(word.value) for word in call.keywords):
        yield f"calls {name} without allow_pickle=False"
    if any(word.arg == "shell" and getattr(word.value, "value", True) for word in call.keywords):
        yield "runs a shell"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _narrows(test: ast.expr) -> bool:
    """``x is not None`` tells the type checker what the program knows."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.IsNot)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module(path: Path) -> None:
    assert list(violations(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix())) == []


@pytest.mark.parametrize(
    ("source", "violation"),
    [
        ("import yaml\nyaml.load(x, yaml.SafeLoader)", "calls yaml.load"),
        ("import yaml\nyaml.unsafe_load(x)", "calls yaml.unsafe_load"),
        ("import yaml\ny = yaml.FullLoader", "uses yaml.FullLoader"),
        ("import pickle\npickle.loads(x)", "calls pickle.loads"),
        ("from pickle import loads", "imports loads from pickle"),
        ("import pickle as p", "renames pickle"),
        ("subprocess.run(x, shell=True)", "runs a shell"),
        ("subprocess.run(x, shell=flag)", "runs a shell"),
        ("os.system(x)", "calls os.system"),
        ("np.load(x)", "calls np.load without allow_pickle=False"),
        ("numpy.load(x, allow_pickle=flag)", "calls numpy.load without allow_pickle=False"),
        ("eval(x)", "calls eval"),
        ("exec(x)", "calls exec"),
        ("assert x > 1", "asserts; raise an error instead, which python -O keeps"),
        ("try:\n    pass\nexcept:\n    pass", "has a bare except"),
        ("x = 1  # TO~DO".replace("~", ""), "says that it is not finished"),
        ("\n" * 521, "has 521 lines"),
    ],
)  # fmt: skip
def test_each_violation_is_found(source: str, violation: str) -> None:
    assert violation in violations(source, "made_up.py")


def test_nothing_is_found_in_good_code() -> None:
    good = "import yaml, pickle\nyaml.safe_load(x)\npickle.dumps(x)\nsubprocess.run(x)\nassert x is not None\n"
    assert list(violations(good, "made_up.py")) == []


def test_longer_files_are_still_longer() -> None:
    for relpath in LONGER:
        assert (PACKAGE / relpath).read_text(encoding="utf-8").count("\n") > MOST_LINES, f"remove {relpath} from LONGER"


def committed() -> Iterator[Path]:
    """Files that belong to the project."""
    for name in TOP_LEVEL:
        path = CHECKOUT / name
        yield from (item for item in sorted(path.rglob("*")) if item.is_file()) if path.is_dir() else [path]


def test_no_file_names_the_place_where_it_was_written() -> None:
    found = []
    for path in committed():
        if "__pycache__" in path.parts or path.suffix in {".pyc", ".lock"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if _FOREIGN.search(line):
                found.append(f"{path.relative_to(CHECKOUT)}:{number}")
    assert found == []


def test_the_top_level_is_what_the_owner_fixed() -> None:
    ours = {*TOP_LEVEL, "LICENSE"}
    visible = {path.name for path in CHECKOUT.iterdir() if not path.name.startswith((".", "demo-", "dist", "build"))}
    assert visible - ours == set()


def test_data_files_of_the_package_are_text(write: Callable[[str, str], Path]) -> None:
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(PACKAGE).as_posix() not in NO_TEXT:
            path.read_text(encoding="utf-8")
