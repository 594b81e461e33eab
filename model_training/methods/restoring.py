"""The default way of learning: a generator that restores damaged slices against a discriminator.

With the adversary off (`adversary_share` 0) it is a plain denoising network (Kascenas et al. 2022).
"""

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from model_training import losses, precision
from model_training.config import Recipe
from model_training.methods.method import Batch, Parts
from model_training.networks import Discriminator, Generator

TINY = 1e-12


class Restoring:
    """Generator with two answers (the restored slice, and what was damaged) and discriminator."""

    columns: tuple[str, ...] = (
        "hinge",
        "real_logit",
        "fake_logit",
        "reconstruction",
        "dissimilarity",
        "marking",
        "adversarial",
        "matching",
        "gradient",
    )

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        generator = Generator(
            context=recipe.context,
            width=recipe.generator_width,
            outputs=2,
            mirrored=recipe.mirrored,
        )
        discriminator = Discriminator(
            width=recipe.discriminator_width, spectral=recipe.spectral_norm
        )
        self.networks = nn.ModuleDict(
            {
                "generator": generator,
                "averaged": copy.deepcopy(generator).requires_grad_(False),
                "discriminator": discriminator,
            }
        )
        self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator, self.discriminator = generator, discriminator
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(
                generator.parameters(), lr=recipe.generator_rate, betas=(0.9, 0.99)
            ),
            "discriminator": torch.optim.Adam(
                discriminator.parameters(), lr=recipe.discriminator_rate, betas=(0.0, 0.99)
            ),
        }

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator takes part."""
        return self.recipe.adversary_share > 0

    def learn(self, batch: Batch, *, step: int) -> dict[str, float]:
        """One step of the discriminator and one of the generator."""
        with self.half(batch.damaged):
            painted = self.generator(batch.damaged.contiguous(memory_format=torch.channels_last))
        restored, mark = painted.float().chunk(2, dim=1)
        # Drawn without an adversary too: a control run then learns from the very same batches.
        noise = torch.randn((2, *restored.shape), generator=batch.chance, device=restored.device)
        judged = dict.fromkeys(("hinge", "real_logit", "fake_logit"), 0.0)
        if self.adversarial:
            judged = self.judge(batch, restored.detach(), noise)
        active = self.adversarial and step >= self.recipe.adversarial_from_step
        return judged | self.improve(batch, restored, mark, active=active, step=step)

    def judge(self, batch: Batch, restored: Tensor, noise: Tensor) -> dict[str, float]:
        """The discriminator's step: real is untouched brain, fake is what was restored."""
        first, second = self.recipe.instance_noise * batch.support * noise
        with self.half(restored):
            logits = self.discriminator(torch.cat([batch.target + first, restored + second]))
        real, fake = logits.float().chunk(2)
        size = (real.shape[-2], real.shape[-1])
        real_at = losses.patch_weights(batch.support, size)
        fake_at = losses.patch_weights(batch.changed, size)
        hinge = losses.discriminator_hinge(real, fake, real_at, fake_at)
        self.optimisers["discriminator"].zero_grad()
        hinge.backward()  # type: ignore[no-untyped-call]
        self.optimisers["discriminator"].step()
        return {
            "hinge": hinge.item(),
            "real_logit": losses.weighted_mean(real, real_at).item(),
            "fake_logit": losses.weighted_mean(fake, fake_at).item(),
        }

    def improve(
        self, batch: Batch, restored: Tensor, mark: Tensor, *, active: bool, step: int
    ) -> dict[str, float]:
        """The generator's step: close to the clean slice, and taken for it by the discriminator."""
        recipe = self.recipe
        weights = batch.support * (1 + (recipe.damage_weight - 1) * batch.changed)
        terms = {
            "reconstruction": losses.reconstruction(restored, batch.target, weights),
            "dissimilarity": losses.dissimilarity(restored, batch.target, batch.support),
            "marking": losses.marking(mark, batch.foreign, batch.brain),
        }
        opinion = dict.fromkeys(("adversarial", "matching"), restored.new_zeros(()))
        loss = weighted(terms, recipe)
        if active:
            opinion = self.opinion(batch, restored)
            pull = recipe.adversary_share * matched(weighted(opinion, recipe), loss, restored)
            loss = loss + (pull * restored).sum()
        self.optimisers["generator"].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.optimisers["generator"].step()
        self.follow(step)
        values = {name: value.item() for name, value in (terms | opinion).items()}
        return values | {"gradient": gradient.item()}

    def opinion(self, batch: Batch, restored: Tensor) -> dict[str, Tensor]:
        """What the discriminator says of the restoration, without learning from it."""
        self.discriminator.requires_grad_(False)
        with self.half(restored):
            levels = self.discriminator.features(restored)
            logits = self.discriminator.verdict(levels).float()
            with torch.no_grad():
                wanted = self.discriminator.features(batch.target)
        self.discriminator.requires_grad_(True)
        at = losses.patch_weights(batch.changed, (logits.shape[-2], logits.shape[-1]))
        return {
            "adversarial": -losses.weighted_mean(logits, at),
            "matching": losses.feature_matching(levels, wanted),
        }

    def follow(self, step: int) -> None:
        """Moves the averaged generator a little toward the current one."""
        decay = min(self.recipe.average_decay, (1 + step) / (10 + step))
        pairs = zip(
            self.networks["averaged"].parameters(), self.generator.parameters(), strict=True
        )
        with torch.no_grad():
            for slow, fast in pairs:
                slow.lerp_(fast, 1 - decay)

    def half(self, image: Tensor) -> AbstractContextManager[object]:
        """Half precision where the recipe wants it and the image's device has it."""
        return precision.half(self.recipe.mixed_precision, image.device)

    def parts(self) -> Parts:
        """The averaged generator's two answers, and the discriminator where there is one."""
        averaged = self.networks["averaged"].eval()
        critic = copy.deepcopy(self.discriminator).eval() if self.adversarial else None
        return Parts(restorer=Channel(averaged, 0), critic=critic, marker=Channel(averaged, 1))


def weighted(terms: Mapping[str, Tensor], recipe: Recipe) -> Tensor:
    """The sum of the terms, each times the recipe's weight of its name."""
    values = [getattr(recipe, f"{name}_weight") * value for name, value in terms.items()]
    return torch.stack(values).sum()


def matched(opinion: Tensor, loss: Tensor, restored: Tensor) -> Tensor:
    """The opinion's gradient by the restored slices, scaled to the length of the loss's own
    (after the adaptive weight of Esser et al. 2021).

    With a fixed weight the adversary's gradient was ten times as long as all others together.
    """
    (own,) = torch.autograd.grad(loss, restored, retain_graph=True)
    (other,) = torch.autograd.grad(opinion, restored)
    scaled: Tensor = other * own.norm() / other.norm().clamp(min=TINY)
    return scaled


class Channel(nn.Module):
    """One of a network's answers `[b, 1, h, w]`."""

    def __init__(self, network: nn.Module, number: int) -> None:
        super().__init__()
        self.network = network
        self.number = number

    def forward(self, slices: Tensor) -> Tensor:
        """Slices -> the chosen answer."""
        answer: Tensor = self.network(slices)
        return answer[:, self.number : self.number + 1]
