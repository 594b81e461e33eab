"""Methods: each learns, goes on where it was broken off, and hands over what can be shipped."""

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from agent.imaging.preprocess import MAX_VALUE, TISSUE_VALUE
from agent.imaging.scoring import Kind
from model_training import checkpoint, config, export, graph, trainer
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.methods import catalogue, compression
from model_training.methods.method import Batch
from model_training.trainer import Run

RECIPES = Path(config.__file__).parent / "recipes"
SIZE = 32
STEPS = 40
FALLS = {
    "f_anogan": "reconstruction",
    "ganomaly": "reconstruction",
    "segmenting": "marking",
}
ADVERSARIES = {"restoring", "f_anogan", "ganomaly"}


def recipe(method: str, **changes: object) -> Recipe:
    """A recipe of little nets for few steps."""
    tiny = Recipe(
        name="tiny",
        version="0",
        sequence="FLAIR",
        plane="axial",
        collections=("nobody",),
        method=method,
        size=SIZE,
        inner_size=16,
        context=1 if method in ("f_anogan", "ganomaly") else 3,
        generator_width=8,
        discriminator_width=8,
        latent=8,
        critic_steps=2,
        painting_share=0.5,
        batch=10,
        max_steps=0 if method == "brightness" else STEPS,
        warmup_steps=1,
        adversarial_from_step=2,
        checkpoint_every=10,
        threads=1,
        mixed_precision=False,
    )
    return dataclasses.replace(tiny, **changes)  # type: ignore[arg-type]


def slices(of: Recipe) -> SliceSet:
    """Drawn sections of brain of several widths."""
    chance = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    brain = np.stack(
        [(rows / 13) ** 2 + (columns / width) ** 2 < 1 for width in np.linspace(9, 13, 12)]
    )
    tissue = TISSUE_VALUE + 0.03 * chance.standard_normal((12, of.context, SIZE, SIZE))
    return SliceSet(
        images=np.where(brain[:, None], tissue, 0).astype(np.float16),
        brain=brain,
        positions=np.linspace(0, 1, 12, dtype=np.float32),
        subjects=1,
        digest="none",
    )


def train(of: Recipe, folder: Path) -> Run:
    """A run on the drawn sections."""
    return trainer.train(of, slices(of), folder, watched=slices(of))


def batch(of: Recipe, *, cut_out: bool = False) -> Batch:
    """All drawn sections; of two bright squares in each, a lesion, the mask is cut out."""
    drawn = slices(of)
    clean = torch.from_numpy(drawn.images).float()
    brain = torch.from_numpy(drawn.brain)[:, None]
    support = brain.float()
    if cut_out:
        clean[..., 12:16, 12:16] = 1.0
        support[..., 10:18, 10:18] = 0
    return Batch(
        clean=clean,
        damaged=clean,
        brain=brain,
        support=support,
        changed=torch.zeros_like(support),
        foreign=torch.zeros_like(support),
        chance=torch.Generator().manual_seed(0),
    )


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'guessing' is unknown; choose one of brightness, f_ano"):
        catalogue.build(recipe("guessing"))


@pytest.mark.parametrize(("method", "column"), FALLS.items())
def test_a_loss_falls_on_slices_that_are_shown_again_and_again(method: str, column: str) -> None:
    of = recipe(method)
    torch.manual_seed(0)
    learner, drawn = catalogue.build(of), slices(of)
    image, brain = torch.from_numpy(drawn.images).float(), torch.from_numpy(drawn.brain)[:, None]
    given = trainer.draw(image, brain, of, torch.Generator().manual_seed(0))
    values = np.array([learner.learn(given, step=step)[column] for step in range(STEPS)])
    values = values[np.isfinite(values)]
    assert len(values) >= STEPS // 2
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("method", FALLS)
def test_the_loss_table_has_the_columns_a_method_names(method: str) -> None:
    of = recipe(method)
    learner = catalogue.build(of)
    assert set(learner.learn(batch(of), step=0)) == set(learner.columns)


@pytest.mark.parametrize("method", FALLS)
def test_a_resumed_run_repeats_an_unbroken_one_bit_for_bit(method: str, tmp_path: Path) -> None:
    of = recipe(method, max_steps=10, checkpoint_every=3, patience_steps=100)
    whole = train(of, tmp_path / "whole")
    # Without patience a run ends after its first look at other patients.
    early = train(dataclasses.replace(of, patience_steps=0), tmp_path / "broken")
    assert early.step == 3
    resumed = train(of, tmp_path / "broken")
    once, twice = whole.method.networks.state_dict(), resumed.method.networks.state_dict()
    assert all(torch.equal(once[key], twice[key]) for key in once)


@pytest.mark.parametrize("method", catalogue.METHODS)
def test_the_parts_of_a_method_fill_the_shipped_graph(method: str) -> None:
    of = recipe(method)
    torch.manual_seed(0)
    drawn = slices(of)
    shipped_graph = graph.assemble([catalogue.build(of).parts()], drawn)
    maps = graph.run(shipped_graph, drawn.images, drawn.positions)
    assert maps.restoration.shape == (12, SIZE, SIZE)
    assert maps.raw.shape == maps.deviations.shape == (12, len(Kind), SIZE, SIZE)
    assert np.isfinite(maps.deviations).all()
    features = maps.raw[:, list(Kind).index(Kind.FEATURES)]
    assert bool(features.any()) == (method in ADVERSARIES)


@pytest.mark.slow
@pytest.mark.parametrize("method", catalogue.METHODS)
def test_the_exported_graph_answers_as_the_torch_one(method: str, tmp_path: Path) -> None:
    of = recipe(method)
    torch.manual_seed(0)
    drawn = slices(of)
    shipped_graph = graph.assemble([catalogue.build(of).parts()], drawn)
    export.write_graph(shipped_graph, tmp_path / "model.onnx", of)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    feed = {"slices": drawn.images.astype(np.float32), "position": drawn.positions}
    _, raw, _ = session.run(None, feed)
    wanted = graph.run(shipped_graph, drawn.images, drawn.positions)
    np.testing.assert_allclose(raw, wanted.raw, atol=1e-3)


def test_the_gan_stays_as_it_is_while_the_encoder_learns() -> None:
    of = recipe("f_anogan")
    learner = catalogue.build(of)

    def moved(step: int) -> dict[str, bool]:
        before = {name: torch.clone(value) for name, value in learner.networks.state_dict().items()}
        learner.learn(batch(of), step=step)
        after = learner.networks.state_dict()
        return {
            network: any(
                not torch.equal(before[key], after[key])
                for key in after
                if key.startswith(network + ".")
            )
            for network in ("generator", "discriminator", "encoder")
        }

    switch = STEPS // 2
    assert moved(switch - 1) == {"generator": True, "discriminator": True, "encoder": False}
    assert moved(switch) == {"generator": False, "discriminator": False, "encoder": True}


def test_the_last_feature_level_of_ganomaly_is_the_second_compression() -> None:
    of = recipe("ganomaly")
    critic = catalogue.build(of).parts().critic
    assert critic is not None
    levels = critic.features(torch.rand(2, 1, SIZE, SIZE))  # type: ignore[operator]
    assert [tuple(level.shape[1:]) for level in levels] == [(8, 8, 8), (16, 4, 4), (8, 1, 1)]


def test_a_lesion_that_is_cut_out_of_the_mask_is_not_shown_to_the_small_networks() -> None:
    shown = compression.normal(batch(recipe("ganomaly"), cut_out=True), 16)
    without = compression.normal(batch(recipe("ganomaly")), 16)
    assert float((shown - without).abs().max()) < 0.15  # the lesion itself is 1.0 brighter


@pytest.mark.parametrize("size", [4, 24, 64])
def test_an_inner_size_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="inner_size"):
        catalogue.build(recipe("f_anogan", inner_size=size))


def test_the_threshold_marks_a_voxel_by_its_brightness_alone() -> None:
    of = recipe("brightness")
    drawn = slices(of)
    maps = graph.run(
        graph.assemble([catalogue.build(of).parts()], drawn), drawn.images, drawn.positions
    )
    middle = drawn.images[:, 1].astype(np.float32)
    np.testing.assert_allclose(
        maps.raw[:, list(Kind).index(Kind.MARKS)], middle / MAX_VALUE, atol=1e-5
    )
    np.testing.assert_array_equal(maps.restoration, middle)


def test_a_run_without_steps_leaves_a_checkpoint(tmp_path: Path) -> None:
    train(recipe("brightness"), tmp_path)
    saved = checkpoint.load(tmp_path)
    assert saved is not None
    assert saved["step"] == 0


def test_the_threshold_refuses_steps() -> None:
    with pytest.raises(ValueError, match="max_steps = 0"):
        catalogue.build(recipe("brightness", max_steps=5))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_names_a_method_that_can_be_built(path: Path) -> None:
    method = catalogue.build(config.load(path))
    assert set(method.optimisers) <= {"generator", "discriminator", "encoder"}


def test_plain_denoising_is_the_default_without_its_adversary() -> None:
    default, denoising = (
        dataclasses.asdict(config.load(RECIPES / name))
        for name in ("default.toml", "denoising.toml")
    )
    differing = {key for key in default if default[key] != denoising[key]}
    assert differing == {"name", "version", "adversary_share"}
