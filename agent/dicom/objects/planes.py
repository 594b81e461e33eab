"""Where each slice of the analysed series lies, and stand-ins that say so to highdicom.

Classic and enhanced MR are read alike; what a scanner left out (a slice thickness) or wrote twice
is replaced by what the positions say.
"""

from collections.abc import Sequence as Slices
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

from agent.dicom.frames import Frame
from agent.dicom.objects.equipment import stand_in
from agent.dicom.source import SourceImages
from agent.imaging import edges


@dataclass(frozen=True, kw_only=True)
class SlicePlane:
    """Place of one slice in LPS mm. `orientation` holds the directions of rows, then columns.

    `spacing_mm` is the distance between rows, then between columns.
    """

    position_mm: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing_mm: tuple[float, float]

    def enlarged(self, times: tuple[int, int]) -> "SlicePlane":
        """The same slice with so many times its rows and columns."""
        down, along = (step / factor for step, factor in zip(self.spacing_mm, times, strict=True))
        outer = self.position_mm - self._half_diagonal(*self.spacing_mm)
        return SlicePlane(
            position_mm=outer + self._half_diagonal(down, along),
            orientation=self.orientation,
            spacing_mm=(down, along),
        )

    def _half_diagonal(self, down: float, along: float) -> NDArray[np.float64]:
        """From the outer corner of a pixel of this size to its centre."""
        return 0.5 * (along * self.orientation[:3] + down * self.orientation[3:])

    def runs_like(self, other: "SlicePlane") -> bool:
        """Whether the two differ in nothing but their position."""
        alike = np.array_equal(self.orientation, other.orientation)
        return alike and self.spacing_mm == other.spacing_mm

    def write(self, result: Dataset) -> None:
        """Set the Image Plane attributes (PS3.3 C.7.6.2)."""
        result.PixelSpacing = decimals(self.spacing_mm)
        result.ImageOrientationPatient = decimals(self.orientation)
        result.ImagePositionPatient = decimals(self.position_mm)

    @property
    def patient_orientation(self) -> list[str]:
        """Letters for where rows and columns point, e.g. `["L", "P"]`."""
        halves = self.orientation[:3], self.orientation[3:]
        return [edges.sides(direction, least=1e-3) for direction in halves]

    @property
    def edges(self) -> edges.Edges:
        """The letters for the four edges of a picture of the slice."""
        return edges.around(self.orientation[:3], self.orientation[3:])


def decimals(values: Slices[float] | NDArray[np.float64]) -> list[DSfloat]:
    """Decimal strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def frame_of_reference(source: SourceImages | None) -> str | None:
    """The frame of reference of the analysed series; without one nothing can be placed in it."""
    if source is None:
        return None
    return Frame(source.datasets[0]).text("FrameOfReferenceUID") or None


def are_placed(source: SourceImages | None) -> bool:
    """Whether there are slices, and a space in which something can be placed on them."""
    return frame_of_reference(source) is not None


def planes_of(source: SourceImages) -> list[SlicePlane]:
    """The plane of each slice. Raises ValueError where a slice does not say where it lies."""
    return [_plane(Frame(*named)) for named in source.slices()]


def thickness_mm(source: SourceImages) -> float:
    """Slice thickness as stated, else the distance between slices."""
    stated = Frame(*next(source.slices())).number_of("SliceThickness")
    return stated if stated and stated > 0 else distance_mm(source)


def distance_mm(source: SourceImages) -> float:
    """Distance between neighbouring slices, along their normal; the row spacing for one slice."""
    slices = list(source.slices())
    first, last = (_plane(Frame(*slices[end])) for end in (0, -1))
    if len(slices) == 1:
        return first.spacing_mm[0]
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    return abs(float(np.dot(last.position_mm - first.position_mm, normal))) / (len(slices) - 1)


def slice_stand_ins(source: SourceImages) -> list[Dataset]:
    """The series as highdicom needs it: one image a slice, or one object with just its frames."""
    if source.frame_numbers is not None:
        return [_multi_frame(slice_stand_in(source, 0), planes_of(source), source)]
    measures = _measures(source)
    return [
        _placed(stand_in(dataset), dataset, measures, plane)
        for dataset, plane in zip(source.datasets, planes_of(source), strict=True)
    ]


def slice_stand_in(source: SourceImages, index: int) -> Dataset:
    """One slice as a single-frame image, even of an enhanced object."""
    dataset, number = list(source.slices())[index]
    return _placed(stand_in(dataset), dataset, _measures(source), _plane(Frame(dataset, number)))


def _plane(frame: Frame) -> SlicePlane:
    position = frame.numbers("ImagePositionPatient", count=3)
    orientation = frame.numbers("ImageOrientationPatient", count=6)
    spacing = frame.numbers("PixelSpacing", count=2)
    if position is None or orientation is None or spacing is None:
        name = frame.text("SOPInstanceUID")
        raise ValueError(f"Image {name} does not say where it lies; no result can be drawn on it.")
    return SlicePlane(
        position_mm=np.array(position),
        orientation=np.array(orientation),
        spacing_mm=(spacing[0], spacing[1]),
    )


def _measures(source: SourceImages) -> Dataset:
    """What all slices have in common."""
    common = Dataset()
    frame_uid = frame_of_reference(source)
    if frame_uid is not None:
        common.FrameOfReferenceUID = UID(frame_uid)
    common.SliceThickness = DSfloat(thickness_mm(source), auto_format=True)
    common.SpacingBetweenSlices = DSfloat(distance_mm(source), auto_format=True)
    return common


def _placed(reduced: Dataset, dataset: Dataset, measures: Dataset, plane: SlicePlane) -> Dataset:
    """Add size and place to a stand-in."""
    reduced.update(measures)
    reduced.Rows, reduced.Columns = int(dataset.Rows), int(dataset.Columns)
    plane.write(reduced)
    if Frame(dataset).text("LossyImageCompression") == "01":
        for keyword in ("", "Ratio", "Method"):
            name = f"LossyImageCompression{keyword}"
            if name in dataset:
                reduced[name] = dataset[name]
    return reduced


def _multi_frame(reduced: Dataset, planes: Slices[SlicePlane], source: SourceImages) -> Dataset:
    """The enhanced object cut down to the analysed frames, in slice order."""
    shared, first = Dataset(), Dataset()
    planes[0].write(first)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    measures.PixelSpacing = first.PixelSpacing
    measures.SliceThickness = reduced.SliceThickness
    measures.SpacingBetweenSlices = reduced.SpacingBetweenSlices
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    frames = []
    for plane in planes:
        position, groups = Dataset(), Dataset()
        position.ImagePositionPatient = decimals(plane.position_mm)
        groups.PlanePositionSequence = Sequence([position])
        frames.append(groups)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(reduced, keyword)
    reduced.NumberOfFrames = source.slice_count
    reduced.SharedFunctionalGroupsSequence = Sequence([shared])
    reduced.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return reduced
