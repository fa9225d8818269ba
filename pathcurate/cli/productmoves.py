"""``pathcurate product``: the verbs that lead a release from the registry to the market, and back."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.productdesk import (
    desk_of,
    directory_of,
    entry_of,
    key_option,
    passphrase_option,
    reason_option,
    show_moved,
    signer_of,
    tested,
)
from pathcurate.cli.productspaces import to_be_taken_off
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.model.registration import Assessment

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("check")
@click.argument("release")
@key_option
@passphrase_option
@common_options
def check_command(session: Session, release: str, key: Path | None, passphrase_file: str | None) -> None:
    """Validate a registered release, and keep the result.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. With --key the result is signed and laid beside
    the release. Exit code 12 if a rule is broken.

    \b
    Example:
      pathcurate product check demo_he_2023
    """
    from pathcurate.product import check

    signer = signer_of(key, passphrase_file)
    with desk_of(session, "product check") as desk:
        moved = check(desk, directory_of(desk, release), tested, signer)
    result = moved.entry.facts["validation"]
    counts = f"  {len(result['passed'])} rules passed, {len(result['warned'])} with remarks or not run"
    show_moved(session, moved, [counts])


@click.command("sign")
@click.argument("release")
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Private key to sign with, an encrypted PKCS#8 file.")  # fmt: skip
@passphrase_option
@click.option("--as", "role", type=click.Choice(["steward", "compliance"]), help="In which role, if the signer has both.")
@common_options
def sign_command(session: Session, release: str, key: Path, passphrase_file: str | None, role: str | None) -> None:
    """Sign a release as steward or compliance officer.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. The statement lies in its attestations/ and names
    what it rests on; trust.yaml says whose signatures count and how many are needed. With the last one it is cleared.

    \b
    Example:
      pathcurate product sign demo_he_2023 --key steward.pem --passphrase-file steward.pass
    """
    from pathcurate.product import sign

    signer = signer_of(key, passphrase_file)
    if signer is None:
        raise click.MissingParameter(param_hint="'--key'", param_type="option")
    with desk_of(session, "product sign") as desk:
        moved = sign(desk, directory_of(desk, release), signer, role)
    show_moved(session, moved)


@click.command("submit")
@click.argument("release")
@click.option("--regime", required=True, help="Form to submit in, such as zj-data-ip.")
@click.option("--to", "target", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to be made.")
@common_options
def submit_command(session: Session, release: str, regime: str, target: Path) -> None:
    """Write what a person uploads to an authority.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. The folder holds the filled form, the authority's
    own templates (forms/templates/REGIME/*.docx, *.xlsx) filled in, dossier, datasheet and sample, and says what goes where.

    \b
    Example:
      pathcurate product submit demo_he_2023 --regime zj-data-ip --to submission
    """
    from pathcurate.product import submit

    with desk_of(session, "product submit") as desk:
        moved, bundle = submit(desk, directory_of(desk, release), regime, target.absolute())
    lines = [f"  {bundle.directory}: {len(bundle.files)} files, {bundle.digest}"]
    lines += [f"  not filled: {field}" for field in bundle.missing]
    lines += [f"  without a code: {field}" for field in bundle.uncoded]
    lines += [f"  too long: {field}" for field in bundle.too_long]
    lines += [f"  {finding.message}" for finding in bundle.findings]
    show_moved(
        session, moved, lines, bundle={
            "directory": str(bundle.directory), "digest": bundle.digest, "files": list(bundle.files),
            "missing": list(bundle.missing), "uncoded": list(bundle.uncoded), "too_long": list(bundle.too_long),
        },
    )  # fmt: skip


@click.command("receipt")
@click.argument("release", required=False)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The certificate, a PDF.")
@click.option("--number", help="Its number.")
@click.option("--authority", help="Who gave it.")
@click.option("--scheme", default="registration", show_default=True, help="Regime that it was given under.")
@click.option("--issued", type=_DAY, help="Day on which it was given.")
@click.option("--valid-until", type=_DAY, help="Its last day, if it ends.")
@click.option("--says", type=click.Choice(["notice", "object", "return"]),
              help="What the authority says before it decides: public notice, an objection, sent back.")  # fmt: skip
@click.option("--note", default="", help="Its words.")
@click.option("--grade", help="It is no certificate, but a report on the data's quality: the grade that it gives.")
@click.option("--score", default="", help="With --grade: the score that it gives.")
@click.option("--table", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Of many: a table of releases, numbers, days and files (CSV or Excel).")  # fmt: skip
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where the table's files lie.")
@key_option
@passphrase_option
@common_options
def receipt_command(
    session: Session,
    release: str | None,
    *,
    certificate: Path | None,
    number: str | None,
    authority: str | None,
    scheme: str,
    issued: datetime | None,
    valid_until: datetime | None,
    says: str | None,
    note: str,
    grade: str | None,
    score: str,
    table: Path | None,
    folder: Path | None,
    key: Path | None,
    passphrase_file: str | None,
) -> int:
    """Keep what an authority has said, or its certificate.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. A certificate is bound to the release's digest:
    one file and one number belong to one release alone. With --table and --folder many are entered at once. With --grade
    it is a report of somebody who has assessed the quality of the data.

    \b
    Example:
      pathcurate product receipt demo_he_2023 --certificate cert.pdf --number A1 --authority 示例交易所 --issued 2024-11-20 --key compliance.pem --passphrase-file compliance.pass
    """  # noqa: E501 -- an example is one line
    from pathcurate.product import assess, receipt, told

    signer = signer_of(key, passphrase_file)
    if table is not None:
        from pathcurate.cli.productbatch import receive_many

        if folder is None or release is not None:
            raise click.UsageError("--table goes with --folder, and without RELEASE.")
        return receive_many(session, table, folder, signer)
    if release is None:
        raise click.MissingParameter(param_hint="'RELEASE'", param_type="argument")
    with desk_of(session, "product receipt") as desk:
        directory = directory_of(desk, release)
        if says is not None:
            show_moved(session, told(desk, directory, says, note))  # type: ignore[arg-type]
            return 0
        if certificate is None or number is None or authority is None or issued is None:
            raise click.UsageError("A certificate needs --certificate, --number, --authority and --issued.")
        if grade is not None:
            given_grade = _assessment(grade, score, authority, number, issued, certificate)
            moved = assess(desk, directory, given_grade, certificate.absolute())
            show_moved(session, moved, [f"  quality {grade} by {authority}, {given_grade.sha256}"])
            return 0
        from pathcurate.certificates import certificate_of
        from pathcurate.releases import read_release

        found = read_release(directory)
        given = certificate_of(
            certificate.absolute(), release=f"{found.name}@{found.version}", authority=authority, scheme=scheme,
            number=number, issued=issued.date(), valid_until=valid_until.date() if valid_until else None,
        )  # fmt: skip
        moved = receipt(desk, directory, given, certificate.absolute(), signer)
    show_moved(session, moved, [f"  certificate {given.number} of {given.authority}, {given.sha256}"])
    return 0


def _assessment(grade: str, score: str, assessor: str, number: str, issued: datetime, file: Path) -> "Assessment":
    from pathcurate.digests import sha256_text
    from pathcurate.model.certificate import is_line
    from pathcurate.model.registration import Assessment

    if not all(is_line(text) for text in (grade, assessor, number)) or not (score == "" or is_line(score)):
        raise click.UsageError("--grade, --score, --authority and --number are one line each.")
    return Assessment(grade, assessor, number, issued.date(), sha256_text(file.read_bytes()), score)


@click.command("offer")
@click.argument("release")
@common_options
def offer_command(session: Session, release: str) -> None:
    """Put a registered release on offer.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version. Earlier versions of it on offer are superseded;
    contracts for them go on.

    \b
    Example:
      pathcurate product offer demo_he_2023
    """
    from pathcurate.product import offer

    with desk_of(session, "product offer") as desk:
        moved = offer(desk, directory_of(desk, release))
    show_moved(session, moved, to_be_taken_off(moved.also))


@click.command("suspend")
@click.argument("product")
@reason_option
@common_options
def suspend_command(session: Session, product: str, reason: str) -> None:
    """Take a product off offer for now.

    PRODUCT is NAME@VERSION, or NAME for its highest version. Its contracts and deliveries rest with it.

    \b
    Example:
      pathcurate product suspend demo_he_2023 --reason "a question of the ethics committee"
    """
    from pathcurate.product import suspend

    with desk_of(session, "product suspend") as desk:
        entry = entry_of(desk, product)
        moved = suspend(desk, entry.product, entry.version, reason)
    show_moved(session, moved, to_be_taken_off([moved.entry]))


@click.command("resume")
@click.argument("release")
@common_options
def resume_command(session: Session, release: str) -> None:
    """Offer again what was suspended.

    RELEASE is a directory, NAME@VERSION, or NAME for its highest version.

    \b
    Example:
      pathcurate product resume demo_he_2023
    """
    from pathcurate.product import resume

    with desk_of(session, "product resume") as desk:
        moved = resume(desk, directory_of(desk, release))
    show_moved(session, moved)
