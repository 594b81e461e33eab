"""What is written on a heatmap can be read, hides nothing and says no more than is known."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

import builders
from agent.imaging import captions
from agent.imaging.annotation import Annotation
from agent.imaging.edges import Edges, around
from agent.imaging.lettering import Lettering
from agent.imaging.render import Painter
from agent.imaging.results import Findings
from agent.imaging.volume import Volume

LETTERS = Edges(left="R", right="L", top="AH", bottom="PF")
SIZES = {
    "tiny": (16, 16, None),
    "small": (64, 64, None),
    "usual": (256, 256, None),
    "large": (512, 512, None),
    "oblong": (320, 260, None),
    "narrow": (256, 96, (20.0, 1.0, 1.0)),
    "low": (64, 256, (20.0, 1.0, 1.0)),
    "not square": (64, 32, (20.0, 3.0, 6.0)),
}


def painted(rows: int, columns: int, spacing: tuple[float, float, float] | None) -> Painter:
    series = builders.flair_series(slices=4, rows=rows, columns=columns, spacing_mm=spacing)
    volume = builders.volume(series)
    findings = builders.findings(volume, mass_like=False)
    longest = replace(
        findings,
        slice_scores=np.array([0.0, 1.0, 123.456, 9.9]),
        slice_p_values=np.array([1.0, 0.00912, 1e-9, 0.5]),
    )
    return Painter(volume, longest, edges=LETTERS)


@pytest.fixture(scope="module")
def volume() -> Volume:
    return builders.volume(builders.flair_series(slices=12))


@pytest.fixture(scope="module")
def findings(volume: Volume) -> Findings:
    return builders.findings(volume)


@pytest.mark.parametrize("name", SIZES)
def test_no_text_lies_on_another_or_beyond_the_edge(name: str) -> None:
    rows, columns, spacing = SIZES[name]
    painter = painted(rows, columns, spacing)
    height, width = painter.draw(0).shape[:2]
    slots = list(painter.annotation.slots.values())
    assert len(slots) >= 12  # four letters, five lines, two of the marking, the legend
    assert all(slot.lies_in(height, width) for slot in slots)
    assert not [pair for pair in combinations(slots, 2) if pair[0].meets(pair[1])]


@pytest.mark.parametrize("name", SIZES)
def test_nothing_is_written_outside_the_measured_boxes(name: str) -> None:
    rows, columns, spacing = SIZES[name]
    painter = painted(rows, columns, spacing)
    changed = np.zeros(painter.draw(0).shape[:2], dtype=bool)
    for index in range(4):
        changed |= (painter.draw(index) != np.asarray(painter.marked(index))).any(axis=-1)
    for slot in painter.annotation.slots.values():
        changed[slot.top : slot.top + slot.height, slot.left : slot.left + slot.width] = False
    assert not changed.any()


def test_the_letters_are_readable_on_white(volume: Volume, findings: Findings) -> None:
    painter = Painter(volume, findings, edges=LETTERS)
    slot = painter.annotation.slots["left"]
    page = painter.picture(0)
    page.paste((255, 255, 255), (0, 0, *page.size))
    painter.annotation.put(page, 0)
    box = (slot.left, slot.top, slot.left + slot.width, slot.top + slot.height)
    assert np.ptp(np.asarray(page.crop(box))) > 180


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_in_a_usual_field_of_view_no_text_hides_the_brain(plane: str) -> None:
    series = builders.flair_series(slices=9, rows=128, columns=128, plane=builders.PLANES[plane])
    volume = builders.volume(series)
    painter = Painter(volume, builders.findings(volume), edges=LETTERS)
    for slot in painter.annotation.slots.values():
        for index in range(9):
            box = np.s_[slot.top : slot.top + slot.height, slot.left : slot.left + slot.width]
            assert np.asarray(painter.plain(index))[box].max() < 60


@pytest.mark.parametrize(
    ("plane", "expected"),
    [
        ("axial", Edges(left="R", right="L", top="A", bottom="P")),
        ("axial, prone", Edges(left="L", right="R", top="P", bottom="A")),
        ("axial oblique", Edges(left="R", right="L", top="A", bottom="P")),
        ("sagittal", Edges(left="A", right="P", top="H", bottom="F")),
        ("coronal", Edges(left="R", right="L", top="H", bottom="F")),
    ],
)
def test_the_edges_are_lettered_after_the_plane(plane: str, expected: Edges) -> None:
    axes = builders.PLANES[plane].axes
    assert around(axes[:, 2], axes[:, 1]) == expected


def test_a_strong_tilt_takes_two_letters() -> None:
    tilted = np.array([0.0, np.cos(0.6), np.sin(0.6)])
    assert around(np.array([1.0, 0.0, 0.0]), tilted).bottom == "PH"


def test_letters_stand_at_their_edges(volume: Volume, findings: Findings) -> None:
    slots = Painter(volume, findings, edges=LETTERS).annotation.slots
    assert slots["left"].left < 20
    assert slots["right"].left > 480
    assert slots["top"].top < 20
    assert slots["bottom"].top > 480


def test_without_a_known_place_there_are_no_letters_and_no_scale_bar(
    volume: Volume, findings: Findings
) -> None:
    slots = Painter(volume, findings, is_measured=False).annotation.slots
    assert not {"left", "right", "top", "bottom", "ruler"} & set(slots)


def test_the_scale_bar_is_five_centimetres_long(volume: Volume, findings: Findings) -> None:
    painter = Painter(volume, findings)
    slot = painter.annotation.slots["ruler"]
    row = painter.draw(0)[slot.top + slot.height // 2, slot.left : slot.left + slot.width]
    line = np.flatnonzero(row[:, 0] > 150)
    length = 1 + next(n for n, at in enumerate(line) if n + 1 == len(line) or line[n + 1] > at + 1)
    assert length * 220 / 512 == pytest.approx(50.0, abs=1.0)


def test_a_study_without_regions_says_so_and_does_not_read_as_normal(volume: Volume) -> None:
    nothing = builders.findings(volume, abnormal=False)
    words = [captions.verdict(nothing), captions.here(nothing, 3)]
    assert words == ["no region marked", "disease not excluded"]


@pytest.mark.parametrize(("mass_like", "words"), [(True, "mass-like"), (False, "white matter")])
def test_the_texts_say_which_slice_it_is_and_what_the_regions_look_like(
    volume: Volume, mass_like: bool, words: str
) -> None:
    found = builders.findings(volume, mass_like=mass_like)
    assert captions.verdict(found) == f"{words} pattern"
    assert captions.score(found, 4).startswith("slice 5/12   score ")
    assert captions.here(found, found.regions[0].slice_index).endswith("on this slice")
    assert captions.here(found, 0) == "no region on this slice"


def test_scores_and_p_values_can_be_read(findings: Findings) -> None:
    odd = replace(
        findings,
        slice_scores=np.array([8.0, 12.345, 0.0]),
        slice_p_values=np.array([0.0045, 1e-7, 1.0]),
    )
    assert [captions.score(odd, n).split("score ")[1] for n in range(3)] == ["8.0", "12.3", "0.0"]
    assert [captions.p_value(odd, n) for n in range(3)] == ["p = 0.0045", "p < 0.0001", "p = 1.0"]


def test_the_same_line_from_cached_pieces_is_the_same_line() -> None:
    fresh = Lettering(13).patch("slice 10/24   score 8.25")
    for number in range(5):
        Lettering(13).patch(f"slice {number}/24   score 1.{number}0")
    again = Lettering(13).patch("slice 10/24   score 8.25")
    assert fresh.colour.tobytes() == again.colour.tobytes()
    assert fresh.opacity.tobytes() == again.opacity.tobytes()


def test_texts_stay_in_place_from_slice_to_slice(volume: Volume, findings: Findings) -> None:
    annotation = Annotation((512, 512), findings, top=1.2, edges=None, pixel_mm=0.5)
    widest = max(Lettering(13).width(annotation.changing(n)["score"]) for n in range(12))
    assert annotation.slots["score"].width == widest
