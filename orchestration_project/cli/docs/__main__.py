"""Writes the generated pages into docs/."""

from orchestration_project.cli.docs.pages import DOCS, pages

for name, text in pages().items():
    (DOCS / name).write_text(text, encoding="utf-8")
