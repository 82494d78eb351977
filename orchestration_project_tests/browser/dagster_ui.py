"""The pages of Dagster's UI that the tests visit, and what they do there.

Dagster has few roles and no test ids, so things are found by what people read on them.
"""

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from orchestration_project_tests.browser.chromium import PATIENCE
from orchestration_project_tests.browser.screenshots import photograph

expect.set_options(timeout=PATIENCE * 1000)


@dataclass(frozen=True)
class DagsterUi:
    """A page on a running Dagster."""

    page: Page
    url: str

    def open(self, path: str, *texts: str | re.Pattern[str]) -> None:
        """Go to an address and wait until it shows some texts."""
        self.page.goto(self.url + path)
        self.shows(*texts)

    def shows(self, *texts: str | re.Pattern[str]) -> None:
        """Wait until the page shows some texts, each as a whole or as a pattern."""
        for text in texts:
            expect(self.page.get_by_text(text, exact=True).first).to_be_visible()

    def graph(self, groups: set[str]) -> list[str]:
        """Open the graph of all assets and unfold its groups; returns the names on the nodes, long ones shortened."""
        self.open("/asset-groups")
        for group in groups:
            expect(self._nodes.get_by_text(group, exact=True)).to_be_visible()
        self.page.keyboard.press("Alt+e")
        expect(self._nodes.locator("[class*=AssetNode_assetName]").first).to_be_visible()
        return [text for text in self._nodes.all_text_contents() if text and text not in groups]

    def node(self, asset: str) -> Locator:
        """An asset's node in the graph."""
        return self._nodes.filter(has_text=asset)

    @property
    def _nodes(self) -> Locator:
        return self.page.locator("foreignObject")

    def materialize(self, asset: str, partition: str) -> None:
        """Click through the dialog that materializes one partition of an asset."""
        self.open(f"/assets/{asset}?view=partitions", "No partition selected")
        self.page.get_by_role("button", name="Materialize…").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Show all partitions").click()
        dialog.get_by_placeholder("ex: ").fill(partition)
        dialog.get_by_placeholder("ex: ").press("Enter")
        dialog.get_by_role("button", name="Launch 1 run").click()
        expect(self.page.get_by_text(re.compile("Launched run"))).to_be_visible()

    def open_partition(self, asset: str, partition: str, *texts: str | re.Pattern[str]) -> None:
        """Open what is known of one partition of an asset."""
        self.open(f"/assets/{asset}?view=partitions&partition={partition}", "Latest materialization", *texts)

    def open_check(self, asset: str, check: str, *texts: str | re.Pattern[str]) -> None:
        """Open the newest result of a check."""
        self.open(f"/assets/{asset}?view=checks&checkDetail={check}", "Latest execution", *texts)

    @property
    def check_result(self) -> Locator:
        """The result on the page of a check."""
        return self.page.get_by_text("Evaluation result", exact=True).locator("xpath=..")

    def photograph(self, name: str) -> None:
        """Take the picture for the documentation, once the navigation is whole: a part of it comes late."""
        self.shows("Jobs")
        photograph(self.page, name)
