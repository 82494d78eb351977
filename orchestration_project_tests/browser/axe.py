"""axe-core, which finds what keeps people from using a page. npm has it; it is believed only by its hash.

python -m orchestration_project_tests.browser.axe    fetches it, as `make browser` does
"""

import base64
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

from playwright.sync_api import Page

from orchestration_project_tests.browser.chromium import lacking
from orchestration_project_tests.components.workbench import REPOSITORY

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
PACKAGE = REPOSITORY / ".browser" / f"axe-core-{VERSION}.tgz"
SERIOUS = {"serious", "critical"}


def serious_faults(page: Page, package: Path = PACKAGE) -> list[str]:
    """The serious and critical faults of a page, each with the elements that have it."""
    if not package.exists():
        lacking(f"axe-core is not there; `make browser` fetches {package.name}")
    page.evaluate(script_of(package.read_bytes()))
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{fault['id']}: {fault['help']}: {[node['target'] for node in fault['nodes']]}"
        for fault in found
        if fault["impact"] in SERIOUS
    ]


def script_of(package: bytes) -> str:
    """The script in the package.

    Raises:
        ValueError: the bytes are not those of the version that was looked at.
    """
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != SHA512:
        raise ValueError(
            f"{PACKAGE.name} is not the one whose hash is known; delete {PACKAGE.parent} and fetch it again"
        )
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


def fetch() -> None:
    """Fetch the package from the registry that npm is set to, if it is not there."""
    if not PACKAGE.exists():
        PACKAGE.parent.mkdir(exist_ok=True)
        command = ["npm", "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(PACKAGE.parent)]
        subprocess.run(command, check=True)
    script_of(PACKAGE.read_bytes())


if __name__ == "__main__":
    fetch()
