"""The engine knows no feed, table or asset of the shop: not in a name, not in a text that it writes."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import orchestration_project
from orchestration_project.cli.project import SHOP
from orchestration_project_tests.components.workbench import project

PACKAGE = Path(orchestration_project.__file__).parent
ENGINE = (
    "components",
    "alerts",
    "health",
    "inspection",
    "rejects",
    "recovery",
    "backup",
    "retention",
    "delivery",
    "ingest",
    "formats",
    "warehouse",
    "storage",
    "contracts",
)
# These are the engine's words too: what verifies, measures, saves, keeps and tells, and the group of what watches the
# platform.
OWN_WORDS = {"verification", "platform_health", "warehouse_backup", "file_retention", "operations", "alerts_sensor"}
MODULES = sorted(path for room in ENGINE for path in (PACKAGE / room).rglob("*.py"))


@cache
def shop_names() -> frozenset[str]:
    """The names of the shop: feeds, assets, tables, jobs, sensors, schedules, groups of marts."""
    repository = project().get_repository_def()
    found = {spec.key.to_user_string() for spec in project().resolve_all_asset_specs()}
    found |= {*SHOP.feeds()}
    found |= {name for name in repository.job_names if not name.startswith("__")}
    found |= {sensor.name for sensor in repository.sensor_defs} | {item.name for item in repository.schedule_defs}
    found |= {path.name for path in (PACKAGE / "defs").iterdir() if path.is_dir() and path.name != "__pycache__"}
    return frozenset(found - OWN_WORDS)


def names_and_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier and every string of a module, with its line; docstrings are read by people only."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield line, text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield line, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                yield line, name


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_engine_does_not_name_the_shop(module: Path) -> None:
    """No whole word of an identifier or a text is the name of something in `defs/`."""
    named = re.compile(rf"(?<![A-Za-z0-9_])({'|'.join(map(re.escape, shop_names()))})(?![A-Za-z0-9_])")
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = [f"{module}:{line}: {text!r}" for line, text in names_and_texts(tree) if named.search(text)]
    assert found == []


def test_the_names_are_those_of_the_shop() -> None:
    """The list that is searched for has a name of each kind."""
    assert {"sales", "products", "cleaned_sales", "product_warehouse", "sales_report", "sales_job"} <= shop_names()
