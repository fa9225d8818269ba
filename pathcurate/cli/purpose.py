"""``--purpose``, for commands that show identified data."""

import click


def _plain(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    from pathcurate.errors import UsageError
    from pathcurate.model.waiver import is_plain

    if text is not None and not is_plain(text):
        raise UsageError("--purpose is not one line of text", "Say in a few words why you look; no patient's value.")
    return text


purpose_option = click.option(
    "--purpose", metavar="TEXT", callback=_plain, help="Why you look, in words, for the audit trail."
)
