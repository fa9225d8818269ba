"""What is written agrees with what happens: help texts, examples, README, release notes."""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

from pathcurate import __version__
from pathcurate.cli.main import root, run
from pathcurate.cohort import read_recipe
from pathcurate.deid import explain
from pathcurate.deid.siterules import read_words
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PathcurateError
from pathcurate.filerules import load_rules
from pathcurate.mapping import load_mapping
from pathcurate.productfile import load_product_file
from pathcurate.profiles import read_profile
from pathcurate.tables import column_values, read_parquet
from pathcurate.text.reportrow import COLUMNS
from pathcurate.text.sitewords import load_words
from pathcurate.workspace import load_workspace
from tests.archives import Here
from tests.contracted import application, write_application
from tests.products import ENDLESS_FILE, ENDLESS_SITES, a_pdf, build_in, make_workspace

CHECKOUT = Path(__file__).parents[1]
HEAVY = ("pandas", "pyarrow", "duckdb", "numpy", "openslide", "pydicom", "sqlalchemy", "jsonschema", "pydantic", "jinja2")
PROMPT = "$ "


def tree(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every group and command with its words, in reading order."""
    context = click.Context(group, help_option_names=["-h", "--help"])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from tree(command, (*path, name))


COMMANDS = dict(tree())
LEAVES = [
    path for path, command in COMMANDS.items() if not isinstance(command, click.Group) or command.invoke_without_command
]
_LATER = {
    ("materials", "pull"), ("deid", "files"), ("deid", "reidentify"), ("vault", "people", "remove"), ("vault", "restore"),
    ("vault", "rotate"),
}  # fmt: skip
"""Commands whose example needs what commands that are listed behind them make, or leaves nothing for them."""
_TO_MARKET = (
    "register", "list", "show", "check", "sign", "submit", "receipt", "offer", "publish", "published", "spaces", "retract",
    "keys recipient", "application", "apply",
    "review", "approve", "reject", "contract", "accept", "activate", "contracts", "deliver", "deliveries", "receive",
    "acknowledge", "settle", "settlement", "trace", "history", "verify", "due", "statement", "catalog", "purge", "attest",
    "terminate", "suspend", "resume", "withdraw", "keys new", "keys list", "keys retire",
)  # fmt: skip
"""Commands of products, in the order in which one comes to the market and is taken from it."""


def example(path: tuple[str, ...]) -> list[str]:
    """The command line of a command's example."""
    lines = [line.strip() for line in (COMMANDS[path].help or "").splitlines()]
    return shlex.split(lines[lines.index("Example:") + 1])


def capture(directory: Path, arguments: list[str]) -> tuple[int, str]:
    """Exit code, and messages and results as a terminal would show them."""
    out = io.StringIO()
    with contextlib.chdir(directory), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run(arguments)
    return code, out.getvalue()


class Shown(NamedTuple):
    """What was shown by each command's example, and by the demo."""

    examples: dict[tuple[str, ...], tuple[int, str]]
    demo: str


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """All examples run once, in the order of the pipeline, each in the workspace that those before it have left."""
    directory = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PATHCURATE_WORKSPACE", raising=False)
        # Starting workers is most of a small command's time.
        patch.setattr(Embedded, "run", Here.run)
        examples = {("init",): capture(directory, example(("init",))[1:])}
        demo = directory / "demo-hospital"
        shutil.copytree(directory / "hospital", demo)
        examples |= of_products(directory)
        for path in sorted([path for path in LEAVES if path not in examples], key=_LATER.__contains__):
            if path == ("deid", "review", "export"):
                capture(directory / "hospital", ["deid", "apply", "--texts", "all"])
            if path == ("labels", "review", "export"):
                capture(directory / "hospital", ["cohort", "recipes/thoracic_tumour.yaml"])
            if path == ("product", "seal"):
                asked = [f"{number},胃,第{number}题？,甲,乙,{'AB'[number % 2]}" for number in range(12)]
                text = "\n".join(("item_id,topic,question,A,B,answer", *asked))
                (directory / "hospital" / "questions.csv").write_text(text, encoding="utf-8")
            if path == ("evaluate",):
                codes = column_values(read_parquet(directory / "hospital" / "quiz" / "items.parquet"), "item_id")
                said = "\n".join(("item_id,answer", *(f"{code},A" for code in codes)))
                (directory / "hospital" / "answers.csv").write_text(said, encoding="utf-8")
            if path == ("deid", "reidentify"):
                codes = column_values(read_parquet(directory / "hospital" / "deid" / "cases.parquet"), "case_id")
                (directory / "hospital" / "codes.txt").write_text("\n".join(codes[:3]))
            examples[path] = capture(directory / "hospital", example(path)[1:])
        of_demo = (
            ["run", "demo-hospital/recipes/demo_he_2023.yaml"],
            ["deid", "files", "--release", "demo_he_2023", "--to", "demo-hospital/delivery"],
        )
        told = [capture(directory, [*command, "-w", "demo-hospital"])[1] for command in of_demo]
        return Shown(examples, "".join([examples[("init",)][1], *told]))


def of_products(directory: Path) -> dict[tuple[str, ...], tuple[int, str]]:
    """The examples that need a product with all its evidence, keys and a certificate."""
    root = make_workspace(directory / "products", file=ENDLESS_FILE, sites=ENDLESS_SITES, name="demo_he_2023")
    with (root / "pathcurate.yaml").open("a", encoding="utf-8") as file:
        file.write("spaces: {tds: {kind: files}}\n")
    build_in(root, name="demo_he_2023")
    a_pdf(root / "cert.pdf")
    for file in (*(root / f"{who}.pass" for who in ("steward", "compliance", "recipient")), directory / "li-hua.pass"):
        file.touch(0o600)
        file.write_text("correct horse battery")
    for role in ("steward", "compliance"):
        made = ["--role", role, "--out", f"../{role}.pem", "--passphrase-file", f"{role}.pass"]
        assert capture(root, ["product", "keys", "new", role, *made])[0] == 0
        (directory / f"{role}.pem").rename(root / f"{role}.pem")
    shown = {}
    for name in _TO_MARKET:
        path = ("product", *name.split())
        if name == "submit":
            assert capture(root, ["product", "sign", "demo_he_2023", *_compliance()])[0] == 0
        if name == "apply":
            for who in ("my_lab", "other_lab"):
                period = {"first": "2026-01-01", "last": "2125-12-31"}
                printed = yaml.safe_load(shown["product", "keys", "recipient"][1])
                said = application(who, period=period, **(printed if who == "my_lab" else {}))
                write_application(root / "application.yaml", said)
                if who == "my_lab":
                    shown[path] = capture(root, example(path)[1:])
                else:
                    assert capture(root, example(path)[1:])[0] == 0
            continue
        if name == "contract":
            assert capture(root, ["product", "approve", "demo_he_2023-my_lab", *_compliance()])[0] == 0
        if name == "trace":
            codes = column_values(read_parquet(root / "received" / "data" / "slides.parquet"), "slide_id")
            (root / "found.txt").write_text("\n".join(codes), encoding="utf-8")
        shown[path] = capture(root, example(path)[1:])
    return shown


def _compliance() -> list[str]:
    return ["--key", "compliance.pem", "--passphrase-file", "compliance.pass"]


# --- Help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_says_its_purpose_in_a_sentence(path: tuple[str, ...]) -> None:
    first = (COMMANDS[path].help or "").split("\n\n")[0]
    assert re.fullmatch(r"[A-Z][^.]*\.", first.replace("\n", " ")), "begin the docstring with one whole sentence"
    assert not COMMANDS[path].get_short_help_str(limit=60).endswith("..."), "too long for the list of commands"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_example_runs(path: tuple[str, ...], shown: Shown) -> None:
    assert example(path)[: len(path) + 1] == ["pathcurate", *path]
    code, output = shown.examples[path]
    assert code == 0, output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_option_is_explained(path: tuple[str, ...]) -> None:
    silent = [item.name for item in COMMANDS[path].params if isinstance(item, click.Option) and not item.help]
    assert silent == []


def test_help_starts_without_heavy_imports(record_property: Callable[[str, object], None]) -> None:
    calls = [["--help"], ["--version"], *([*path, "--help"] for path in COMMANDS)]
    program = (
        "import sys\nfrom pathcurate.cli.main import run\n"
        f"assert [run(call) for call in {calls!r}] == [0] * {len(calls)}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pathcurate", "--help"], capture_output=True, check=True)
    record_property("seconds of pathcurate --help", round(time.perf_counter() - start, 3))


# --- Version ---------------------------------------------------------------------------------------------------------


def test_the_version_is_the_first_heading_of_the_release_notes() -> None:
    notes = (CHECKOUT / "pathcurate" / "release_notes.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", notes, re.MULTILINE)
    done = subprocess.run([sys.executable, "-m", "pathcurate", "--version"], capture_output=True, text=True, check=True)
    assert headings[0] == __version__
    assert done.stdout == f"pathcurate, version {__version__}\n"
    assert headings == sorted(headings, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


# --- README ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def readme() -> str:
    return (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(readme: str, *languages: str) -> list[list[str]]:
    """Lines of the code blocks in a language."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [text.splitlines() for language, text in found if language in languages]


def commands_in(lines: list[str], prompt: str) -> Iterator[list[str]]:
    """Command lines of ours, without what follows a pipe or a redirection."""
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.startswith(prompt):
            words = shlex.split(line.removeprefix(prompt), comments=True)
            if words and Path(words[0]).name == "pathcurate":
                ends = [index for index, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";", "2>"}]
                yield words[1 : min(ends, default=len(words))]


def parse(words: list[str]) -> None:
    """Fails if the words are no command of ours, or the command has no such option or needs another argument."""
    path = resolve(words)
    if path is None:
        assert words in (["--help"], ["-h"], ["--version"]), f"no such command: pathcurate {' '.join(words)}"
        return
    command = COMMANDS[path]
    context = click.Context(command, help_option_names=["-h", "--help"])
    if words[-1] in {"-h", "--help"}:
        return
    values, rest, _ = command.make_parser(context).parse_args(list(words[len(path) :]))
    assert rest == [], f"too much: {rest}"
    for parameter in command.params:
        value = values.get(str(parameter.name))
        given = value is not None and value != () and "UNSET" not in repr(value)
        assert given or not parameter.required, f"{parameter.name} is missing"
        if given and isinstance(parameter.type, click.Choice):
            parameter.type_cast_value(context, value)


def resolve(words: list[str]) -> tuple[str, ...] | None:
    """The command that the first words name."""
    paths = [tuple(words[:length]) for length in (3, 2, 1)]
    return next((path for path in paths if path in COMMANDS), None)


@pytest.mark.parametrize(
    ("line", "is_good"),
    [
        ("scan --workers 2", True), ("scan --wokers 2", False), ("frob", False), ("manifest build", False),
        ("--version", True),
        ("cohort r.yaml --dry-run", True), ("scan --fail-on never", True), ("scan --fail-on rarely", False),
        ("deid apply", True), ("deid frob", False), ("scan slides", True), ("reports import a.csv b.csv", True),
        ("manifest show --help", True),
    ],
)  # fmt: skip
def test_command_lines_are_judged_rightly(line: str, is_good: bool) -> None:
    if is_good:
        parse(shlex.split(line))
    else:
        with pytest.raises((AssertionError, click.ClickException)):
            parse(shlex.split(line))


def test_commands_of_the_readme_exist(readme: str) -> None:
    found = [words for lines in blocks(readme, "console") for words in commands_in(lines, PROMPT)]
    found += [words for lines in blocks(readme, "sh", "bash", "shell") for words in commands_in(lines, "")]
    found += [shlex.split(line)[1:] for line in re.findall(r"`(pathcurate [^`]+)`", readme)]
    assert found, "README.md shows no command"
    for words in found:
        parse(words)


def table(readme: str, first_head: str) -> list[list[str]]:
    """Rows of the table whose first head this is."""
    found = re.search(rf"^\| {first_head} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", readme, re.MULTILINE)
    assert found, f"README.md has no table of {first_head}s"
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


def test_the_readme_lists_every_command_with_its_example(readme: str) -> None:
    listed = {tuple(name.split()): shlex.split(line) for name, _, line in table(readme, "command")}
    assert listed == {path: example(path) for path in LEAVES}
    assert next(iter(listed)) == ("init",)


def test_the_readme_lists_every_exit_code(readme: str) -> None:
    codes = {int(code) for row in table(readme, "code") for code in row[::2] if code}
    assert codes == {0, 1, *(kind.exit_code for kind in PathcurateError.__subclasses__())}


def test_the_readme_says_what_deid_explain_says(readme: str) -> None:
    opening = "<details><summary>Column by column, under the profile `default`</summary>\n"
    told = readme.partition(opening)[2].partition("</details>")[0]
    assert re.findall(r"^- (.*)$", told, re.MULTILINE) == explain()


def test_recipes_and_mappings_of_the_readme_load(readme: str, write: Callable[[str, str], Path]) -> None:
    found = ["\n".join(lines) for lines in blocks(readme, "yaml")]
    assert any(text.startswith("recipe:") for text in found)
    for text in found:
        file = write("example.yaml", text)
        if text.startswith("recipe:"):
            read_recipe(file)
        elif text.startswith("workspace:"):
            load_workspace(file)
        elif text.startswith("organs:"):
            load_words(file)
        elif text.startswith("profile:"):
            read_profile(file.name, file.parent)
        elif text.startswith("words:"):
            read_words(file)
        elif text.startswith("files:"):
            load_rules(file)
        elif text.startswith("product:"):
            load_product_file(file)
        else:
            load_mapping(file, COLUMNS)


def stable(text: str) -> list[str]:
    """Lines without what differs between runs: times, digests, codes, and where the directory is."""
    text = re.sub(r"sha256:[0-9a-f…]+", "[DIGEST]", text)
    text = re.sub(r"\b([SCPQRGE])-[0-9A-HJKMNP-TV-Z]{16}\b", r"[\1-ID]", text)
    text = re.sub(r"\S*hospital(?=[/\s]|$)", "[DIR]", text, flags=re.MULTILINE)
    text = re.sub(r"\d+\.\d s\b", "[TIME]", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_demo_in_the_readme_is_what_the_demo_shows(readme: str, shown: Shown) -> None:
    found = [lines for lines in blocks(readme, "console") if lines and lines[0] == f"{PROMPT}make demo"]
    assert len(found) == 1, "README.md needs one ```console block that begins with `$ make demo`"
    ends = [index for index, line in enumerate(found[0]) if line.startswith(PROMPT)] + [len(found[0])]
    # A line of dots stands for lines that are left out.
    lines = [line for line in stable("\n".join(found[0][1 : ends[1]])) if line.strip("….")]
    real = stable(shown.demo)
    assert [line for line in lines if line not in real] == [], "lines of README.md that `make demo` does not show"
    assert [line for line in real if line in lines] == lines, "they come in another order"
    assert len(lines) >= 10, "README.md shows too little of `make demo`"


def test_the_demo_of_the_makefile_is_the_one_that_is_tested() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert "/pathcurate init --demo $(DEMO)\n" in makefile
    assert "/pathcurate run $(DEMO)/recipes/demo_he_2023.yaml -w $(DEMO)\n" in makefile
    assert "/pathcurate deid files --release demo_he_2023 --to $(DEMO)/delivery -w $(DEMO)\n" in makefile


def test_the_demo_ends_with_a_registered_product(shown: Shown) -> None:
    assert "demo_he_2023 1.0.0 is registered (frozen)" in shown.demo
