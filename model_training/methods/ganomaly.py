"""GANomaly (Akcay et al. 2018): what is abnormal looks different once more after compression.

An encoder and a decoder give the slice back, a second encoder presses the result together again; a
discriminator tells slices from results. The paper's score is the distance between the two
compressions, which is one number a slice. Here the second encoder compresses both slice and
result, as one more level of the discriminator's features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from model_training.config import Recipe
from model_training.methods import compression
from model_training.methods.compression import Narrowing, Repainting, Widening
from model_training.methods.method import Batch, Parts

BETAS = (0.5, 0.999)


class Ganomaly:
    """Encoder, decoder, second encoder (together: the generator) and discriminator."""

    columns: tuple[str, ...] = (
        "reconstruction",
        "matching",
        "latent",
        "discriminator",
        "real_logit",
        "fake_logit",
    )

    def __init__(self, recipe: Recipe) -> None:
        compression.check(recipe)
        self.recipe = recipe
        size, width, latent = recipe.inner_size, recipe.generator_width, recipe.latent
        self.encoder = Narrowing(size=size, width=width, outputs=latent, normalised=True)
        self.decoder = Widening(size=size, width=width, latent=latent)
        self.second = Narrowing(size=size, width=width, outputs=latent, normalised=True)
        self.discriminator = Narrowing(
            size=size, width=recipe.discriminator_width, outputs=1, normalised=True
        )
        generator = nn.ModuleList([self.encoder, self.decoder, self.second])
        self.networks = nn.ModuleDict({"generator": generator, "discriminator": self.discriminator})
        self.optimisers: dict[str, Optimizer] = {
            "generator": torch.optim.Adam(
                generator.parameters(), lr=recipe.generator_rate, betas=BETAS
            ),
            "discriminator": torch.optim.Adam(
                self.discriminator.parameters(), lr=recipe.discriminator_rate, betas=BETAS
            ),
        }

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:  # noqa: ARG002
        """One step of the generator and one of the discriminator."""
        real = compression.normal(batch, self.recipe.inner_size)
        numbers = self.encoder(real)
        painted = self.decoder(numbers)
        values = self.improve(real, numbers, painted)
        return values | self.judge(real, painted.detach())

    def improve(self, real: Tensor, numbers: Tensor, painted: Tensor) -> dict[str, float]:
        """The generator's step: same slice, same features, same numbers when pressed again."""
        recipe = self.recipe
        self.discriminator.requires_grad_(False)
        terms = {
            "reconstruction": functional.l1_loss(painted, real),
            "matching": functional.mse_loss(
                self.discriminator.levels(painted)[-1], self.discriminator.levels(real)[-1]
            ),
            "latent": functional.mse_loss(self.second(painted), numbers),
        }
        self.discriminator.requires_grad_(True)
        loss = sum(
            (getattr(recipe, f"{name}_weight") * value for name, value in terms.items()),
            start=real.new_zeros(()),
        )
        self.optimisers["generator"].zero_grad()
        loss.backward()
        self.optimisers["generator"].step()
        return {name: value.item() for name, value in terms.items()}

    def judge(self, real: Tensor, painted: Tensor) -> dict[str, float]:
        """The discriminator's step: real slices 1, painted ones 0."""
        of_real, of_painted = self.discriminator(real), self.discriminator(painted)
        loss = functional.softplus(-of_real).mean() + functional.softplus(of_painted).mean()
        self.optimisers["discriminator"].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers["discriminator"].step()
        return {
            "discriminator": loss.item(),
            "real_logit": of_real.mean().item(),
            "fake_logit": of_painted.mean().item(),
        }

    def parts(self) -> Parts:
        """The decoder's slice, and features that end with the second compression."""
        size = self.recipe.inner_size
        return Parts(
            restorer=Repainting(self.encoder, self.decoder, size).eval(),
            critic=FeaturesAndNumbers(self.discriminator, self.second, size).eval(),
            marker=None,
        )


class FeaturesAndNumbers(nn.Module):
    """The discriminator's levels, and as the last one an encoder's numbers."""

    def __init__(self, discriminator: Narrowing, encoder: Narrowing, inner_size: int) -> None:
        super().__init__()
        self.discriminator, self.encoder, self.inner_size = discriminator, encoder, inner_size

    def features(self, image: Tensor) -> list[Tensor]:
        """[b, 1, h, w] -> the levels, then [b, latent, 1, 1]."""
        small = compression.reduced(image, self.inner_size)
        numbers = self.encoder(small)[:, :, None, None]
        return [*self.discriminator.levels(small), numbers]
