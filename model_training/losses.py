"""What generator and discriminator are asked to minimise."""

import torch
from torch import Tensor
from torch.nn import functional

SSIM_BOX = 7


def box_mean(maps: Tensor, size: int) -> Tensor:
    """The mean of each pixel's `size` x `size` box, zeros beyond the edge.

    As products with two banded matrices: a CPU's pooling of a single channel takes seven times as
    long, and was a third of a training step.
    """
    return band(maps.shape[-2], size, maps) @ maps @ band(maps.shape[-1], size, maps)


def band(length: int, size: int, like: Tensor) -> Tensor:
    """`[length, length]`, a running mean over `size` neighbours as a matrix."""
    place = torch.arange(length, device=like.device)
    near = (place[:, None] - place[None, :]).abs() <= size // 2
    return near.to(like.dtype) / size


def reconstruction(restored: Tensor, clean: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean absolute difference."""
    return ((restored - clean).abs() * weights).sum() / weights.sum().clamp(min=1.0)


def dissimilarity(restored: Tensor, clean: Tensor, support: Tensor) -> Tensor:
    """Mean of the dissimilarity map over the supported pixels."""
    return weighted_mean(dissimilarity_map(restored, clean), support)


def dissimilarity_map(first: Tensor, second: Tensor) -> Tensor:
    """1 - SSIM of each pixel's 7 x 7 box (Wang et al. 2004)."""
    mean_first, mean_second = box_mean(first, SSIM_BOX), box_mean(second, SSIM_BOX)
    variance_first = box_mean(first.square(), SSIM_BOX) - mean_first.square()
    variance_second = box_mean(second.square(), SSIM_BOX) - mean_second.square()
    covariance = box_mean(first * second, SSIM_BOX) - mean_first * mean_second
    similarity = (
        (2 * mean_first * mean_second + 1e-4)
        * (2 * covariance + 9e-4)
        / (
            (mean_first.square() + mean_second.square() + 1e-4)
            * (variance_first + variance_second + 9e-4)
        )
    )
    return 1 - similarity


def patch_weights(changed: Tensor, size: tuple[int, int]) -> Tensor:
    """Which discriminator patches saw damage; untouched patches are real and judged by nobody."""
    return (functional.adaptive_max_pool2d(changed.float(), size) > 0).float()


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of the values where the weights say so."""
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def discriminator_hinge(real: Tensor, fake: Tensor, real_at: Tensor, fake_at: Tensor) -> Tensor:
    """Hinge loss: 2.0 when nothing is learnt, 0 when real and fake are far apart."""
    return weighted_mean(functional.relu(1 - real), real_at) + weighted_mean(
        functional.relu(1 + fake), fake_at
    )


def feature_matching(restored: list[Tensor], clean: list[Tensor]) -> Tensor:
    """Mean absolute difference of discriminator features, averaged over the levels."""
    differences = [
        (one - other.detach()).abs().mean() for one, other in zip(restored, clean, strict=True)
    ]
    return torch.stack(differences).mean()


def marking(logits: Tensor, foreign: Tensor, brain: Tensor) -> Tensor:
    """Cross-entropy inside the brain plus 1 - overlap over the whole batch."""
    inside = brain.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, foreign, reduction="none")
    likely = torch.sigmoid(logits) * inside
    shared = (likely * foreign).sum()
    overlap = (2 * shared + 1) / (likely.sum() + (foreign * inside).sum() + 1)
    return weighted_mean(entropy, inside) + 1 - overlap


def gradient_penalty(logits: Tensor, image: Tensor) -> Tensor:
    """R1: squared gradient of the real logits (Mescheder et al. 2018)."""
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
