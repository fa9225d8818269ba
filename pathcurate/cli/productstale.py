"""``pathcurate product verify --withdrawals``: whether a release, or a received delivery, holds what was withdrawn."""

from pathlib import Path

from pathcurate.cli.productdesk import directory_of, reading_desk
from pathcurate.cli.session import Session, counted


def verify_feed(session: Session, name: str, feed: Path, trust: Path | None) -> None:
    """Refuse a stale copy.

    Args:
        session: the call.
        name: directory of a received delivery, or what is said of a release.
        feed: of withdrawals, in the codes of the copy.
        trust: whose signatures count.

    Raises:
        DigestMismatchError: the copy is stale or was changed; the feed is broken, forged or an old one.
    """
    from pathcurate.model.delivery import DELIVERY_FILE
    from pathcurate.receiving.unpacking import verify_received
    from pathcurate.receiving.withdrawn import verify_withdrawals
    from pathcurate.trustfile import load_trust

    known = load_trust(trust) if trust is not None else None
    if (Path(name) / DELIVERY_FILE).is_file():
        stale = verify_withdrawals(Path(name).absolute(), feed, known)
        what = f"delivery {verify_received(Path(name).absolute()).delivery}"
    else:
        from pathcurate.checksums import parse_checksums
        from pathcurate.releases import checksums_bytes, verify_release
        from pathcurate.trustfile import trust_path
        from pathcurate.withdrawals.feed import read_signed_feed
        from pathcurate.withdrawals.stale import demand_none, find_stale

        if known is not None and (Path(name) / "MANIFEST.json").is_file():
            directory = Path(name).absolute()
        else:
            with reading_desk(session) as desk:
                directory = directory_of(desk, name)
                known = known or load_trust(trust_path(desk.workspace.root))
        release = verify_release(directory)
        what = f"{release.name} {release.version}"
        lines = feed / f"{release.name}.jsonl" if feed.is_dir() else feed
        found = read_signed_feed(lines, known, product=release.name, contract=None)
        stale = find_stale(directory, parse_checksums(checksums_bytes(directory)), found)
        demand_none(stale, what)
    session.show(
        {"stale": False, "seq": stale.seq, "head": stale.head},
        [f"{what} holds nothing of what was withdrawn: {counted(stale.seq, 'line')} of the feed"],
    )


def verify_whole(session: Session, directory: Path) -> None:
    """Check every file of a received delivery.

    Raises:
        DigestMismatchError: a file was changed, is missing, or is none of the delivery's.
    """
    from pathcurate.receiving.unpacking import verify_received

    document = verify_received(directory)
    session.show(
        {"delivery": document.delivery, "contents": document.contents_sha256},
        [f"delivery {document.delivery} is as it was received: {document.contents_sha256}"],
    )
