"""A headless Chromium, and what can be asked of a viewer's page in it."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, FloatRect, Page, sync_playwright

import results
from overlays import Picture, Seen

FOLDER = Path(__file__).resolve().parent / "viewers"
_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_TIMEOUT_SECONDS = 40.0
WIDTH, HEIGHT = 1080, 600


def installed(name: str) -> Path:
    """The folder of one viewer, or a skip that says how to get it."""
    folder = FOLDER / name
    if not (folder / "index.html").is_file():
        pytest.skip(f"no viewer in {folder}: run tests/viewers/install.sh")
    return folder


@contextmanager
def running_chromium() -> Iterator[BrowserContext]:
    """A browser that draws WebGL in software, or a skip where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (Debian package chromium)")
    with sync_playwright() as playwright:
        playwright.selectors.set_test_id_attribute("data-cy")  # OHIF's own
        # Root, as in containers, has no sandbox; only our own pages are opened.
        arguments = ["--no-sandbox", *_SOFTWARE_GL]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.set_default_timeout(_TIMEOUT_SECONDS * 1000)
        context.add_init_script(path=FOLDER / "probe.js")
        yield context
        browser.close()


@contextmanager
def opened(browser: BrowserContext, address: str) -> Iterator[Page]:
    """A page of a viewer, with the probe in it."""
    page = browser.new_page()
    page.goto(address)
    yield page
    page.close()


def wait_for(page: Page, condition: str) -> None:
    """Until an expression is true in the page."""
    page.wait_for_function(f"() => Boolean({condition})", polling=200)  # ms; a look costs time


def points(page: Page) -> dict[int, NDArray[np.float64]]:
    """LPS mm of all voxels of each segment, as the viewer places them."""
    found = page.evaluate("probe.points()")
    return {int(name): results.in_order(np.array(places)) for name, places in found.items()}


def look(page: Page, places: Mapping[str, str], keep: Path) -> dict[str, Seen]:
    """Parts of the page, named by CSS selectors, with and without overlay; one picture is kept."""
    boxes = {name: page.locator(place).bounding_box() for name, place in places.items()}
    shown = picture(page)
    shown.save(keep)
    page.evaluate("probe.setVisible(false)")
    plain = picture(page)
    page.evaluate("probe.setVisible(true)")
    return {
        name: Seen(shown=_part(shown, box), plain=_part(plain, box))
        for name, box in boxes.items()
        if box
    }


def picture(page: Page) -> Image.Image:
    """The page, once it stays as it is."""
    last = b""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < end:
        page.wait_for_timeout(100)
        shot = page.screenshot()
        if shot == last:
            return Image.open(BytesIO(shot)).convert("RGB")
        last = shot
    raise AssertionError("The page did not come to rest.")


def _part(whole: Image.Image, box: FloatRect) -> Picture:
    left, top = round(box["x"]), round(box["y"])
    part = (left, top, left + round(box["width"]), top + round(box["height"]))
    return np.asarray(whole.crop(part), dtype=np.int16)
