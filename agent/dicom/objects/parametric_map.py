"""The anomaly map with its true values: a Parametric Map (PS3.3 A.75) on the source's grid."""

from collections.abc import Sequence as Slices

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from agent.dicom import codes
from agent.dicom.objects import equipment, frames, planes
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.profiles import MapValues
from agent.imaging.results import Findings
from storage.enums import Role

Values = NDArray[np.float32] | NDArray[np.uint16]

_LARGEST = 65535  # of an unsigned 16-bit value


def build(context: ResultContext, findings: Findings, values: MapValues) -> Dataset:
    """One object with a frame a slice, along the normal of the images as the volume's slices are.

    Real values are those of `findings.anomaly_map`, without unit, 0 where nothing deviates. As
    uint16 they are rounded to 1/65535 of the study's highest value, and the mapping restores them.
    Raises ValueError without frame of reference; ask `planes.are_placed` first.
    """
    source = context.source
    if source is None or not planes.are_placed(source):
        raise ValueError("The analysed series names no frame of reference to place a map in.")
    stored, mapping = _stored(findings, values)
    top = max(float(findings.anomaly_map.max()), findings.pixel_threshold)
    result = highdicom.pm.ParametricMap(
        source_images=planes.slice_stand_ins(source),
        pixel_array=stored,
        **equipment.names(context, Role.PARAMETRIC_MAP),
        **equipment.device(context),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[_window(top, values)],
        content_label="ANOMALY_MAP",
        content_description="How far each voxel deviates from tumour-free brain",
    )
    if source.frame_numbers is not None:
        frames.name_sources(result, source.frame_numbers)
    _order_frames(result, stored, planes.planes_of(source))
    equipment.name_dimensions(result, context, Role.PARAMETRIC_MAP)
    _name_anatomy(result)
    equipment.stamp(result, context, Role.PARAMETRIC_MAP)
    result.BodyPartExamined = "HEAD"
    return result


def _order_frames(result: Dataset, stored: Values, places: Slices[planes.SlicePlane]) -> None:
    """Let frames grow along the normal. highdicom sorts them otherwise, and dcmqi, which places
    the volume by its lowest frame but fills it in file order, would show the map upside down."""
    normal = np.cross(places[0].orientation[:3], places[0].orientation[3:])
    order = np.argsort([place.position_mm @ normal for place in places], kind="stable")
    by_position = {
        tuple(map(float, groups.PlanePositionSequence[0].ImagePositionPatient)): groups
        for groups in result.PerFrameFunctionalGroupsSequence
    }
    frames = []
    for number, index in enumerate(order, start=1):
        groups = by_position[tuple(map(float, planes.decimals(places[index].position_mm)))]
        groups.FrameContentSequence[0].DimensionIndexValues = [number]
        frames.append(groups)
    result.PerFrameFunctionalGroupsSequence = Sequence(frames)
    keyword = "FloatPixelData" if "FloatPixelData" in result else "PixelData"
    result[keyword].value = stored[order].tobytes()


def _stored(
    findings: Findings, values: MapValues
) -> tuple[Values, highdicom.pm.RealWorldValueMapping]:
    """The values as they are written, and what turns them into real ones."""
    real = findings.anomaly_map
    highest = max(float(real.max()), float(np.finfo(np.float32).tiny))
    if values is MapValues.FLOAT32:
        return np.ascontiguousarray(real), _mapping((0.0, highest), 1.0)
    slope = highest / _LARGEST
    # In double precision: a float32 near 65535 is off by more than rounding is.
    rounded = np.rint(np.clip(real / np.float64(slope), 0, _LARGEST)).astype(np.uint16)
    return rounded, _mapping((0, _LARGEST), slope)


def _mapping(
    stored_range: tuple[float, float] | tuple[int, int], slope: float
) -> highdicom.pm.RealWorldValueMapping:
    return highdicom.pm.RealWorldValueMapping(
        lut_label="ANOMALY",
        lut_explanation="Anomaly of the voxel, 0 for none",
        unit=codes.NO_UNITS,
        value_range=stored_range,
        slope=slope,
        intercept=0.0,
        quantity_definition=codes.SALIENCY,
    )


def _window(top: float, values: MapValues) -> highdicom.VOILUTTransformation:
    """From nothing to the highest value, in stored values."""
    width = top if values is MapValues.FLOAT32 else float(_LARGEST)
    # A linear window is at least 1 wide (PS3.3 C.11.2.1.2); the values of a map may all be less.
    return highdicom.VOILUTTransformation(
        window_center=_decimal(width / 2),
        window_width=_decimal(width),
        voi_lut_function=highdicom.VOILUTFunctionValues.LINEAR_EXACT,
    )


def _decimal(value: float) -> float:
    """At most what a decimal string of 16 characters holds (PS3.5 6.2, DS)."""
    return float(f"{value:.9g}")


def _name_anatomy(result: Dataset) -> None:
    """Say that it is the brain: dcmqi, and with it 3D Slicer, reads no map without (P1)."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = Sequence([equipment.coded(codes.BRAIN)])
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = Sequence([anatomy])
