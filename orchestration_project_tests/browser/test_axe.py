"""The checker of pages finds what is wrong with one."""

import pytest

from orchestration_project_tests.browser.axe import script_of, serious_faults
from orchestration_project_tests.browser.chromium import Visit

pytestmark = pytest.mark.xdist_group("browser")

PAGE = '<!doctype html><html lang="en"><title>T</title><main><h1>H</h1>{}</main></html>'


@pytest.mark.parametrize(
    ("part", "faults"),
    [
        pytest.param('<img src="data:," alt="Chart of sales">', [], id="described picture"),
        pytest.param('<img src="data:,">', ["image-alt"], id="picture without a description"),
        pytest.param('<p style="color: #ccc; background: #fff">pale</p>', ["color-contrast"], id="pale text"),
    ],
)
def test_faults_are_found(part: str, faults: list[str], visited: Visit) -> None:
    """A page with a serious fault is told from one without."""
    visited.page.set_content(PAGE.format(part))
    assert [fault.partition(":")[0] for fault in serious_faults(visited.page)] == faults


def test_another_package_is_not_run() -> None:
    """A package with other bytes than the known ones is refused."""
    with pytest.raises(ValueError, match="is not the one whose hash is known"):
        script_of(b"something else")
