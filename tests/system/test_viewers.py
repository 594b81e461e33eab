"""Real viewers in a real browser show the Segmentation where the lesion is, on the right side."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page

import builders
import overlays
import results
import viewer_page
import viewer_studies
from orthanc import running_orthanc
from overlays import Screen, Seen
from viewer_site import running_site
from viewer_studies import ShownStudy

pytestmark = [pytest.mark.slow, pytest.mark.peer]

PHANTOMS = ("axial", "sagittal", "axial, prone")
DEMO = "demo"
# The letters that a viewer writes at the upper and the left side of the images as they were taken.
LETTERS = {"axial": "AR", "sagittal": "HA", "axial, prone": "PL", DEMO: "AR"}
PATIENT_PLANES = {
    "axial": Screen(right=(1, 0, 0), down=(0, 1, 0)),
    "sagittal": Screen(right=(0, 1, 0), down=(0, 0, -1)),
    "coronal": Screen(right=(1, 0, 0), down=(0, 0, -1)),
}
NEAR_MM = 1.5  # a pixel of the phantom is 2.3 mm
PLACED_MM = 0.01


@dataclass(frozen=True, kw_only=True)
class InViewer:
    """A study in a viewer that has its Segmentation open where the first lesion is widest."""

    name: str
    study: ShownStudy
    page: Page
    views: dict[str, Seen]


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with viewer_page.running_chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ShownStudy]:
    phantoms = {name: viewer_studies.phantom(builders.PLANES[name], name) for name in PHANTOMS}
    return {**phantoms, DEMO: viewer_studies.demo(tmp_path_factory.mktemp(DEMO))}


@pytest.fixture(scope="module")
def ohif(tmp_path_factory: pytest.TempPathFactory, studies: dict[str, ShownStudy]) -> Iterator[str]:
    """The address of OHIF over a PACS that holds all the studies."""
    pages = viewer_page.installed("ohif")
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), dicomweb=True) as pacs:
        for dataset in (one for study in studies.values() for one in study.datasets):
            pacs.put(results.encoded(dataset))
        with running_site(pages, pacs_port=pacs.http_port) as address:
            yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go."""
    given = os.environ.get("NEUROSIEVE_PICTURES")
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def in_ohif(
    request: pytest.FixtureRequest,
    browser: BrowserContext,
    ohif: str,
    studies: dict[str, ShownStudy],
    pictures: Path,
) -> Iterator[InViewer]:
    """A study in OHIF, the Segmentation opened by hand as a reader does."""
    name: str = request.param
    study = studies[name]
    with viewer_page.opened(browser, f"{ohif}/viewer?StudyInstanceUIDs={study.uid}") as page:
        viewer_page.wait_for(page, "window.cornerstone?.getEnabledElements().length")
        page.get_by_test_id("study-browser-thumbnail-no-image").filter(has_text="SEG").dblclick()
        viewer_page.wait_for(page, "probe.filled()")
        page.get_by_test_id("panelSegmentation-btn").click()
        page.evaluate("probe.show(1)")
        keep = pictures / f"viewer-ohif-{_plain(name)}.png"
        views = viewer_page.look(page, {"acquired": "canvas.cornerstone-canvas"}, keep)
        yield InViewer(name=name, study=study, page=page, views=views)


@pytest.fixture(scope="module")
def in_cornerstone(
    request: pytest.FixtureRequest,
    browser: BrowserContext,
    studies: dict[str, ShownStudy],
    pictures: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[InViewer]:
    """A study reformatted to the three planes of the patient by cornerstone3D."""
    name: str = request.param
    study = studies[name]
    files = tmp_path_factory.mktemp("files")
    for number, dataset in enumerate((*study.images, study.segmentation)):
        (files / f"{number}.dcm").write_bytes(results.encoded(dataset))
    paths = [f"/{number}.dcm" for number in range(len(study.images))]
    with (
        running_site(viewer_page.installed("bundle"), files) as address,
        viewer_page.opened(browser, address) as page,
    ):
        viewer_page.wait_for(page, "window.viewer")
        what = {"images": paths, "segmentationFile": f"/{len(paths)}.dcm"}
        page.evaluate("what => viewer.open(what)", what)
        page.evaluate("probe.show(1)")
        places = {plane: f"#{plane}" for plane in PATIENT_PLANES}
        keep = pictures / f"viewer-cornerstone3d-{_plain(name)}.png"
        views = viewer_page.look(page, places, keep)
        yield InViewer(name=name, study=study, page=page, views=views)


@pytest.mark.parametrize("in_ohif", [*PHANTOMS, DEMO], indirect=True)
def test_ohif_places_every_voxel_where_it_was_found(in_ohif: InViewer) -> None:
    assert _misplaced_mm(in_ohif) < PLACED_MM


@pytest.mark.parametrize("in_ohif", PHANTOMS, indirect=True)
def test_ohif_colours_the_lesion_of_the_phantom(in_ohif: InViewer) -> None:
    plane = builders.PLANES[in_ohif.name]
    screen = Screen(right=plane.along_row, down=plane.along_column)
    _check_phantom(in_ohif.views["acquired"], screen)


@pytest.mark.parametrize("in_ohif", [DEMO], indirect=True)
def test_ohif_colours_the_bright_side_of_the_demo(in_ohif: InViewer) -> None:
    assert overlays.brighter_than_mirrored(in_ohif.views["acquired"]) > 1.1


@pytest.mark.parametrize("in_ohif", [*PHANTOMS, DEMO], indirect=True)
def test_ohif_names_the_sides_as_they_are(in_ohif: InViewer) -> None:
    found = in_ohif.page.get_by_test_id("viewport-pane").inner_text()
    assert found.split()[-2:] == [*LETTERS[in_ohif.name]]


@pytest.mark.parametrize("in_ohif", [*PHANTOMS, DEMO], indirect=True)
def test_ohif_uses_the_colour_that_the_segmentation_asks_for(in_ohif: InViewer) -> None:
    wanted = in_ohif.study.colour(1)
    assert tuple(in_ohif.page.evaluate("probe.colour(1)")) == wanted
    off = np.abs(in_ohif.views["acquired"].shown - np.array(wanted)).max(axis=2)
    assert (off < 16).sum() > 100  # the outline is drawn in the very colour


@pytest.mark.parametrize("in_ohif", [*PHANTOMS, DEMO], indirect=True)
def test_ohif_lists_all_results(in_ohif: InViewer) -> None:
    count = len(in_ohif.study.images)
    listed = in_ohif.page.evaluate("probe.listed()")
    assert sorted(listed) == sorted([["MR", count], ["OT", count], ["SEG", 1], ["SR", 1]])


@pytest.mark.parametrize("in_ohif", [*PHANTOMS, DEMO], indirect=True)
def test_ohif_orders_the_heatmaps_as_the_images(in_ohif: InViewer) -> None:
    images, heatmaps = (in_ohif.page.evaluate(f"probe.depths('{name}')") for name in ("MR", "OT"))
    np.testing.assert_allclose(heatmaps, images, atol=PLACED_MM)


def test_ohif_opens_the_report(
    browser: BrowserContext, ohif: str, studies: dict[str, ShownStudy], pictures: Path
) -> None:
    """It takes the outline of every group of measurements: that of the study is a whole slice."""
    address = f"{ohif}/viewer?StudyInstanceUIDs={studies['axial'].uid}"
    with viewer_page.opened(browser, address) as page:
        viewer_page.wait_for(page, "window.cornerstone?.getEnabledElements().length")
        page.get_by_test_id("study-browser-thumbnail-no-image").filter(has_text="SR").dblclick()
        page.get_by_text("Diameter").wait_for(timeout=20000)
        page.screenshot(path=pictures / "viewer-ohif-report.png")


@pytest.mark.parametrize("in_cornerstone", [*PHANTOMS, DEMO], indirect=True)
def test_cornerstone_places_every_voxel_where_it_was_found(in_cornerstone: InViewer) -> None:
    assert _misplaced_mm(in_cornerstone) < PLACED_MM


@pytest.mark.parametrize("in_cornerstone", PHANTOMS, indirect=True)
@pytest.mark.parametrize("plane", PATIENT_PLANES)
def test_cornerstone_colours_the_lesion_in_every_plane(
    in_cornerstone: InViewer, plane: str
) -> None:
    _check_phantom(in_cornerstone.views[plane], PATIENT_PLANES[plane])


@pytest.mark.parametrize("in_cornerstone", [DEMO], indirect=True)
def test_cornerstone_colours_the_bright_side_of_the_demo(in_cornerstone: InViewer) -> None:
    assert overlays.brighter_than_mirrored(in_cornerstone.views["axial"]) > 1.1


def _misplaced_mm(shown: InViewer) -> float:
    """The largest distance, along an axis, of a voxel in the viewer from where it belongs."""
    found, wanted = viewer_page.points(shown.page), shown.study.points
    assert {number: len(places) for number, places in found.items()} == {
        number: len(places) for number, places in wanted.items()
    }
    return max(float(np.abs(found[number] - wanted[number]).max()) for number in wanted)


def _check_phantom(seen: Seen, screen: Screen) -> None:
    """The overlay covers the white lesion, and both lie where the phantom has its lesion."""
    overlay = overlays.place_mm(seen.overlay, seen, screen)
    lesion = overlays.place_mm(seen.lesion, seen, screen)
    expected = screen.lesion_mm()
    common = overlays.agreement(seen.overlay, seen.lesion)
    print(f"mm: overlay {overlay.round(2)}, lesion {lesion.round(2)}, expected {expected}")
    print(f"common to overlay and lesion: {common:.3f}")
    np.testing.assert_allclose(overlay, lesion, atol=NEAR_MM)
    np.testing.assert_allclose(overlay, expected, atol=NEAR_MM)
    assert common > 0.8


def _plain(name: str) -> str:
    return name.replace(", ", "-")
