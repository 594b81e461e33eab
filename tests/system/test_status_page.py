"""The status page in headless Chromium, at the width of a telephone and of a desk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

import status_page
import viewer_page
from agent import bootstrap
from storage.records import StudyKey

pytestmark = [pytest.mark.slow, pytest.mark.peer]

WIDTHS = (390, 1440)
# A lazy picture loads when it likes; told to be eager and to decode, it is there or fails.
EVERY_PICTURE = """() => Promise.all(
    [...document.images].map(one => { one.loading = "eager"; return one.decode(); })
)"""
AXE = viewer_page.FOLDER / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("/", "/studies", "/model", "/trainings", "/drift", "/destinations")


def nothing(storage: bootstrap.Storage) -> StudyKey | None:
    """A node that was just installed."""
    return None


SITUATIONS: dict[str, Callable[[bootstrap.Storage], StudyKey | None]] = {
    "empty": nothing,
    "busy": status_page.make_busy,
    "alarmed": status_page.make_alarmed,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with viewer_page.running_chromium() as context:
        yield context


@pytest.fixture(params=SITUATIONS, scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The situation's name, the page's address and the paths to look at."""
    values = status_page.settings(tmp_path_factory.mktemp(request.param))
    with status_page.served(values) as (server, storage):
        key = SITUATIONS[request.param](storage)
        study = ("/studies/" + key.replace("#", "/"),) if key else ()
        assert server.url is not None
        yield request.param, server.url.rstrip("/"), (*PAGES, *study)


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page that remembers what its console said."""
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_says_nothing_to_the_console(
    site: tuple[str, str, tuple[str, ...]], page: Page, width: int, scheme: str, tmp_path: Path
) -> None:
    name, address, paths = site
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    for path in paths:
        page.goto(address + path, wait_until="networkidle")
        page.evaluate(EVERY_PICTURE)
        page.wait_for_load_state("networkidle")
        file = f"{name}-{width}-{scheme}{path.replace('/', '-')[:12]}.png"
        page.screenshot(path=tmp_path / file, full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_or_critical_violation(
    site: tuple[str, str, tuple[str, ...]], page: Page, scheme: str
) -> None:
    if not AXE.is_file():
        pytest.skip(f"no axe-core in {AXE.parent}: run tests/viewers/install.sh")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for path in site[2]:
            page.goto(site[1] + path)
            page.evaluate(AXE.read_text(encoding="utf-8"))  # beside the page's own policy
            found = page.evaluate("axe.run().then(answer => answer.violations)")
            grave = [
                (one["id"], [node["html"] for node in one["nodes"]][:3])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert grave == [], path


def test_the_keyboard_reaches_the_content_and_every_page(
    site: tuple[str, str, tuple[str, ...]], page: Page
) -> None:
    page.goto(site[1] + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('href')"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert set(PAGES) <= set(reached)


def test_the_slider_shows_another_slice(page: Page, tmp_path: Path) -> None:
    with status_page.served(status_page.settings(tmp_path)) as (server, storage):
        key = status_page.analyse_demo(storage)
        page.goto(f"{server.url}studies/{key.replace('#', '/')}?slice=5")
        page.locator("#slice").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#number").text_content() == "6"
        source = page.locator("img[data-view=mask]").get_attribute("src") or ""
        assert source.endswith("/slices/6/mask.png")
