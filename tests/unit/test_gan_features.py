"""What a frozen GAN tells of framed images."""

from pathlib import Path

import numpy as np
import pytest
import torch

import drawn_images
from model_training.config import Recipe
from model_training.image_sets import gan_features, image_set
from model_training.image_sets.gan_features import Networks
from model_training.methods.restoring import Restoring
from model_training.networks import Generator

Framed = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def networks() -> Networks:
    """Untrained: what holds for them holds for trained ones."""
    torch.manual_seed(3)
    recipe = Recipe(
        name="tiny",
        version="0.0.1",
        sequence="any",
        plane="any",
        collections=("images",),
        single_images=True,
        size=64,
        context=1,
        generator_width=8,
        discriminator_width=8,
        mixed_precision=False,
    )
    method = Restoring(recipe)
    generator = method.networks["averaged"].eval()
    assert isinstance(generator, Generator)
    return Networks(recipe=recipe, generator=generator, discriminator=method.discriminator.eval())


@pytest.fixture(scope="module")
def framed() -> Framed:
    drawn = drawn_images.image_set(groups=4).images
    pairs = [image_set.framed(one, image_set.head_mask(one)) for one in drawn]
    images, heads = (np.stack(part) for part in zip(*pairs, strict=True))
    return images, heads


def test_the_same_images_are_seen_alike_again(networks: Networks, framed: Framed) -> None:
    first, second = (gan_features.see(networks, *framed, views=3) for _ in range(2))
    assert np.array_equal(first.features, second.features)


def test_each_view_describes_each_image(networks: Networks, framed: Framed) -> None:
    seen = gan_features.see(networks, *framed, views=3)
    assert seen.features.shape[:2] == (3, len(framed[0]))
    assert np.isfinite(seen.features).all()


def test_a_mirrored_image_scores_alike(networks: Networks, framed: Framed) -> None:
    images, heads = framed
    first = gan_features.see(networks, images, heads, views=2).scores
    mirrored = gan_features.see(
        networks, images[..., ::-1].copy(), heads[..., ::-1].copy(), views=2
    ).scores
    assert mirrored == pytest.approx(first, rel=1e-4)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    recipe = 'name="a"\nversion="1"\nsequence="any"\nplane="any"\ncollections=["images"]\n'
    (tmp_path / "recipe.toml").write_text(recipe)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        gan_features.load(tmp_path)
