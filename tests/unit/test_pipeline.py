"""The whole calculation: with a plain model of known answers, and with the shipped one."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

import head_phantom
import shipped
from agent import inference, model_toml, pipeline
from agent.imaging.findings import Thresholds
from agent.imaging.results import Findings, NotAnalysed, Reason
from agent.imaging.scoring import Kind, Maps
from agent.imaging.volume import Volume
from agent.inference import OnnxModel, Provider
from agent.model_toml import ModelDescription

THRESHOLDS = Thresholds(pixel=0.1, slice=3.0, minimum_volume_ml=0.5, version="test")


class BrighterThanBrain:
    """A model that restores every voxel to brain tissue."""

    runtime = "numpy"
    batch = 16

    def __init__(self) -> None:
        self.description: ModelDescription = dataclasses.replace(
            model_toml.describe(inference.default_folder()),
            context=1,
            fusion=shipped.RESIDUAL_ONLY,
            thresholds=THRESHOLDS,
            study_reference=(0.1, 0.2, 0.3),
            slice_reference=(0.1,),
        )

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return shipped.brain_net()(slices)

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        assert len(slices) == len(positions) <= self.batch
        residual = np.maximum(slices[:, 0] - 0.4, 0)
        return shipped.maps(
            residual.shape,
            raw={Kind.RESIDUAL: residual},
            deviations={Kind.RESIDUAL: residual / 0.05},
        )


def analysed(volume: Volume) -> Findings:
    """Findings of a volume that must be accepted."""
    found = pipeline.analyse(volume, BrighterThanBrain(), THRESHOLDS)
    assert isinstance(found, Findings)
    return found


def test_a_bright_lesion_is_found_where_it_is_with_its_volume() -> None:
    phantom = head_phantom.draw(lesion_radius_mm=16)
    found = analysed(phantom.volume)
    assert found.abnormal
    assert len(found.regions) == 1
    region = found.regions[0]
    truth_ml = phantom.lesion.sum() * phantom.volume.voxel_ml
    assert region.volume_ml == pytest.approx(truth_ml, rel=0.25)
    z, y, x = head_phantom.LESION_MM
    assert region.centroid_mm == pytest.approx((x, y, z), abs=3.0)
    assert region.diameter_mm == pytest.approx(32, abs=6)
    assert phantom.lesion[int(np.argmax(found.slice_scores))].any()
    assert found.study_p_value == pytest.approx(1 / 4)


def test_a_head_without_lesion_is_not_abnormal() -> None:
    found = analysed(head_phantom.draw().volume)
    assert not found.abnormal
    assert found.regions == ()
    assert not found.slice_anomalous.any()


@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True)])
def test_the_patient_is_the_same_in_any_orientation(flips: tuple[bool, bool, bool]) -> None:
    volume = head_phantom.draw(lesion_radius_mm=16).volume
    straight = analysed(volume)
    turned = analysed(head_phantom.turned(volume, (0, 2, 1), flips))
    assert turned.regions[0].centroid_mm == pytest.approx(straight.regions[0].centroid_mm, abs=0.5)
    assert turned.regions[0].volume_ml == pytest.approx(straight.regions[0].volume_ml, rel=0.02)


def test_thin_slices_find_the_same_lesion_with_one_score_a_slice() -> None:
    thick = analysed(head_phantom.draw(lesion_radius_mm=16).volume)
    thin = analysed(
        head_phantom.draw(slices=144, spacing_mm=(1.0, 2.0, 2.0), lesion_radius_mm=16).volume
    )
    assert thin.slice_scores.shape == (144,)
    assert len(thin.regions) == 1
    assert thin.regions[0].volume_ml == pytest.approx(thick.regions[0].volume_ml, rel=0.2)


def test_a_single_slice_is_analysed() -> None:
    volume = head_phantom.draw(lesion_radius_mm=16).volume
    alone = Volume(voxels=volume.voxels[14:15], affine=volume.affine, sources=volume.sources[14:15])
    found = analysed(alone)
    assert found.slice_scores.shape == (1,)
    assert found.abnormal


def test_what_is_no_head_is_not_analysed() -> None:
    volume = head_phantom.draw(scale=0.4).volume
    found = pipeline.analyse(volume, BrighterThanBrain(), THRESHOLDS)
    assert isinstance(found, NotAnalysed)
    assert found.reason is Reason.NOT_A_HEAD


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    volume = head_phantom.draw(slices=40, spacing_mm=(4.0, 2.0, 2.0)).volume
    pipeline.analyse(volume, BrighterThanBrain(), THRESHOLDS, progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) >= 5
    assert shares[-1] == 1.0


def test_the_shipped_model_gives_the_same_bytes_twice() -> None:
    model: OnnxModel = inference.load(inference.default_folder(), provider=Provider.CPU, threads=2)
    volume = head_phantom.draw(lesion_radius_mm=16).volume
    first = pipeline.analyse(volume, model, model.description.thresholds)
    second = pipeline.analyse(volume, model, model.description.thresholds)
    assert isinstance(first, Findings)
    assert isinstance(second, Findings)
    assert first.anomaly_map.tobytes() == second.anomaly_map.tobytes()
    assert first.slice_scores.tobytes() == second.slice_scores.tobytes()
    assert first.regions == second.regions
    assert first.anomaly_map.shape == volume.voxels.shape
