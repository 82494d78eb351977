"""The example of a delivery: Online Retail at an object store and in PostgreSQL, to the cent, and a corrected day."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import psycopg
import pytest

from orchestration_project.storage.objects import ObjectStore, open_objects
from orchestration_project_tests.components.workbench import Workbench, feeds
from orchestration_project_tests.examples.test_examples import Countries, by_country, folder_of, shared_files
from orchestration_project_tests.reliability.evidence import effort
from orchestration_project_tests.servers.postgres import PostgresServer


@dataclass
class Delivered:
    """Online Retail, loaded and delivered to a target: the texts of its days are what the target has to agree with."""

    bench: Workbench
    texts: dict[str, str]

    def load(self, *days: str) -> dg.ExecuteInProcessResult:
        """Drop the files of some days, load them, and deliver."""
        for day in days:
            self.bench.drop("online_retail", f"sales_{day}.csv", self.texts[day])
        self.bench.run(job="online_retail_job", first=min(days), last=max(days), raise_on_error=False)
        return self.bench.run(job="deliver_retail", first=max(self.texts))

    def correct(self) -> str:
        """Deliver the first day without its last record; returns the day."""
        day = min(self.texts)
        self.texts[day] = "".join(self.texts[day].splitlines(keepends=True)[:-1])
        self.load(day)
        return day

    def sums(self) -> dict[str, tuple[int, Decimal]]:
        """Units and revenue of each day, of the files."""
        return sums_of(by_country(self.texts.items()))


@contextmanager
def retail_delivered(folder: Path, url: str) -> Iterator[Delivered]:
    """The shop of Online Retail with a delivery to a URL; nothing is loaded yet."""
    names = ("online_retail", "country_daily_revenue", "retail_delivery")
    files = {file.stem.removeprefix("sales_"): file for file in shared_files("online_retail")[: effort(3, 1000)]}
    texts = {day: file.read_text(encoding="utf-8") for day, file in files.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAIL_URL", url)
        with feeds(**{name: folder_of(name) for name in names}) as defs, dg.DagsterInstance.ephemeral() as instance:
            yield Delivered(Workbench(defs, folder / "data", instance), texts)


@pytest.mark.xdist_group("s3")
def test_online_retail_is_delivered_to_an_object_store(tmp_path: Path, s3: str) -> None:
    """On the store's side the sums are those of the files, to the cent; a corrected day is one new file a table."""
    with retail_delivered(tmp_path, s3) as retail:
        result = retail.load(*retail.texts)
        assert [item.passed for item in result.get_asset_check_evaluations()] == [True, True]
        store = open_objects(s3)
        before = delivered_files(store, "country_daily_revenue")
        assert {day for day, _ in before} == {*retail.texts}
        assert delivered_sums(store, tmp_path) == retail.sums()

        day = retail.correct()
        assert delivered_sums(store, tmp_path) == retail.sums()
        after = delivered_files(store, "country_daily_revenue")
        assert {part for part, _ in {*after} - {*before}} == {day}


def test_online_retail_is_delivered_to_postgresql(tmp_path: Path, postgres: PostgresServer) -> None:
    """In the database the sums are those of the files, to the cent; a corrected day changes its own rows only."""
    url = postgres.url(postgres.new_database())
    with retail_delivered(tmp_path, url) as retail:
        retail.load(*retail.texts)
        assert stored_sums(url) == retail.sums()
        before = stored_places(url)

        day = retail.correct()
        assert stored_sums(url) == retail.sums()
        assert {part for part, _ in {*stored_places(url)} - {*before}} == {day}


def stored_sums(url: str) -> dict[str, tuple[int, Decimal]]:
    """Units and revenue of each day, added up by PostgreSQL over the cleaned lines."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT _batch_date::text, sum(quantity), sum(line_amount) FROM warehouse.cleaned_online_retail GROUP BY 1"
        ).fetchall()
    return {day: (int(units), revenue) for day, units, revenue in rows}


def stored_places(url: str) -> list[tuple[str, str]]:
    """Day and place of each row of the mart; a row that is written anew has another place."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT _batch_date::text, xmin::text || ctid::text FROM warehouse.country_daily_revenue"
        ).fetchall()


def sums_of(countries: Countries) -> dict[str, tuple[int, Decimal]]:
    """Units and revenue of each day."""
    days = {day for day, _ in countries}
    of_day = {day: [figures for (on, _), figures in countries.items() if on == day] for day in days}
    return {
        day: (sum(units for _, units, _ in found), sum((revenue for *_, revenue in found), Decimal()))
        for day, found in of_day.items()
    }


def delivered_files(store: ObjectStore, table: str) -> list[tuple[str, str]]:
    """The parts and the files that the newest manifest of a table names."""
    newest = max(found.key for found in store.list(f"{table}/manifest"))
    return [(file["part"], file["file"]) for file in json.loads(store.get(newest))["files"]]


def delivered_sums(store: ObjectStore, folder: Path) -> dict[str, tuple[int, Decimal]]:
    """Units and revenue of each day, added up in the files of the cleaned lines."""
    paths = []
    for day, file in delivered_files(store, "cleaned_online_retail"):
        paths.append(folder / f"{day}.parquet")
        store.download(f"cleaned_online_retail/{file}", paths[-1])
    rows = duckdb.sql(
        f"""SELECT _batch_date::VARCHAR, sum(quantity), sum(line_amount)
            FROM read_parquet({[str(path) for path in paths]}) GROUP BY 1"""
    ).fetchall()
    return {day: (units, revenue) for day, units, revenue in rows}
