"""The training volumes are measured once, for the limits of acceptance and for the shortcut."""

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import drawn_collections
import head_phantom
import shipped
from agent import readers
from agent.imaging import preprocess
from agent.imaging.acceptance import Limits
from agent.imaging.brain import BrainNet, Image
from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Maps
from agent.imaging.traits import Trait
from model_training import acceptance, data, limits, measurements
from model_training.collection import Subject
from model_training.config import Recipe
from model_training.evaluation import examine, metadata
from model_training.evaluation.examine import Examined
from model_training.evaluation.metadata import Shortcut

RECIPE = Recipe(
    name="",
    version="",
    sequence="FLAIR",
    plane="axial",
    collections=("patients", "healthy"),
    size=64,
)


class Counting:
    """The shipped brain network, which is asked once for each volume that is prepared."""

    def __init__(self) -> None:
        self.volumes = 0

    def __call__(self, slices: Image) -> Image:
        self.volumes += 1
        return shipped.brain_net()(slices)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was learnt, where it is kept, and how many volumes were prepared for it."""

    folder: Path
    learnt: tuple[Limits, Shortcut | None]
    volumes: int


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training patients with a lesion, and one subject without."""
    root = tmp_path_factory.mktemp("data")
    drawn_collections.write(root / "patients", ["train", "train"], lesion_radius_mm=16.0)
    drawn_collections.write(root / "healthy", ["train"])
    return root


def learn(
    folder: Path, data_folder: Path, net: BrainNet, calibration: Sequence[Examined] = ()
) -> tuple[Limits, Shortcut | None]:
    """Both from the drawn subjects."""
    return measurements.learn(folder, data_folder, RECIPE, net, calibration)


@pytest.fixture(scope="module")
def measured(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A run's folder after the first time."""
    folder, net = tmp_path_factory.mktemp("run"), Counting()
    return Measured(folder=folder, learnt=learn(folder, data_folder, net), volumes=net.volumes)


def test_each_training_volume_is_prepared_once(measured: Measured) -> None:
    assert measured.volumes == 3
    assert measured.learnt[1] is not None


@pytest.mark.parametrize(
    ("lost", "volumes"), [((), 0), ((limits.FILE_NAME,), 3), ((metadata.FILE_NAME,), 2)]
)
def test_only_what_is_not_kept_is_measured_again(
    data_folder: Path, measured: Measured, tmp_path: Path, lost: Sequence[str], volumes: int
) -> None:
    """The shortcut needs no subject of the collections without a tumour."""
    for name in {limits.FILE_NAME, metadata.FILE_NAME} - set(lost):
        shutil.copyfile(measured.folder / name, tmp_path / name)
    net = Counting()
    assert learn(tmp_path, data_folder, net) == measured.learnt
    assert net.volumes == volumes


def test_patients_known_to_have_no_tumour_teach_no_shortcut(tmp_path: Path) -> None:
    drawn_collections.write(tmp_path / "patients", ["train"])
    (tmp_path / "healthy").mkdir()
    (tmp_path / "patients" / "split.csv").unlink()
    table = "subject,group,split,abnormal\npatients_0,patients_0,train,no\n"
    (tmp_path / "patients" / "subjects.csv").write_text(table)
    assert learn(tmp_path, tmp_path, shipped.brain_net())[1] is None
    assert not (tmp_path / metadata.FILE_NAME).exists()


def test_limits_are_learnt_from_training_and_calibration_subjects_alone(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    rows = ["subject,split"]
    for seed, split in enumerate(("train", "calibration", "test")):
        # The test subject is rounder than the others: seen, it would widen the limits.
        volume = head_phantom.draw(seed=seed).volume
        stretch = 1.0 if split == "test" else 1.2
        volume = dataclasses.replace(volume, affine=volume.affine @ np.diag([1, stretch, 1, 1]))
        (folder / split).mkdir(parents=True)
        readers.write_nifti(folder / split / "FLAIR.nii.gz", volume.voxels, volume)
        rows.append(f"{split},{split}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    recipe, net = dataclasses.replace(RECIPE, collections=("heads",)), shipped.brain_net()
    members = data.calibration_members(tmp_path, recipe.collections)
    calibration = examine.examine(members, unanswered, recipe, net)
    learnt, _ = measurements.learn(tmp_path, tmp_path, recipe, net, calibration)
    assert {one.trait: one for one in learnt.stack}[Trait.ASPECT].least > 1.4


def unanswered(prepared: ModelInput) -> Maps:
    """The maps of a network that sees nothing."""
    return shipped.maps(prepared.brain.shape)


def test_calibration_subjects_widen_the_limits(
    data_folder: Path, measured: Measured, tmp_path: Path
) -> None:
    phantom = head_phantom.draw(seed=7)
    affine = phantom.volume.affine @ np.diag([1, 1.2, 1, 1])
    volume = dataclasses.replace(phantom.volume, affine=affine)
    view = preprocess.prepare(volume, size=64, context=3, brain_net=shipped.brain_net())
    assert isinstance(view, ModelInput)
    long_head = Examined(
        subject=Subject(
            name="long", volume=volume, lesion=phantom.lesion, abnormal=None, group="long"
        ),
        prepared=view,
        maps=unanswered(view),
        labels=np.zeros(len(view.slices), dtype=np.bool_),
        evaluated=np.ones(len(view.slices), dtype=np.bool_),
    )
    widened, _ = learn(tmp_path, data_folder, shipped.brain_net(), [long_head])
    before, after = (
        {one.trait: one.most for one in learnt.stack}[Trait.ASPECT]
        for learnt in (measured.learnt[0], widened)
    )
    assert before < after


def test_the_slices_beside_do_not_change_what_is_measured() -> None:
    phantom = head_phantom.draw(lesion_radius_mm=16)
    subject = Subject(
        name="a", volume=phantom.volume, lesion=phantom.lesion, abnormal=None, group="a"
    )
    alone, beside = (
        preprocess.prepare(phantom.volume, size=64, context=context, brain_net=shipped.brain_net())
        for context in (1, 5)
    )
    assert isinstance(alone, ModelInput)
    assert isinstance(beside, ModelInput)
    assert acceptance.sample(subject, alone) == acceptance.sample(subject, beside)
    np.testing.assert_array_equal(metadata.features(alone), metadata.features(beside))
