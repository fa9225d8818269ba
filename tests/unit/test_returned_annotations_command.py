"""`annotations import --from-delivery`: whose delivery it is, which codes are of it, and what the command shows."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.products
from pathcurate import pseudonyms
from pathcurate.annotations.origins import Delivered, delivered, originals_of
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.feed import Reason, Scope
from pathcurate.model.lifecycle import Machine
from pathcurate.model.slide import SLIDES
from pathcurate.registries.sql import SqlRegistry, open_registry
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import Vault, create_vault, open_vault
from pathcurate.withdrawals.subjects import add_withdrawn
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import slide
from tests.commandline import Done, pathcurate
from tests.makers.annotations import collection, qupath, rows
from tests.products import build_in, make_workspace
from tests.registered import active, command, contract, delivery, entry, offered

CONTRACT = "small-lab-0123abcd"
DELIVERY = f"{CONTRACT}-d1"
OF = Delivered(DELIVERY, "small", "1.0.0", "lab")
SLIDES_OF_IT = 24
AUTHOR = "WuMingQiang"


def _with_codes(root: Path) -> tests.products.Rows:
    """The made-up rows, with the codes that the vault gives to the catalog's slides."""
    made, codes = tests.products.__dict__["_rows_before"](), pseudonyms.internal(create_vault(root / "vault").key).codes
    for number, row in enumerate(made["slides"]):
        row["slide_id"] = codes.code("S", slide(number)["slide_id"])
    return made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a release, whose slides the catalog has, and one more; nobody may change it."""
    root = tmp_path_factory.mktemp("house") / "w"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.products, "_rows_before", tests.products._rows, raising=False)
        patch.setattr(tests.products, "_rows", lambda: _with_codes(root))
        build_in(make_workspace(root))
    workspace = load_workspace(root / "pathcurate.yaml")
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(number) for number in range(SLIDES_OF_IT + 1)]))
    with open_registry(root / "registry.db") as registry:
        release = offered(registry, product="small")
        registry.open(contract(CONTRACT, release, facts={"recipient": "lab"}))
        for name in ("review", "approve", "sign", "activate"):
            registry.transition(command(name, CONTRACT, Machine.CONTRACT))
        for name in (DELIVERY, f"{CONTRACT}-d2"):
            registry.open(delivery(name, CONTRACT, release))
        for step in ("start", "complete"):
            registry.transition(command(step, DELIVERY, Machine.DELIVERY))
    return root


@pytest.fixture
def root(house: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(house, tmp_path / "w"))


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return load_workspace(root / "pathcurate.yaml")


@pytest.fixture
def vault(workspace: Workspace) -> Vault:
    return open_vault(workspace.vault)


def codes(vault: Vault, recipient: str = "lab", product: str = "small") -> list[str]:
    """A recipient's codes of the catalog's slides, in their order."""
    inside, outside = pseudonyms.internal(vault.key).codes, pseudonyms.recipient(vault.key, product, recipient).codes
    return [outside.code("S", inside.code("S", slide(number)["slide_id"])) for number in range(SLIDES_OF_IT + 1)]


def inner(vault: Vault, number: int) -> str:
    return pseudonyms.internal(vault.key).codes.code("S", slide(number)["slide_id"])


# --- Which codes -----------------------------------------------------------------------------------------------------


def test_codes_lead_to_the_slides_of_the_release_alone(workspace: Workspace, vault: Vault) -> None:
    mine = codes(vault)
    expected = {mine[number]: slide(number)["slide_id"] for number in range(SLIDES_OF_IT)}
    assert originals_of(workspace, OF, vault.key) == expected
    rival = originals_of(workspace, Delivered(DELIVERY, "small", "1.0.0", "rival"), vault.key)
    assert (set(rival.values()), set(rival) & set(mine)) == (set(expected.values()), set())
    product = pseudonyms.product(vault.key, "small").codes
    assert not {product.code("S", inner(vault, number)) for number in range(SLIDES_OF_IT)} & set(expected)


WITHDRAWN = [
    (("slide", None), Scope.SLIDE, 1), (("case", "C-0000000000000001"), Scope.CASE, 2),
    (("patient", "P-0000000000000001"), Scope.PATIENT, 2), (("person", "Q-0000000000000001"), Scope.PATIENT, 2),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "scope", "lost"), WITHDRAWN)
def test_who_has_withdrawn_has_no_code(
    workspace: Workspace, vault: Vault, subject: tuple[str, str | None], scope: Scope, lost: int
) -> None:
    kind, code = subject
    add_withdrawn(vault, [(kind, code or inner(vault, 2))], scope=scope, reason=next(iter(Reason)), actor="s", at="now")
    left = set(originals_of(workspace, OF, vault.key))
    mine = codes(vault)
    assert set(mine[:SLIDES_OF_IT]) - left == set(mine[2 : 2 + lost])


def test_a_slide_that_the_catalog_has_no_more_has_no_code(workspace: Workspace, vault: Vault) -> None:
    catalog = Catalog(workspace.catalog)
    catalog.replace(SLIDES, catalog.read(SLIDES).slice(3))
    assert len(originals_of(workspace, OF, vault.key)) == SLIDES_OF_IT - 3


def test_what_codes_are_made_of_must_be_there(workspace: Workspace, vault: Vault) -> None:
    with pytest.raises(UsageError, match="no release"):
        originals_of(workspace, Delivered(DELIVERY, "small", "1.0.1", "lab"), vault.key)
    (workspace.deid / "slides.parquet").unlink()
    with pytest.raises(InputOutputError, match="not there"):
        originals_of(workspace, OF, vault.key)


# --- Whose delivery --------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    with open_registry(tmp_path / "r.db") as opened:
        yield opened


def test_only_what_has_arrived_can_come_back(registry: SqlRegistry) -> None:
    release = offered(registry)
    registry.open(contract("c", release, facts={"recipient": "lab"}))
    for name in ("review", "approve", "sign", "activate"):
        registry.transition(command(name, "c", Machine.CONTRACT))
    registry.open(delivery("d", "c", release))
    answers = []
    for step in (None, "start", "suspend", "resume", "complete", "acknowledge", "settle", "recall", "destroy"):
        if step is not None:
            registry.transition(command(step, "d", Machine.DELIVERY))
        try:
            answers.append(delivered(registry, "d") == Delivered("d", "thorax", "1.0.0", "lab"))
        except PlanIncompleteError:
            answers.append(False)
    assert answers == [False] * 4 + [True] * 5
    registry.open(delivery("e", "c", release))
    registry.transition(command("terminate", "e", Machine.DELIVERY))
    with pytest.raises(PlanIncompleteError, match="e is terminated"):
        delivered(registry, "e")


def test_a_delivery_that_is_nobodys_is_refused(registry: SqlRegistry) -> None:
    registry.register(entry())
    with pytest.raises(UsageError, match="no such delivery"):
        delivered(registry, "d")
    release = offered(registry, "1.0.1")
    registry.open(delivery("d", active(registry, "c", release), release))
    for step in ("start", "complete"):
        registry.transition(command(step, "d", Machine.DELIVERY))
    with pytest.raises(PlanIncompleteError, match="who the recipient is"):
        delivered(registry, "d")


# --- The command -----------------------------------------------------------------------------------------------------


def came(root: Path, name: str, content: bytes, folder: str = AUTHOR) -> Path:
    path = root.parent / "back" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def run(root: Path, *arguments: str | Path) -> Done:
    return pathcurate("annotations", "import", *arguments, "-w", root)


def test_annotations_of_two_come_back_and_agree(root: Path, workspace: Workspace, vault: Vault) -> None:
    mine = codes(vault)
    content = collection(qupath(name=AUTHOR), image=f"/data/{AUTHOR}/{mine[3]}.svs", author=AUTHOR)
    files = [came(root, f"{mine[3]}.geojson", content, folder) for folder in (AUTHOR, "other")]
    done = run(root, "--from-delivery", DELIVERY, *files)
    assert (done.returncode, AUTHOR in done.stdout + done.stderr, "S-" in done.stdout) == (0, False, False)
    assert f"2 files taken back of {DELIVERY}, 2 of them new or changed" in done.stdout
    assert "annotators: 1 (new), 2 (new)" in done.stdout
    assert "Tumor: Dice 1.000, IoU 1.000, 1 slide" in done.stdout
    assert {(row["slide_id"], row["annotator"]) for row in rows(workspace)} == {
        (slide(3)["slide_id"], f"annotator {number}") for number in (1, 2)
    }
    again = json.loads(run(root, "--from-delivery", DELIVERY, *files, "--json").stdout)
    assert (again["taken"], again["changed"], again["new_annotators"], again["unchanged"]) == (2, 0, [], 2)
    assert again["agreement"]["areas"][0] == {"class": "Tumor", "annotators": "all", "slides": 1, "dice": 1.0, "iou": 1.0}
    for path in root.rglob("*"):
        assert AUTHOR not in path.name
        assert not path.is_file() or AUTHOR.encode() not in path.read_bytes(), path


def test_refused_files_fail_the_command_and_keep_no_other_out(root: Path, workspace: Workspace, vault: Vault) -> None:
    mine, rival = codes(vault), codes(vault, "rival")
    names = [rival[0], mine[SLIDES_OF_IT], codes(vault, product="wide")[0], inner(vault, 0), mine[1]]
    files = [came(root, f"{AUTHOR} {name}.geojson", collection(qupath())) for name in names]
    done = run(root, "--from-delivery", DELIVERY, *files)
    assert (done.returncode, "4 of 5 files were refused" in done.stderr) == (2, True)
    assert done.stdout.count("names a slide that is not of this delivery") == 4
    assert not [name for name in (*names, AUTHOR) if name in done.stdout + done.stderr]
    assert [row["slide_id"] for row in rows(workspace)] == [slide(1)["slide_id"]]


def test_the_command_refuses_what_is_no_delivery_of_anybody(root: Path, vault: Vault) -> None:
    path = came(root, f"{codes(vault)[0]}.geojson", collection(qupath()))
    for arguments, code in (
        (("--from-delivery", f"{CONTRACT}-d2", path), 12), (("--from-delivery", CONTRACT, path), 2),
        (("--from-delivery", f"../{DELIVERY}", path), 2), (("--from-delivery", DELIVERY), 2),
        (("--annotator", "x", path), 2), (("--within", "5"), 2), (("--from-delivery", DELIVERY, "--within", "nan", path), 2),
    ):  # fmt: skip
        assert run(root, *arguments).returncode == code, arguments
    assert not (root / "products" / "deliveries").exists()


def test_findings_fail_the_command_if_that_is_asked_for(root: Path, vault: Vault) -> None:
    far = {"type": "Point", "coordinates": [1e5, 1]}
    path = came(root, f"{codes(vault)[0]}.geojson", collection(qupath(far), qupath()))
    assert run(root, "--from-delivery", DELIVERY, path, "--annotator", "a").returncode == 0
    done = run(root, "--from-delivery", DELIVERY, path, "--fail-on", "error", "--annotator", "A", "-v")
    assert (done.returncode, "beyond their slide, refused: 1" in done.stdout) == (1, True)


def test_copies_that_cannot_be_written_are_no_traceback(root: Path, workspace: Workspace, vault: Vault) -> None:
    path = came(root, f"{codes(vault)[0]}.geojson", collection(qupath()))
    folder = root / "products" / "deliveries" / DELIVERY / "returned"
    folder.mkdir(parents=True)
    (folder / "annotator-1").write_text("in the way")
    done = run(root, "--from-delivery", DELIVERY, path)
    assert (done.returncode, "cannot be written" in done.stderr, rows(workspace)) == (3, True, [])
    (folder / "annotator-1").unlink()
    assert run(root, "--from-delivery", DELIVERY, path).returncode == 0
    assert [row["slide_id"] for row in rows(workspace)] == [slide(0)["slide_id"]]
