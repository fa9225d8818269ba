"""``--param``, for commands that run or explain a recipe."""

import click


def _pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"`{text}` is not of the form NAME=VALUE.")
        if name in pairs:
            raise click.BadParameter(f"`{name}` is given twice.")
        pairs[name] = value
    return pairs


parameter_option = click.option(
    "--param", "parameters", metavar="NAME=VALUE", multiple=True, callback=_pairs,
    help="Value of one of the recipe's parameters; can be given several times.",
)  # fmt: skip
