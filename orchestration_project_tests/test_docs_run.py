"""README, CONTRIBUTING and docs are run: each block of a page, from top to bottom, in a checkout of their own.

Commands start as they are typed, in a shell that keeps its variables from block to block; queries see the warehouse
that the commands have made; a block whose first line names a file becomes that file, a `diff` block changes it. A
`text` block right below a command or a query shows lines of its output.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from orchestration_project.components import Alerts, Delivery, FileFeed, Source, SqlTable
from orchestration_project.contracts import load_feed
from orchestration_project_tests.pages import PAGES, ROOT, Block, blocks_of, page_id

# What the pages use of a checkout.
CHECKOUT = [
    "Makefile",
    "pyproject.toml",
    "uv.lock",
    "dagster.yaml",
    "workspace.yaml",
    "orchestration_project",
    "examples",
    "data/sample",
]
# Every block that is not run, by its reason, which names the place where it is run instead, if there is one.
NOT_RUN = {
    "README.md": ["it ends with Ctrl+C"],
    "CONTRIBUTING.md": [
        "it is a part of .ci/run",
        "the tests don't start themselves",
        "they write to the working tree; the tests compare what they write",
        "they start a browser or take minutes",
        "it asks the package index",
    ],
    "docs/access.md": [
        "it installs a package",
        "orchestration_project_tests/servers/access.py does it in a folder of the tests",
        "they do not end by themselves",
        "orchestration_project_tests/reliability/test_access_databases.py runs the scripts",
    ],
    "docs/add-a-feed.md": [
        "the data set is not part of the checkout; orchestration_project_tests/examples loads it",
    ],
    "docs/alerts.md": ["it would send messages"],
    "docs/backup.md": ["it prints a secret key"],
    "docs/cluster.md": [
        "it takes minutes; .ci/run runs it",
        "it needs servers; `make cluster` starts them",
        "it needs the servers",
    ],
    "docs/commands.md": ["it changes the shell, and Tab is a key"],
    "docs/deliver-to-databases.md": [
        "examples/data_app is tested with such a user",
        "it needs a server; orchestration_project_tests/examples runs it against one",
    ],
    "docs/fetch.md": [
        *["it needs a server; orchestration_project_tests/components has one"] * 2,
        "it needs servers; orchestration_project_tests/examples runs it against some",
        "the addresses are those of your servers",
        "it needs servers; orchestration_project_tests/examples runs it against some",
        "it starts a server that stays; orchestration_project_tests/examples runs it",
    ],
    "docs/health.md": [
        "it starts a program that is not a part of this project",
        "it makes a history of 100,000 runs, which takes half a minute",
    ],
    "docs/how-to.md": [
        "recover.md does it",
        "orchestration_project_tests/test_package.py does it with the built wheel",
        "it fetches another version of the checkout",
    ],
    "docs/object-landing.md": ["it needs a bucket; orchestration_project_tests/ingest has a server"],
    "docs/lake.md": [
        "orchestration_project_tests/recovery does it",
        *["it needs a lake; orchestration_project_tests/warehouse has one"] * 3,
    ],
    "docs/operations.md": ["they do not end by themselves", "it sends a message to each target"],
    "docs/performance.md": [
        "takes half an hour and more; orchestration_project_tests/benchmarks runs small ones",
    ],
    "docs/recover.md": [
        "it needs a feed without a definition",
    ],
    "docs/shards.md": [
        "it needs a cluster; orchestration_project_tests/ingest starts one",
        *["it needs Spark"] * 2,
    ],
    "docs/report.md": ["a part of the make run of README.md"],
    "docs/tutorial.md": ["it is the first command of README.md", "it ends with Ctrl+C"],
}
# The first page prepares what the others begin with; the last ones take away the warehouse, then the sample's feeds.
FIRST, LAST = "README.md", ["docs/recover.md", "docs/tutorial.md"]
IN_ORDER = sorted(
    PAGES,
    key=lambda page: (page != ROOT / FIRST, LAST.index(page_id(page)) + 1 if page_id(page) in LAST else 0, page.name),
)

pytestmark = [
    # They share one checkout, and each needs the state that the first one leaves.
    pytest.mark.xdist_group("docs"),
    pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the pages activate an environment, and there is none"),
    pytest.mark.skipif(not shutil.which("bash") or not shutil.which("make"), reason="needs bash and make"),
]


@dataclass(slots=True)
class Shell:
    """A shell in the checkout: each block is a process that has the variables and functions of those before."""

    folder: Path
    state: Path
    output: str = ""

    def run(self, block: Block) -> None:
        """Run a block; it has to end with the exit code that its note tells, else with 0."""
        expected = int(block.note.removeprefix("exit: ") or 0)
        script = (
            f"source {self.state}\ntrap 'declare -px > {self.state}; declare -f >> {self.state}' EXIT\n{block.text}"
        )
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={"HOME": str(self.state.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output = done.stdout
        assert done.returncode == expected, f"{block}\n{done.stdout[-4000:]}"

    def shows(self, block: Block) -> None:
        """Each line of a block is in the last output, in this order; how far words stand apart does not count."""
        lines = iter(" ".join(line.split()) for line in self.output.splitlines())
        for line in block.text.splitlines():
            wanted = " ".join(line.split())
            assert any(wanted in shown for shown in lines), f"{block}\n\nNot in the output: {line}\n{self.output}"

    def query(self, block: Block) -> None:
        """Run each statement on the warehouse; the output is its rows."""
        with duckdb.connect(str(self.folder / "data/warehouse.duckdb"), read_only=True) as connection:
            results = [connection.sql(statement.query) for statement in duckdb.extract_statements(block.text)]
            self.output = "\n".join(map(str, results))

    def write(self, block: Block) -> None:
        """Make the file that the block is."""
        path = self.folder / block.file
        assert path.parent.is_dir(), block
        path.write_text(block.text, encoding="utf-8")

    def edit(self, block: Block) -> None:
        """Change the file that a `diff` block names; each of its lines is looked for below the one before."""
        path = self.folder / block.file
        lines, place = path.read_text(encoding="utf-8").splitlines(), 0
        for edit in block.text.splitlines()[1:]:
            if edit[0] == "+":
                lines.insert(place, edit[1:])
            else:
                # Comments tell what a draft rests on, and are no part of what people look for.
                bare = [line.partition("  #")[0].rstrip() for line in lines]
                assert edit[1:] in bare[place:], f"{block}\n\nNot in the file: {edit}\n{lines}"
                place = bare.index(edit[1:], place)
                if edit[0] == "-":
                    del lines[place]
                    continue
            place += 1
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A checkout, with the environment that `make` would have installed, after all that README.md says."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "checkout"
    for name in CHECKOUT:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        (folder / ".venv" / part.name).symlink_to(part)
    # The mark of an environment that is as the lock says and of this checkout.
    (folder / ".venv/.locked").unlink(missing_ok=True)
    (folder / ".venv/.locked").write_text(f"{folder}\n", encoding="utf-8")
    state = home / "state.sh"
    path = os.environ["PATH"]  # noqa: TID251 - where make and coreutils are
    # The environment is that of the tests: nothing may be installed there, and its package is of another checkout.
    state.write_text(f"export PATH='{path}' PYTHONPATH='{folder}' PIP_NO_INDEX=1\n", encoding="utf-8")
    shell = Shell(folder, state)
    follow(shell, ROOT / FIRST)
    return shell


def follow(shell: Shell, page: Path) -> None:
    """Do what the blocks of a page say."""
    steps: dict[str, Callable[[Block], None]] = {"sh": shell.run, "sql": shell.query}
    for block in blocks_of(page):
        if block.language == "text" and block.follows:
            shell.shows(block)
        elif block.file and not block.untested:
            (shell.edit if block.language == "diff" else shell.write)(block)
        elif block.language in steps and not block.untested:
            steps[block.language](block)


@pytest.mark.parametrize("page", IN_ORDER, ids=page_id)
def test_a_page_holds_when_it_is_followed(page: Path, shell: Shell) -> None:
    """Every command of a page ends as the page says, every query runs, and shown output is what is printed."""
    if page != ROOT / FIRST:
        follow(shell, page)


def test_what_is_not_run_has_a_reason_that_was_agreed_upon() -> None:
    """The blocks that are not run are those of the list above."""
    untested = {page: [block.untested for block in blocks_of(page) if block.untested] for page in PAGES}
    assert {page_id(page): reasons for page, reasons in untested.items() if reasons} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_blocks_are_of_kinds_that_are_tested(page: Path) -> None:
    """No block escapes by its language or by a note that means nothing; Python that is shown is a file's."""
    for block in blocks_of(page):
        assert block.language in {"sh", "sql", "yaml", "diff", "python", "text", "mermaid"}, block
        assert not block.note or block.untested or (block.language == "sh" and block.note in {"exit: 1", "exit: 2"})
        assert block.language not in {"python", "diff"} or block.file, block


def checked(document: Any, folder: Path) -> object:
    """What the platform makes of a YAML document: a feed of a contract or of columns, options of a component."""
    if isinstance(document, list):
        schema = [{"name": "shown", "properties": document}]
        document = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "shown", "version": "1", "status": "draft"}
        document["schema"] = schema
    if document.get("kind") == "DataContract":
        contract = folder / f"{document['schema'][0]['name']}.odcs.yaml"
        contract.write_text(yaml.safe_dump(document), encoding="utf-8")
        return load_feed(contract)
    if document["type"] == "orchestration_project.components.Source":
        # What its kind may say is read by a resolver, not by the model.
        return Source.model().model_validate(document["attributes"])
    components = {
        f"orchestration_project.components.{kind.__name__}": kind for kind in (Alerts, Delivery, FileFeed, SqlTable)
    }
    return components[document["type"]].model_validate(document["attributes"])


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{block.page}:{block.line}")
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "yaml"
    ],
)
def test_yaml_that_is_shown_is_understood(block: Block, tmp_path: Path) -> None:
    """Contracts, columns and components in the pages are accepted by the code that reads them."""
    assert checked(yaml.safe_load(block.text), tmp_path)
