"""The reference of all commands in docs/commands.md, made from the commands themselves.

`python -m orchestration_project.cli.reference` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from orchestration_project.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def reference() -> str:
    """The reference as Markdown: of each command its usage, its help and its options."""
    return "\n".join(line for name in main.commands for line in _command(name, main.commands[name]))


def updated(page: str) -> str:
    """A page with the reference between its two marks as it is now."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### `{name}`\n"
    yield f"`python -m orchestration_project {name} {usage}`\n"
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        before, example, typed = text.partition("Example: ")
        yield f"{before}`{typed}`\n" if example else f"{text}\n"
    options = [item for item in command.params if isinstance(item, click.Option)]
    if options:
        yield "| option | meaning |\n|---|---|"
        yield from (_option(option, context) for option in options)
        yield ""


def _option(option: click.Option, context: click.Context) -> str:
    names, meaning = option.get_help_record(context) or ("", "")
    return f"| `{names}` | {' '.join(meaning.split()).replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
