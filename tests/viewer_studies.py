"""Whole studies for viewers, images and results, and where the lesions in them are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from typer.testing import CliRunner

import builders
import demo_study
import results
from agent.cli import app
from agent.dicom.objects import heatmap, report, segmentation
from phantom import Plane


@dataclass(frozen=True, kw_only=True)
class ShownStudy:
    """A study as a viewer gets it, with the LPS mm of all voxels of each segment."""

    images: tuple[Dataset, ...]
    segmentation: Dataset
    others: tuple[Dataset, ...]
    points: dict[int, NDArray[np.float64]]

    @property
    def uid(self) -> str:
        return str(self.segmentation.StudyInstanceUID)

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        return (*self.images, self.segmentation, *self.others)

    def colour(self, number: int) -> tuple[int, int, int]:
        """The RGB colour that the Segmentation asks for."""
        wanted = self.segmentation.SegmentSequence[number - 1].RecommendedDisplayCIELabValue
        red, green, blue = highdicom.color.CIELabColor.from_dicom_value(wanted).to_rgb()
        return red, green, blue


def phantom(plane: Plane, name: str) -> ShownStudy:
    """The phantom in one geometry; the places are those of the voxels that were analysed."""
    images = builders.flair_series(plane=plane, study=name, slices=36, rows=96, columns=96)
    one = results.analysed(images)
    seg = segmentation.build(one.context, one.findings)
    written = report.build(one.context, findings=one.findings, segmentation=seg)
    pictures = list(heatmap.build(one.context, one.findings, one.volume))
    labels, affine = one.findings.labels, one.volume.affine
    return ShownStudy(
        images=tuple(images),
        segmentation=seg,
        others=(written, *pictures),
        points={
            region.number: results.points_mm(labels == region.number, affine)
            for region in one.findings.regions
        },
    )


def demo(folder: Path) -> ShownStudy:
    """The bundled patient, analysed by the model; the places are as highdicom reads the SEG."""
    done = CliRunner().invoke(app, ["analyse", str(demo_study.FOLDER), "--out", str(folder)])
    assert done.exit_code == 0, done.output
    images = tuple(map(pydicom.dcmread, demo_study.IMAGES))
    found = {path: pydicom.dcmread(path) for path in sorted((folder / "dicom").glob("*.dcm"))}
    (path,) = (path for path, dataset in found.items() if dataset.Modality == "SEG")
    return ShownStudy(
        images=images,
        segmentation=found.pop(path),
        others=tuple(found.values()),
        points=_points(path, images),
    )


def _points(path: Path, images: Sequence[Dataset]) -> dict[int, NDArray[np.float64]]:
    seg = highdicom.seg.segread(path)
    names = [image.SOPInstanceUID for image in images]
    masks = seg.get_pixels_by_source_instance(names, combine_segments=False)
    return {
        number: results.in_order(
            np.concatenate(
                [_in_plane(image, mask) for image, mask in zip(images, masks[..., at], strict=True)]
            )
        )
        for at, number in enumerate(seg.segment_numbers)
    }


def _in_plane(image: Dataset, mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """LPS mm of the pixels of one slice (PS3.3 C.7.6.2.1.1)."""
    cosines = np.array(image.ImageOrientationPatient, dtype=np.float64)
    down, along = map(float, image.PixelSpacing)
    steps = np.stack([cosines[3:] * down, cosines[:3] * along])
    return np.argwhere(mask) @ steps + np.array(image.ImagePositionPatient, dtype=np.float64)
