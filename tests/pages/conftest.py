"""The made-up project's report, in a browser that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories.browser import Page, browser
from tests.factories.report_page import wait_for_answers


@pytest.fixture(scope="module")
def file(sample: Path) -> Path:
    """The report's file."""
    return sample / "docs/reference/benchmarks/report.html"


@pytest.fixture(scope="module")
def shared() -> Iterator[Page]:
    """A page in a browser."""
    with browser() as page:
        yield page


@pytest.fixture
def page(shared: Page, file: Path) -> Iterator[Page]:
    """The report, freshly loaded. Whatever a test does there, no request may leave the page."""
    shared.send("Emulation.setScriptExecutionDisabled", value=False)
    shared.send("Emulation.setEmulatedMedia", features=[])
    shared.send("Emulation.clearDeviceMetricsOverride")
    shared.errors.clear()
    shared.requests.clear()
    # Without its fragment, which would only be changed, not loaded.
    shared.send("Page.navigate", url="about:blank")
    shared.open(file)
    wait_for_answers(shared)
    yield shared
    local = ("file:", "data:", "about:")
    assert [url for url in shared.requests if not url.startswith(local)] == []
