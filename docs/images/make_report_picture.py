"""Photograph the demo's report for the README: `python docs/images/make_report_picture.py`.

Needs `make demo` before, chromium and playwright. Synthetic patients only: never photograph a real
study for the repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "demo" / "report" / "report.html"
PICTURE = Path(__file__).with_name("report.png")


def main() -> None:
    """Write report.png: verdict, probabilities and the first key slices."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1190})
        page.goto(PAGE.as_uri(), wait_until="load")
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
