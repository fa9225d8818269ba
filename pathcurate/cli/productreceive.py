"""``pathcurate product receive``: a delivery at its recipient's."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.productdesk import key_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.recipientkeys import Identity
    from pathcurate.signing import Signer


@click.command("receive")
@click.argument("source", metavar="DIR|s3://…")
@click.option(
    "--to", "out", required=True, type=click.Path(path_type=Path), help="Directory to be made for what is unpacked."
)
@click.option("--identity", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Private key that opens the volumes: recipient.age, or an identity of age.")  # fmt: skip
@key_option
@click.option("--passphrase-file", metavar="FILE",
              help="File of mode 0600 with the passphrase of both keys, or - for standard input.")  # fmt: skip
@click.option("--agreement", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="agreement.json as you have kept it: it says whose signature on the delivery counts.")  # fmt: skip
@click.option("--endpoint", help="Address of an object store other than Amazon's.")
@click.option("--region", help="Its region.")
@common_options
def receive_command(
    session: Session, source: str, *, out: Path, identity: Path | None, key: Path | None, passphrase_file: str | None,
    agreement: Path | None, endpoint: str | None, region: str | None,
) -> None:  # fmt: skip
    """Check, open and sign for a delivery, at the recipient's.

    It is decrypted and unpacked; no workspace is needed. --to appears once every file in it is the one that was signed; a run that was cut off goes on.
    With --key a receipt is written into it: send it to the holder, who keeps it with `product acknowledge`.

    \b
    Example:
      pathcurate product receive ../disk --to received --identity keys/recipient.age --key keys/recipient.pem --passphrase-file recipient.pass
    """  # noqa: E501 -- an example is one line
    from pathcurate.cli.progress import progress
    from pathcurate.delivering import target_of
    from pathcurate.receiving.unpacking import receive

    place = target_of(source, Path.cwd(), endpoint=endpoint, region=region)
    own, signer = _keys(identity, key, passphrase_file)
    terms = _read(agreement) if agreement is not None else None
    with progress("receive", "bytes", quiet=session.quiet) as advance:
        found = receive(place, out.absolute(), own, signer, terms, now=session.now, progress=advance)
    document = found.document
    came = "is received" if found.is_new else "was received before, and is whole"
    lines = [
        f"delivery {document.delivery} of {document.product} {document.version} {came}: {out}",
        f"  {counted(found.files, 'file')}, {found.bytes:,} bytes; digest {document.contents_sha256}",
    ]
    lines += [f"  not delivered: {count:,} {what}" for what, count in document.left_out.items()]
    if not found.is_by_own_agreement:
        lines.append("  checked with the agreement beside the volumes: that shows that nothing was damaged, but not who has "
                     "sent it; give --agreement with the one that you have kept")  # fmt: skip
    if found.receipt is not None:
        lines.append(f"  send {out / found.receipt.name} to the holder of the data")
    else:
        lines.append("  no receipt was signed; the same command with --key does it")
    session.show(
        {"delivery": document.delivery, "contract": document.contract, "directory": str(out), "files": found.files,
         "bytes": found.bytes, "contents_sha256": document.contents_sha256, "is_new": found.is_new,
         "is_by_own_agreement": found.is_by_own_agreement,
         "receipt": str(found.receipt) if found.receipt is not None else None},
        lines,
    )  # fmt: skip


def _keys(identity: Path | None, key: Path | None, passphrase_file: str | None) -> "tuple[Identity | None, Signer | None]":
    from pathcurate.cli.productkeys import passphrase
    from pathcurate.recipientkeys import is_encrypted, load_identity
    from pathcurate.signing import load_key

    needs = key is not None or (identity is not None and is_encrypted(identity))
    text = passphrase(passphrase_file) if needs else ""
    return (
        load_identity(identity, text) if identity is not None else None,
        load_key(key, text) if key is not None else None,
    )


def _read(path: Path) -> bytes:
    from pathcurate.digests import open_regular
    from pathcurate.errors import InputOutputError

    with open(path, "rb", opener=open_regular) as file:
        content = file.read((1 << 20) + 1)
    if len(content) > 1 << 20:
        raise InputOutputError("the file is larger than any agreement", "Give agreement.json.")
    return content
