"""Which pages are generated, and the reference of the commands, which stands in a page that people write."""

from collections.abc import Iterator
from pathlib import Path

import click

from orchestration_project.cli.docs.catalogue import catalogue
from orchestration_project.cli.docs.manual import manual
from orchestration_project.cli.main import main
from orchestration_project.definitions import defs

DOCS = Path(__file__).parents[3] / "docs"
COMMANDS = DOCS / "commands.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"


def pages() -> dict[str, str]:
    """The text of each generated page, by its name in docs/."""
    return {
        "catalogue.md": catalogue(defs()),
        "commands.md": with_reference(COMMANDS.read_text(encoding="utf-8")),
        "reference.md": manual(),
    }


def reference() -> str:
    """The reference of all commands: of each one its usage, its help and its options."""
    return "\n".join(line for name in main.commands for line in _command(name, main.commands[name]))


def with_reference(page: str) -> str:
    """A page with the reference between its two marks as it is now."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### `{name}`\n"
    yield f"`orchestration-project {name} {usage}`\n"
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
