"""The grey windows that the source asks for (VOI LUT, PS3.3 C.11.2 and C.7.6.16.2.10)."""

from collections import Counter, defaultdict
from statistics import median

from agent.dicom import pixels
from agent.dicom.frames import Frame
from agent.dicom.source import SourceImages
from agent.imaging.window import Window

_MOST_ALTERNATIVES = 4


def stated(source: SourceImages) -> tuple[Window, ...]:
    """One window for the whole series from each place of WindowCenter, the preferred first.

    Scanners write another window on each slice; medians keep the pictures from flickering.
    """
    places: dict[int, list[Window]] = defaultdict(list)
    for dataset, number in source.slices():
        for place, window in enumerate(_windows(Frame(dataset, number))):
            places[place].append(window)
    return tuple(_common(places[place]) for place in sorted(places))


def _common(windows: list[Window]) -> Window:
    """The middle of those with the most frequent curve."""
    curve = Counter(window.sigmoid for window in windows).most_common(1)[0][0]
    alike = [window for window in windows if window.sigmoid == curve]
    return Window(
        black=median(window.black for window in alike),
        white=median(window.white for window in alike),
        sigmoid=curve,
    )


def _windows(frame: Frame) -> list[Window]:
    """The windows of one image, in the units of its voxels as `pixels.read` returns them."""
    centres = frame.numbers("WindowCenter") or ()
    widths = frame.numbers("WindowWidth") or ()
    function = frame.text("VOILUTFunction").upper() or "LINEAR"
    pairs = list(zip(centres, widths, strict=False))[:_MOST_ALTERNATIVES]
    windows = [_window(centre, width, function) for centre, width in pairs]
    if windows and frame.text("PhotometricInterpretation") == "MONOCHROME1":
        return [_inverted(window, frame) for window in windows]
    return windows


def _window(centre: float, width: float, function: str) -> Window:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.2 (LINEAR_EXACT), C.11.2.1.3.1 (SIGMOID)."""
    if function in ("LINEAR_EXACT", "SIGMOID"):
        half, middle = width / 2.0, centre
    else:
        half, middle = (width - 1.0) / 2.0, centre - 0.5
    return Window(black=middle - half, white=middle + half, sigmoid=function == "SIGMOID")


def _inverted(window: Window, frame: Frame) -> Window:
    """The window of a MONOCHROME1 image, whose stored values were turned round on reading."""
    total = pixels.turning_sum(frame)
    return Window(black=total - window.white, white=total - window.black, sigmoid=window.sigmoid)
