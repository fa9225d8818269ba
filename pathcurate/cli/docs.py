"""``pathcurate docs`` and ``pathcurate completion``: help that needs no network."""

from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, output_options

if TYPE_CHECKING:
    from pathcurate.manual import Topic


@click.command("docs")
@click.argument("topic", required=False)
@output_options
def command(session: Session, topic: str | None) -> None:
    """Show the manual, or one topic of it.

    Without TOPIC the topics are listed. What is shown is the README's text, in Markdown.

    \b
    Example:
      pathcurate docs exit-codes
    """
    from pathcurate import manual

    if topic is None:
        known = manual.topics()
        session.show({"topics": [_as_dict(one) for one in known]}, [f"{'  ' * (one.depth - 2)}{one.name}" for one in known])
    else:
        found = manual.topic(topic)
        session.show({**_as_dict(found), "text": found.text}, [found.text])


def _as_dict(topic: "Topic") -> dict[str, str]:
    return {"topic": topic.name, "title": topic.title}


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_options
def completion_command(session: Session, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    Bash: add the output to ~/.bashrc (Bash 4.4 or later); zsh: to ~/.zshrc, behind `compinit`; fish: write it to
    ~/.config/fish/completions/pathcurate.fish.

    \b
    Example:
      pathcurate completion bash
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kind = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    # Bash's class would ask the installed bash for its version, which says nothing of the one that this is for.
    script = kind.source_template % {
        "complete_func": "_pathcurate_completion", "complete_var": "_PATHCURATE_COMPLETE", "prog_name": "pathcurate",
    }  # fmt: skip
    session.show({"shell": shell, "script": script}, [script])
