"""Writes the README's screenshots: python tests/browser/screenshots.py

They are taken of the demo ledger, with the Datasette and the chromium that are installed (the extra test-browser).
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import serving
from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = serving.ROOT / "datasette_plugin" / "screenshots"
HOME = "/demo/-/ledger"
PAGES = {  # name: path, scheme, height
    "overview": (f"{HOME}?period=2026-10", "light", 1000),
    "agent": (f"{HOME}/agent/invoice-reconciler?period=2026-10", "light", 1000),
    "request": (f"{HOME}/request/req_demo_invoice_4711", "light", 800),
    "reconciliation": (f"{HOME}/reconciliation", "dark", 900),
}
WIDTH, COLOURS = 1280, 128


def main() -> None:
    """Take them all."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving.served(serving.demo_ledger(Path(folder))) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=serving.CHROMIUM, args=list(serving.ARGUMENTS))
        for name, (path, scheme, height) in PAGES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme=scheme)
            response = page.goto(address + path)
            if response is None or not response.ok:
                raise SystemExit(f"{path} can't be shown: {response and response.status}")
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            target = FOLDER / f"{name}.png"
            picture.quantize(COLOURS).save(target, optimize=True)
            print(f"{target.relative_to(serving.ROOT)}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
