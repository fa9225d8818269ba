"""Rights per site: who may be built in today, and what of a release is whose."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.productfile import Evidence, Paper, Policy, ProductFile
from pathcurate.model.rights import Due, Ending, Source, SourceStatement, Standing, Withdrawal
from pathcurate.rights import has_rights, standings, unauthorised
from pathcurate.rights.ending import due
from pathcurate.rights.sources import read_sources, sources_path, write_sources
from pathcurate.rights.withdrawn import WITHDRAWN_SITES, read_withdrawals, withdraw_site
from pathcurate.workspace import Workspace, load_workspace

TODAY = date(2026, 5, 20)
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
PAPER = b"%PDF-1.7 NB01 may be used"
GOOD = "holder: 示例市医院, authorisation: docs/nb01.pdf"
Open = Callable[..., Workspace]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Make a workspace whose sites NB01 and NB02 have these rights; none if they are empty."""

    def make(first: str = GOOD, second: str = GOOD) -> Workspace:
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / "nb01.pdf").write_bytes(PAPER)
        sites = ", ".join(
            f"{{code: {code}{f', rights: {{{rights}}}' if rights else ''}}}"
            for code, rights in (("NB01", first), ("NB02", second))
        )
        (tmp_path / "pathcurate.yaml").write_text(f"workspace: 1\nname: w\nsites: [{sites}]\n", encoding="utf-8")
        return load_workspace(tmp_path / "pathcurate.yaml")

    return make


def withdraw(workspace: Workspace, site: str = "NB02", reason: str = "its contract has ended", **changes: Any) -> Any:
    return withdraw_site(workspace, site, **{"actor": "steward", "reason": reason, "now": NOW, **changes})


# --- Who is authorised ---------------------------------------------------------------------------------------------------


def test_where_no_site_names_rights_nobody_is_left_out(opened: Open) -> None:
    workspace = opened("", "")
    assert not has_rights(workspace)
    assert standings(workspace, TODAY) == {"NB01": Standing("NB01"), "NB02": Standing("NB02")}
    assert unauthorised(workspace, TODAY, ["NB01", "NB02", "NB99"]) == {}


def test_a_site_with_its_document_is_authorised_through_its_last_day(opened: Open) -> None:
    workspace = opened(f"{GOOD}, valid_until: {TODAY}, share: 0.1")
    assert has_rights(workspace)
    found = standings(workspace, TODAY)["NB01"]
    assert found == Standing("NB01", "示例市医院", sha256_text(PAPER), TODAY, Decimal("0.1"))
    assert unauthorised(workspace, TODAY, ["NB01", "NB02"]) == {}
    assert unauthorised(workspace, TODAY + timedelta(days=1), ["NB02", "NB01"]) == {
        "NB01": "its authorisation was valid until 2026-05-20"
    }


@pytest.mark.parametrize(
    ("rights", "fault"),
    [
        ("", "pathcurate.yaml names no rights in its data"),
        ("holder: A", "no document authorises the use of its data"),
        ("holder: A, valid_until: 2126-01-01", "no document authorises the use of its data"),
        ("holder: A, authorisation: docs/gone.pdf", "its authorisation gone.pdf is not there, or no regular file"),
        ("holder: A, authorisation: docs", "its authorisation docs is not there, or no regular file"),
        ("holder: A, authorisation: link.pdf", "its authorisation link.pdf is not there, or no regular file"),
        ("holder: A, authorisation: pipe.pdf", "its authorisation pipe.pdf is not there, or no regular file"),
        ("holder: A, authorisation: empty.pdf", "its authorisation empty.pdf is empty"),
        (f"{GOOD}, valid_until: 2026-05-19", "its authorisation was valid until 2026-05-19"),
    ],
)
def test_a_site_is_not_authorised(rights: str, fault: str, opened: Open) -> None:
    workspace = opened(GOOD, rights)
    (workspace.root / "link.pdf").symlink_to("docs/nb01.pdf")
    (workspace.root / "empty.pdf").touch()
    os.mkfifo(workspace.root / "pipe.pdf")
    assert standings(workspace, TODAY)["NB01"].fault is None
    found = unauthorised(workspace, TODAY, ["NB01", "NB02"])
    assert found.keys() == {"NB02"}
    assert found["NB02"].startswith(fault)


def test_a_site_that_the_file_does_not_name_any_more_is_not_authorised(opened: Open) -> None:
    assert unauthorised(opened(), TODAY, ["NB03", "NB01"]) == {"NB03": "pathcurate.yaml names no such site"}


def test_a_document_that_was_swapped_has_another_digest(opened: Open) -> None:
    workspace = opened()
    before = standings(workspace, TODAY)["NB01"].authorisation
    (workspace.root / "docs" / "nb01.pdf").write_bytes(PAPER + b" for ever")
    after = standings(workspace, TODAY)["NB01"].authorisation
    assert (before, after) == (sha256_text(PAPER), sha256_text(PAPER + b" for ever"))


# --- Withdrawn sites -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rights", [GOOD, ""])
def test_a_withdrawn_site_is_out_whether_or_not_rights_are_named(rights: str, opened: Open) -> None:
    workspace = opened(rights, rights)
    one, is_new = withdraw(workspace, now=datetime(2026, 5, 20, 1, tzinfo=UTC))
    assert is_new
    assert one == Withdrawal("NB02", "2026-05-20T01:00:00+00:00", "steward", "its contract has ended")
    assert has_rights(workspace)
    assert unauthorised(workspace, TODAY, ["NB01", "NB02"]) == {"NB02": "it was withdrawn on 2026-05-20"}
    # A day does not take it back, nor does a file that names no such site any more.
    assert unauthorised(workspace, date(2000, 1, 1), ["NB02"])
    renamed = (workspace.root / "pathcurate.yaml").read_text(encoding="utf-8").replace("NB02", "NB03")
    (workspace.root / "pathcurate.yaml").write_text(renamed, encoding="utf-8")
    again = load_workspace(workspace.root / "pathcurate.yaml")
    assert unauthorised(again, TODAY, ["NB01", "NB02", "NB03"]).keys() == {"NB02"}
    assert standings(again, TODAY)["NB02"] == Standing("NB02", fault="it was withdrawn on 2026-05-20", is_withdrawn=True)


def test_a_withdrawal_that_is_said_again_changes_nothing(opened: Open) -> None:
    workspace = opened()
    first, _ = withdraw(workspace)
    path = workspace.products / WITHDRAWN_SITES
    before = path.read_bytes()
    assert withdraw(workspace, reason="another", actor="other", now=NOW + timedelta(days=9)) == (first, False)
    assert path.read_bytes() == before
    withdraw(workspace, "NB01", "第二份\n协议 \u2028到期")
    assert path.read_bytes().startswith(before)
    assert [one.site for one in read_withdrawals(workspace)] == ["NB02", "NB01"]
    assert read_withdrawals(workspace)[1].reason == "第二份\n协议 \u2028到期"


def test_many_who_withdraw_at_once_leave_one_line_for_each_site(opened: Open) -> None:
    workspace = opened()
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda number: withdraw(workspace, f"NB0{number % 2 + 1}", str(number)), range(16)))
    assert sorted(one.site for one in read_withdrawals(workspace)) == ["NB01", "NB02"]
    assert sum(is_new for _, is_new in told) == 2


@pytest.mark.parametrize(
    ("site", "changes", "words"),
    [
        ("NB09", {}, "no site `NB09`"),
        ("nb01", {}, "no site `nb01`"),
        ("NB01", {"reason": " \n"}, "for a reason"),
        ("NB01", {"reason": "bad \udcff bytes"}, "for a reason"),
    ],
)
def test_a_withdrawal_that_says_too_little_is_refused(site: str, changes: dict[str, str], words: str, opened: Open) -> None:
    workspace = opened()
    with pytest.raises(UsageError, match=words):
        withdraw(workspace, site, **changes)
    assert read_withdrawals(workspace) == ()


GOOD_LINE = b'{"actor": "a", "at": "2026-05-20T12:00:00+00:00", "reason": "r", "site": "NB02"}\n'


@pytest.mark.parametrize(
    "damage",
    [
        GOOD_LINE[:-1],
        GOOD_LINE[:40],
        b"\n",
        b"{}\n",
        b"[]\n",
        b'"NB02"\n',
        b"not json\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        GOOD_LINE.replace(b"NB02", b"nb02"),
        GOOD_LINE.replace(b"NB02", b"NB02\\n"),
        GOOD_LINE.replace(b"+00:00", b""),
        GOOD_LINE.replace(b"+00:00", b"+08:00"),
        GOOD_LINE.replace(b"2026-05-20", b"yesterday"),
        GOOD_LINE.replace(b'"r"', b'""'),
        GOOD_LINE.replace(b'"r"', b"7"),
        GOOD_LINE.replace(b'"r"', b'"\\udcff"'),
        GOOD_LINE.replace(b'"actor": "a", ', b""),
        GOOD_LINE.replace(b'"actor"', b'"is_over": "yes", "actor"'),
    ],
)
def test_a_damaged_line_is_refused_and_not_passed_over(damage: bytes, opened: Open) -> None:
    workspace = opened()
    path = workspace.products / WITHDRAWN_SITES
    path.parent.mkdir()
    path.write_bytes(GOOD_LINE)
    assert [one.site for one in read_withdrawals(workspace)] == ["NB02"]
    path.write_bytes(GOOD_LINE + damage)
    for act in (
        lambda: read_withdrawals(workspace),
        lambda: withdraw(workspace, "NB01"),
        lambda: standings(workspace, TODAY),
    ):
        with pytest.raises(InputOutputError, match=r"line 2 of products/withdrawn-sites\.jsonl is damaged"):
            act()
    assert path.read_bytes() == GOOD_LINE + damage


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_a_list_that_is_no_file_is_refused(kind: str, opened: Open) -> None:
    workspace = opened()
    path = workspace.products / WITHDRAWN_SITES
    path.parent.mkdir()
    elsewhere = workspace.root / "elsewhere"
    elsewhere.write_bytes(b"")
    {"folder": path.mkdir, "link": lambda: path.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(path)}[kind]()
    for act in (lambda: read_withdrawals(workspace), lambda: withdraw(workspace)):
        with pytest.raises(InputOutputError, match="cannot be"):
            act()
    assert elsewhere.read_bytes() == b""


def test_a_full_disk_leaves_the_list_as_it_was(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened()
    withdraw(workspace)
    path = workspace.products / WITHDRAWN_SITES
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputOutputError, match="cannot be written"):
            withdraw(workspace, "NB01")
    assert path.read_bytes() == before
    assert withdraw(workspace, "NB01")[1]


@pytest.mark.parametrize(("above", "mode"), [(0o755, 0o640), (0o2770, 0o660)])
def test_the_list_is_as_open_as_its_directory(above: int, mode: int, opened: Open) -> None:
    workspace = opened()
    workspace.products.mkdir()
    workspace.products.chmod(above)
    withdraw(workspace)
    assert stat.S_IMODE((workspace.products / WITHDRAWN_SITES).stat().st_mode) == mode


# --- What ends soon ------------------------------------------------------------------------------------------------------


def product(name: str, policy: date | None = None, **papers: Paper) -> ProductFile:
    return ProductFile(product=1, name=name, evidence=Evidence(**papers), policy=Policy(valid_until=policy))


def day(days: int) -> date:
    return TODAY + timedelta(days=days)


def test_what_ended_first_is_due_first() -> None:
    products = [
        product("b", ethics=Paper(number="伦审1", valid_until=day(30)), certificate=Paper(valid_until=day(90))),
        product("a", day(0), ethics=Paper(number="伦审1", valid_until=day(91)), notarisation=Paper(number="N")),
    ]
    sites = [
        Standing("NB01", "医院", valid_until=day(-400)), Standing("NB02", valid_until=day(-1), is_withdrawn=True),
        Standing("NB03", valid_until=None),
    ]  # fmt: skip
    contract = Ending("agreement", "HT-1", "contract", "c1", day(-1))
    assert due(products, sites, [contract, contract], today=TODAY, within=90) == (
        Due("authorisation of a site", "医院", "site", "NB01", day(-400), -400),
        Due("agreement", "HT-1", "contract", "c1", day(-1), -1),
        Due("terms of use", "", "product", "a", day(0), 0),
        Due("ethics approval", "伦审1", "product", "b", day(30), 30),
        Due("certificate of registration", "", "product", "b", day(90), 90),
    )
    assert [one.days_left for one in due(products, sites, [contract], today=TODAY, within=0)] == [-400, -1, 0]
    assert due([], [], [], today=TODAY, within=10**6) == ()


def test_every_paper_of_a_product_can_be_due() -> None:
    names = [name for name, field in Evidence.model_fields.items() if "Paper" in str(field.annotation)]
    assert len(names) >= 6
    full = product("a", **{name: Paper(number=name, valid_until=TODAY) for name in names})
    assert {one.name for one in due([full], [], [], today=TODAY, within=0)} == set(names)


# --- What a release is made of -------------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0" * 64
STATEMENT = SourceStatement(
    "p", "1.0.0", DIGEST, TODAY,
    {
        "NB02": Source({"slides": 5, "rows": 5}, Standing("NB02", "医院", DIGEST, day(1), Decimal("0.30"))),
        "NB01": Source({"slides": 7, "rows": 9}, Standing("NB01")),
    },
)  # fmt: skip


def test_a_statement_reads_as_it_was_written(opened: Open) -> None:
    workspace = opened()
    path = write_sources(workspace, STATEMENT)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    found = read_sources(workspace, "p", "1.0.0", DIGEST)
    assert (found, list(found.sites)) == (STATEMENT, ["NB01", "NB02"])
    assert found.counts("slides") == {"NB01": 7, "NB02": 5}
    assert found.counts("patients") == {"NB01": 0, "NB02": 0}
    assert found.shares() == {"NB01": None, "NB02": Decimal("0.30")}
    assert write_sources(workspace, found).read_bytes() == before


def test_a_statement_of_another_release_is_refused(opened: Open) -> None:
    workspace = opened()
    with pytest.raises(PlanIncompleteError, match=r"nothing says of which sites p 1\.0\.0 is made"):
        read_sources(workspace, "p", "1.0.0", DIGEST)
    path = write_sources(workspace, STATEMENT)
    with pytest.raises(DigestMismatchError, match="of another release"):
        read_sources(workspace, "p", "1.0.0", DIGEST.replace("0", "1"))
    path.rename(sources_path(workspace, "p", "2.0.0"))
    with pytest.raises(DigestMismatchError, match="of another release"):
        read_sources(workspace, "p", "2.0.0", DIGEST)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{", "["), ('"slides": 7', '"slides": -7'), ('"slides": 7', '"slides": "many"'), ('"slides": 7', '"slides": null'),
        ('"share": "0.30"', '"share": "1.30"'), ('"share": "0.30"', '"share": "NaN"'), ('"share": "0.30"', '"share": []'),
        ('"site": "NB01"', '"site": "NB02"'), ('"day": "2026-05-20"', '"day": 20'), ('"sites"', '"places"'),
        ('"2026-05-21"', '"soon"'),
    ],
)  # fmt: skip
def test_a_damaged_statement_is_refused(before: str, after: str, opened: Open) -> None:
    workspace = opened()
    path = write_sources(workspace, STATEMENT)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(DigestMismatchError, match=r"p-1\.0\.0\.json is damaged"):
        read_sources(workspace, "p", "1.0.0", DIGEST)
