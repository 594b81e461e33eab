"""The shortcut classifier: what position and size alone say about a slice."""

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import head_phantom
import shipped
from agent.imaging import preprocess
from agent.imaging.preprocess import TISSUE_VALUE, ModelInput
from agent.imaging.scoring import Kind
from model_training import calibrate
from model_training.collection import Subject
from model_training.evaluation import examine, metadata
from model_training.evaluation.examine import Examined
from model_training.evaluation.metrics import Floats, Labels


@cache
def examine_phantom() -> Examined:
    """A drawn head with a lesion, and maps where nothing deviates but the lesion."""
    phantom = head_phantom.draw(lesion_radius_mm=16)
    view = preprocess.prepare(phantom.volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(view, ModelInput)
    bright = np.maximum(view.slices[:, 0] - TISSUE_VALUE, 0)
    subject = Subject(
        name="somebody", volume=phantom.volume, lesion=phantom.lesion, abnormal=None, group=""
    )
    share = preprocess.slices_to_source(view.head_share, view.geometry)
    return Examined(
        subject=subject,
        prepared=view,
        maps=shipped.maps(bright.shape, {Kind.RESIDUAL: bright}, {Kind.RESIDUAL: bright}),
        labels=np.asarray(phantom.lesion.any(axis=(1, 2))),
        evaluated=share > examine.MIN_HEAD_SHARE,
    )


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


def test_the_shortcut_is_learnt_from_the_slices_of_all_kept_patients(tmp_path: Path) -> None:
    found, tumour = drawn_table()
    kept = tmp_path / metadata.FILE_NAME
    metadata.save(kept, [(found[:70], tumour[:70]), (found[70:], tumour[70:])])
    assert metadata.learn(kept) == metadata.fit(found, tumour)


@pytest.mark.parametrize("patients", [0, 1])
def test_without_a_tumour_to_learn_from_there_is_no_shortcut(tmp_path: Path, patients: int) -> None:
    found, tumour = drawn_table()
    kept = tmp_path / metadata.FILE_NAME
    assert metadata.learn(kept) is None
    metadata.save(kept, [(found, np.zeros_like(tumour))] * patients)
    assert metadata.learn(kept) is None


def test_the_shortcut_is_a_way_of_scoring_where_one_was_learnt() -> None:
    examined = examine_phantom()
    found, tumour = drawn_table()
    learnt = metadata.fit(found, tumour)
    row = examine.rows(examined, shipped.RESIDUAL_ONLY, learnt)[metadata.ROW]
    assert len(row.slice_scores) == len(examined.labels)
    assert row.anomaly_map is None
    assert metadata.ROW not in examine.rows(examined, shipped.RESIDUAL_ONLY)


def test_the_frozen_choices_keep_the_shortcut_and_earlier_files_have_none(tmp_path: Path) -> None:
    learnt = metadata.fit(*drawn_table())
    one = examine_phantom()
    frozen = calibrate.calibrate([one], [one], (shipped.RESIDUAL_ONLY, {}), shortcut=learnt)
    assert metadata.ROW in frozen.rows
    calibrate.save(tmp_path, frozen)
    assert calibrate.load(tmp_path) == frozen
    path = tmp_path / calibrate.FILE_NAME
    values = json.loads(path.read_text("utf-8"))
    del values["shortcut"]
    path.write_text(json.dumps(values), "utf-8")
    assert calibrate.load(tmp_path).shortcut is None


def test_every_source_slice_has_features() -> None:
    volume = head_phantom.draw(slices=130, spacing_mm=(1.0, 2.0, 2.0)).volume
    view = preprocess.prepare(volume, size=64, context=1, brain_net=shipped.brain_net())
    assert isinstance(view, ModelInput)
    found = metadata.features(view)
    assert found.shape == (130, len(metadata.FEATURES))
    np.testing.assert_allclose(found[:, 1], np.abs(found[:, 0] - 0.6), atol=0.02)
    assert TISSUE_VALUE - 0.05 < found[65, 4] < TISSUE_VALUE + 0.05


def test_the_shortcut_learns_from_slices_with_head_and_the_drawn_lesion() -> None:
    examined = examine_phantom()
    lesion = examined.subject.lesion
    found, tumour = metadata.table(examined.subject, examined.prepared, least_head=0.2)
    assert found[:, metadata.HEAD].min() > 0.2
    assert tumour.sum() == lesion.any(axis=(1, 2)).sum()
    assert len(tumour) == len(found) < len(lesion)
