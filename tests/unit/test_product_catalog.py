"""What of a price is whose, and the catalogue of what is on offer."""
# ruff: noqa: F811 -- fixtures are imported by their names

import multiprocessing
import os
import signal
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import product
from pathcurate.errors import DigestMismatchError, PathcurateError, PlanIncompleteError, UsageError
from pathcurate.product import shopwindow
from pathcurate.product.settling import statement_of
from pathcurate.product.shopwindow import write_catalog
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    At,
    House,
    Houses,
    at,
    houses,
    no_sync,
    renamed,
    tree,
)

# --- Statements ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settled(houses: Houses, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A release of 16 slides of NB01 (share 0.4) and 8 of NB02 (share 0.25)."""
    return houses.at("frozen", tmp_path_factory.mktemp("settled") / "w")


def split(house: House, amount: str, currency: str = "CNY", level: str = "") -> dict[str | None, Decimal]:
    with house.desk() as desk:
        parts, _ = statement_of(desk, house.entry(), amount, currency, level)
    return {part.site: part.amount for part in parts}


def test_a_price_goes_to_the_sites_by_count_and_share(settled: House) -> None:
    assert split(settled, "12500.00") == {
        "NB01": Decimal("3333.33"), "NB02": Decimal("1041.67"), None: Decimal("8125.00"),
    }  # fmt: skip
    assert split(settled, "100", "JPY") == {"NB01": Decimal(27), "NB02": Decimal(8), None: Decimal(65)}
    assert sum(split(settled, "0.001", "KWD").values()) == Decimal("0.001")
    assert split(settled, "0") == {"NB01": 0, "NB02": 0, None: 0}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(min_value=-(10**14), max_value=10**14), st.sampled_from(["CNY", "JPY", "KWD", "EUR"]),
       st.sampled_from(["", "slides", "cases", "patients"]))  # fmt: skip
def test_the_parts_are_the_amount_to_the_smallest_unit(settled: House, units: int, currency: str, level: str) -> None:
    places = {"JPY": 0, "KWD": 3}.get(currency, 2)
    amount = Decimal(units).scaleb(-places)
    with settled.desk() as desk:
        parts, of = statement_of(desk, settled.entry(), str(amount), currency, level)
    assert sum(part.amount for part in parts) == amount
    assert of == (level or "slides")
    assert all(-part.amount.as_tuple().exponent <= places for part in parts)  # type: ignore[operator]
    assert all(part.amount == 0 or (part.amount < 0) == (amount < 0) for part in parts)
    exact = {"NB01": amount * 2 / 3 * Decimal("0.4"), "NB02": amount / 3 * Decimal("0.25")}
    assert all(abs(part.amount - exact[part.site]) < Decimal(1).scaleb(-places) for part in parts if part.site)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("NaN", "CNY"), ("Infinity", "CNY"), ("twelve", "CNY"), ("", "CNY"), ("1.001", "CNY"), ("1.5", "JPY"),
        ("1e999999999", "CNY"), ("1e-999999999", "CNY"), ("1e40", "CNY"),
    ],
)  # fmt: skip
def test_an_amount_that_is_none_is_refused(amount: str, currency: str, settled: House) -> None:
    with pytest.raises(UsageError):
        split(settled, amount, currency)


def test_what_nobody_counted_splits_nothing(settled: House) -> None:
    with pytest.raises(UsageError, match="has nothing of any site"):
        split(settled, "10.00", level="series")


def test_of_a_release_whose_sources_are_lost_nothing_is_split(at: At) -> None:
    house = at("frozen")
    next((house.root / "products" / "sources").iterdir()).unlink()
    with pytest.raises(PlanIncompleteError, match="nothing says of which sites"):
        split(house, "1.00")


# --- The catalogue -------------------------------------------------------------------------------------------------------


def write(house: House, target: Path, title: str = "目录", **options: bool) -> list[str]:
    with house.desk() as desk:
        write_catalog(desk, target, title, **options)
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def text_of(target: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in target.rglob("*.html"))


def test_only_what_is_on_offer_is_shown(at: At, tmp_path: Path) -> None:
    house = at("offered")
    renamed(house.root, "unfinished")
    house.register("unfinished@1.0.0")
    renamed(house.root, "suspended")
    house.offered("suspended@1.0.0")
    with house.desk() as desk:
        product.suspend(desk, "suspended", "1.0.0", "a question")
    files = write(house, tmp_path / "catalog")
    shown = text_of(tmp_path / "catalog")
    assert "small" in shown
    assert "unfinished" not in shown
    assert "suspended@" not in shown
    assert "A-small@1.0.0" in shown  # the certificate
    assert house.entry().release_digest in shown
    assert files == write(house, tmp_path / "again")
    house.now = NOW + timedelta(days=800)  # the approval has run out, and nobody has told the registry
    write(house, tmp_path / "later")
    assert "small@1.0.0" not in text_of(tmp_path / "later")


def test_nothing_on_offer_is_a_catalogue_too(at: At, tmp_path: Path) -> None:
    house = at("frozen")
    assert "index.html" in write(house, tmp_path / "catalog")


def test_hostile_titles_are_text(at: At, tmp_path: Path) -> None:
    house = at("offered")
    hostile = "</title><script>alert(1)</script>{{7*7}}\u202e"
    write(house, tmp_path / "catalog", hostile)
    shown = text_of(tmp_path / "catalog")
    assert "<script>alert(1)" not in shown
    assert "{{7*7}}" in shown
    assert "default-src 'none'" in shown.replace("&#39;", "'")


@pytest.mark.parametrize("what", ["file", "folder", "a site", "link"])
def test_only_a_catalogue_is_replaced(what: str, at: At, tmp_path: Path) -> None:
    house = at("offered")
    target = tmp_path / "catalog"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years of work")
    if what == "file":
        target.write_text("x")
    elif what == "folder":
        target.mkdir()
        (target / "thesis.tex").write_text("years of work")
    elif what == "a site":
        target.mkdir()
        for name in ("index.html", "catalog.json", "about.html"):
            (target / name).write_text("years of work")
    else:
        target.symlink_to(tmp_path / "precious")
    before = tree(tmp_path)
    for options in ({}, {"replace": True}):
        with pytest.raises(UsageError, match="is there already"):
            write(house, target, **options)
    assert tree(tmp_path) == before


def test_a_catalogue_is_replaced_when_asked(at: At, tmp_path: Path) -> None:
    house = at("offered")
    target = tmp_path / "catalog"
    write(house, target, "old title")
    with pytest.raises(UsageError, match="--force"):
        write(house, target)
    assert "old title" in text_of(target)
    write(house, target, "new title", replace=True)
    assert "old title" not in text_of(target)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("is_there", [False, True])
def test_half_a_catalogue_is_never_seen(is_there: bool, at: At, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = at("offered")
    target = tmp_path / "catalog"
    if is_there:
        write(house, target, "old title")
    before = tree(tmp_path)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shopwindow, "sync_tree", full)
    with pytest.raises(OSError, match="No space"):
        write(house, target, replace=True)
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == (["catalog", "w"] if is_there else ["w"])


def test_a_catalogue_whose_replacement_was_killed_is_whole_or_gone_and_can_be_replaced(at: At, tmp_path: Path) -> None:
    house = at("offered")
    target = tmp_path / "catalog"
    write(house, target, "old title")
    before = tree(target)
    rename = Path.rename

    def killed(renames: int) -> None:
        left = iter(range(renames))

        def until_killed(path: Path, to: Path) -> Path:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(path, to)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "rename", until_killed)
            write(house, target, "new title", replace=True)

    for renames, is_there in ((0, True), (1, False)):
        process = multiprocessing.get_context("fork").Process(target=killed, args=(renames,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert (tree(target) == before) if is_there else not target.exists()
    write(house, target, "new title", replace=True)
    assert "new title" in text_of(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog", "w"], "nothing is left of the killed runs"


def test_a_release_that_was_changed_is_not_shown(at: At, tmp_path: Path) -> None:
    house = at("offered")
    file = house.directory() / "product.yaml"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(DigestMismatchError):
        write(house, tmp_path / "catalog")
    assert not (tmp_path / "catalog").exists()


def test_a_link_to_a_catalogue_is_not_replaced(at: At, tmp_path: Path) -> None:
    house = at("offered")
    write(house, tmp_path / "real")
    (tmp_path / "catalog").symlink_to(tmp_path / "real")
    with pytest.raises(PathcurateError):
        write(house, tmp_path / "catalog", replace=True)
    assert (tmp_path / "real" / "index.html").is_file()
