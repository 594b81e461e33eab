"""f-AnoGAN (Schlegl et al. 2019): what a GAN that paints normal slices cannot paint is abnormal.

First a Wasserstein GAN with gradient penalty learns to paint tumour-free slices from noise
(Gulrajani et al. 2017). Then, with the GAN frozen, an encoder learns to find the noise that gives a
slice back (the paper's `izi_f`). Other than in the paper, strided convolutions stand for its
residual blocks, so that a CPU gets through.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from model_training.config import Recipe
from model_training.corruption import uniform
from model_training.methods import compression
from model_training.methods.compression import Narrowing, Repainting, Widening
from model_training.methods.method import Batch, Parts

IDLE = float("nan")  # in the loss table, for the half that does not learn


class FAnoGan:
    """Generator, critic (here: discriminator) and encoder.

    A step learns from `critic_steps` equal parts of its batch: one step of the critic each and one
    of the generator after them; in the second half one of the encoder each.
    """

    columns: tuple[str, ...] = (
        "distance",
        "penalty",
        "real_logit",
        "fake_logit",
        "adversarial",
        "reconstruction",
        "matching",
    )

    def __init__(self, recipe: Recipe) -> None:
        compression.check(recipe)
        self.recipe = recipe
        size, width = recipe.inner_size, recipe.generator_width
        self.generator = Widening(size=size, width=width, latent=recipe.latent)
        self.critic = Narrowing(
            size=size, width=recipe.discriminator_width, outputs=1, normalised=False
        )
        self.encoder = Narrowing(size=size, width=width, outputs=recipe.latent, normalised=True)
        self.networks = nn.ModuleDict(
            {
                "generator": self.generator,
                "discriminator": self.critic,
                "encoder": self.encoder,
            }
        )
        self.optimisers: dict[str, Optimizer] = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=recipe.generator_rate, betas=(0.0, 0.9)
            ),
            "discriminator": torch.optim.Adam(
                self.critic.parameters(), lr=recipe.discriminator_rate, betas=(0.0, 0.9)
            ),
            "encoder": torch.optim.Adam(self.encoder.parameters(), lr=recipe.encoder_rate),
        }

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:
        """The GAN's steps, or the encoder's once the GAN has had its share."""
        values = dict.fromkeys(self.columns, IDLE)
        slices = compression.normal(batch, self.recipe.inner_size)
        parts = slices.chunk(self.recipe.critic_steps)
        painting = step < round(self.recipe.painting_share * self.recipe.max_steps)
        self.generator.requires_grad_(painting)
        for part in parts:
            values |= self.judge(part, batch.chance) if painting else self.find(part)
        if painting:
            values |= self.paint(parts[0], batch.chance)
        return values

    def judge(self, real: Tensor, chance: Generator) -> dict[str, float]:
        """The critic's step: as far apart as a slope of 1 allows."""
        self.critic.requires_grad_(True)
        with torch.no_grad():
            painted = self.generator(self.noise(real, chance))
        of_real, of_painted = self.critic(torch.cat([real, painted])).chunk(2)
        distance = of_real.mean() - of_painted.mean()
        penalty = self.penalty(real, painted, chance)
        self.optimisers["discriminator"].zero_grad()
        (self.recipe.penalty_weight * penalty - distance).backward()
        self.optimisers["discriminator"].step()
        return {
            "distance": distance.item(),
            "penalty": penalty.item(),
            "real_logit": of_real.mean().item(),
            "fake_logit": of_painted.mean().item(),
        }

    def penalty(self, real: Tensor, painted: Tensor, chance: Generator) -> Tensor:
        """How far the critic's slope between real and painted is from 1, squared."""
        share = uniform(real, chance)
        between = torch.lerp(painted, real, share).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        return ((slope.square().sum(dim=(1, 2, 3)) + 1e-12).sqrt() - 1).square().mean()

    def paint(self, real: Tensor, chance: Generator) -> dict[str, float]:
        """The generator's step: what it paints, a slice for each real one, shall pass for real."""
        self.critic.requires_grad_(False)
        loss = -self.critic(self.generator(self.noise(real, chance))).mean()
        self.optimisers["generator"].zero_grad()
        loss.backward()
        self.optimisers["generator"].step()
        return {"adversarial": loss.item()}

    def find(self, real: Tensor) -> dict[str, float]:
        """The encoder's step: the painted slice equals the real one, and so do their features."""
        self.critic.requires_grad_(False)
        painted = self.generator(self.encoder(real))
        image = functional.mse_loss(painted, real)
        feature = functional.mse_loss(self.critic.levels(painted)[-1], self.critic.levels(real)[-1])
        self.optimisers["encoder"].zero_grad()
        (image + self.recipe.matching_weight * feature).backward()  # type: ignore[no-untyped-call]
        self.optimisers["encoder"].step()
        return {"reconstruction": image.item(), "matching": feature.item()}

    def noise(self, real: Tensor, chance: Generator) -> Tensor:
        """What the generator paints from, a row for each real slice, [b, latent]."""
        return torch.randn(len(real), self.recipe.latent, generator=chance, device=real.device)

    def parts(self) -> Parts:
        """The slice that the encoder's numbers give, and the critic's features."""
        size = self.recipe.inner_size
        return Parts(
            restorer=Repainting(self.encoder, self.generator, size).eval(),
            critic=SmallFeatures(self.critic, size).eval(),
            marker=None,
        )


class SmallFeatures(nn.Module):
    """The features of a critic that sees slices at a reduced size."""

    def __init__(self, critic: Narrowing, inner_size: int) -> None:
        super().__init__()
        self.critic, self.inner_size = critic, inner_size

    def features(self, image: Tensor) -> list[Tensor]:
        """[b, 1, h, w] -> the critic's levels."""
        return self.critic.levels(compression.reduced(image, self.inner_size))
