"""Fitting the shipped model to a site by its own tumour-free studies."""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agent import inference, model_toml, pipeline, readers
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from agent.inference import OnnxModel, Provider
from model_training import collection, recalibrate
from model_training.cli import app
from model_training.collection import Member, Split
from model_training.recalibrate import Site

SITE = Site(
    slice_scores=tuple(round(0.01 * place, 3) for place in range(1, 201)),
    study_scores=(0.5, 0.9, 1.1, 1.4, 2.0),
    refused=(),
)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


@pytest.fixture(scope="module")
def healthy(shared_data: Path) -> Sequence[Member]:
    """A calibration subject without a tumour."""
    listed = collection.members(shared_data / "tumour_free_flair")
    return collection.of_split(listed, Split.CALIBRATION)[:1]


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A collection of one study, which shows no head."""
    voxels = np.random.default_rng(0).normal(100, 10, (8, 32, 32)).astype(np.float32)
    affine = np.eye(4)[[2, 1, 0, 3]] @ np.diag([5.0, 2.0, 2.0, 1.0])
    volume = Volume(voxels=voxels, affine=affine, sources=tuple("abcdefgh"))
    (tmp_path / "ward" / "noise").mkdir(parents=True)
    readers.write_nifti(tmp_path / "ward" / "noise" / collection.IMAGE_FILE, voxels, volume)
    return tmp_path / "ward"


def fitted(out: Path, site: Site = SITE, *, rate: float = 0.05) -> OnnxModel:
    """The shipped model fitted to a site, as the agent loads it."""
    folder = inference.default_folder()
    recalibrate.write(folder, out, site, name="ward-7", false_positive_rate=rate)
    return inference.load(out, provider=Provider.CPU)


def test_the_stated_share_of_the_sites_slices_passes_the_new_threshold(tmp_path: Path) -> None:
    threshold = fitted(tmp_path / "out", rate=0.1).description.thresholds.slice
    assert np.mean(np.array(SITE.slice_scores) > threshold) == pytest.approx(0.1)


def test_p_values_are_read_from_the_sites_own_scores(tmp_path: Path) -> None:
    described = fitted(tmp_path / "out").description
    assert described.slice_reference == SITE.slice_scores
    assert described.study_reference == SITE.study_scores


def test_the_networks_and_the_other_thresholds_stay(tmp_path: Path, model: OnnxModel) -> None:
    old, new = model.description, fitted(tmp_path / "out").description
    assert (new.sha256, new.brain_sha256, new.digest) == (old.sha256, old.brain_sha256, old.digest)
    assert new.thresholds.pixel == old.thresholds.pixel
    assert new.thresholds.minimum_volume_ml == old.thresholds.minimum_volume_ml


def test_the_version_and_the_operating_point_name_the_site(
    tmp_path: Path, model: OnnxModel
) -> None:
    described = fitted(tmp_path / "out").description
    assert described.version == f"{model.description.version}+ward-7"
    assert "5 tumour-free studies of ward-7" in described.operating_point
    assert described.thresholds.version != model.description.thresholds.version


def test_everything_else_in_the_description_stays(tmp_path: Path) -> None:
    fitted(tmp_path / "out")
    old, new = (
        tomllib.loads((folder / model_toml.FILE_NAME).read_text("utf-8"))
        for folder in (inference.default_folder(), tmp_path / "out")
    )
    for table, key in (
        ("model", "version"),
        ("thresholds", "slice"),
        ("thresholds", "operating_point"),
        ("reference", "slice_scores"),
        ("reference", "study_scores"),
    ):
        assert old[table].pop(key) != new[table].pop(key)
    assert new == old


@pytest.mark.parametrize(
    ("changed", "name", "rate", "message"),
    [
        (replace(SITE, study_scores=SITE.study_scores[:4]), "ward", 0.05, "at least 5"),
        (SITE, "ward", 1.0, "share between 0 and 1"),
        (SITE, 'the "ward"', 0.05, "letters, digits"),
    ],
)
def test_nothing_is_written_from_too_few_studies_or_a_senseless_wish(
    tmp_path: Path, changed: Site, name: str, rate: float, message: str
) -> None:
    folder = inference.default_folder()
    with pytest.raises(ValueError, match=message):
        recalibrate.write(folder, tmp_path / "out", changed, name=name, false_positive_rate=rate)
    assert not (tmp_path / "out").exists()


def test_the_command_says_which_studies_it_could_not_use_and_how_many_it_needs(
    noise: Path, tmp_path: Path
) -> None:
    shipped, out = str(inference.default_folder()), tmp_path / "out"
    wanted = ["--model", shipped, "--studies", str(noise), "--site", "ward", "--out", str(out)]
    done = CliRunner().invoke(app, ["recalibrate", *wanted])
    assert done.exit_code == 1
    assert "not used: noise: " in done.output
    assert "0 studies could be read; a site needs at least 5" in done.output
    assert not out.exists()


@pytest.mark.slow
def test_studies_of_a_site_are_scored_as_the_node_scores_them(
    model: OnnxModel, healthy: Sequence[Member], tmp_path: Path
) -> None:
    site = recalibrate.measure(model, healthy)
    volume = collection.read(healthy[0]).volume
    ours = fitted(tmp_path / "out", replace(site, study_scores=(0.0,) * 19))
    found = pipeline.analyse(volume, ours, ours.description.thresholds)
    assert isinstance(found, Findings)
    assert round(found.study_score, 3) in site.study_scores
    assert found.study_p_value == pytest.approx(1 / 20)
    assert len(site.slice_scores) > 20
