"""The shortcut classifier: what position and size alone say about a slice."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import head_phantom
import shipped
from agent import readers
from agent.imaging import preprocess
from agent.imaging.preprocess import TISSUE_VALUE, ModelInput
from model_training import collection
from model_training.config import Recipe
from model_training.evaluation import metadata
from model_training.evaluation.metrics import Floats, Labels


def drawn_table() -> tuple[Floats, Labels]:
    """Features of which the second alone tells the classes apart."""
    found = np.random.default_rng(0).random((200, len(metadata.FEATURES)))
    return found, found[:, 1] < 0.3


def test_the_shortcut_learns_where_tumours_lie() -> None:
    found, tumour = drawn_table()
    scores = metadata.scores(metadata.fit(found, tumour), found)
    assert scores[tumour].min() > scores[~tumour].mean()
    assert ((scores > 0) & (scores < 1)).all()


def test_the_shortcut_can_be_frozen_as_json() -> None:
    found, tumour = drawn_table()
    learnt = metadata.fit(found, tumour)
    kept = json.dumps(dataclasses.asdict(learnt))
    assert metadata.restored(json.loads(kept)) == learnt


def test_the_shortcut_refuses_slices_of_one_class() -> None:
    found, tumour = drawn_table()
    with pytest.raises(ValueError, match="with and without tumour"):
        metadata.fit(found, np.zeros_like(tumour))


def test_every_source_slice_has_features() -> None:
    volume = head_phantom.draw(slices=130, spacing_mm=(1.0, 2.0, 2.0)).volume
    view = preprocess.prepare(volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(view, ModelInput)
    found = metadata.features(view)
    assert found.shape == (130, len(metadata.FEATURES))
    np.testing.assert_allclose(found[:, 1], np.abs(found[:, 0] - 0.6), atol=0.02)
    assert TISSUE_VALUE - 0.05 < found[65, 4] < TISSUE_VALUE + 0.05


def test_the_shortcut_learns_from_slices_with_head_and_the_drawn_lesion(
    tmp_path: Path,
) -> None:
    phantom = head_phantom.draw(lesion_radius_mm=16)
    (tmp_path / "somebody").mkdir()
    for name, values in (
        ("FLAIR.nii.gz", phantom.volume.voxels),
        ("mask.nii.gz", phantom.lesion.astype(np.uint8)),
    ):
        readers.write_nifti(tmp_path / "somebody" / name, values, phantom.volume)
    recipe = Recipe(
        name="", version="", sequence="FLAIR", plane="axial", collections=("drawn",), size=64
    )
    found, tumour = metadata.table(
        collection.members(tmp_path), recipe, shipped.brain_net(), least_head=0.2
    )
    assert found[:, metadata.HEAD].min() > 0.2
    assert tumour.sum() == phantom.lesion.any(axis=(1, 2)).sum()
    assert len(tumour) == len(found) < len(phantom.lesion)
