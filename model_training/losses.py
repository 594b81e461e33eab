"""What generator and discriminator are asked to minimise."""

import torch
from torch import Tensor
from torch.nn import functional


def reconstruction(restored: Tensor, clean: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean absolute difference."""
    return ((restored - clean).abs() * weights).sum() / weights.sum().clamp(min=1.0)


def dissimilarity(restored: Tensor, clean: Tensor, support: Tensor) -> Tensor:
    """1 - SSIM with a 7 x 7 box window (Wang et al. 2004), over the supported pixels."""

    def mean(image: Tensor) -> Tensor:
        return functional.avg_pool2d(image, 7, 1, 3)

    mean_restored, mean_clean = mean(restored), mean(clean)
    variance_restored = mean(restored.square()) - mean_restored.square()
    variance_clean = mean(clean.square()) - mean_clean.square()
    covariance = mean(restored * clean) - mean_restored * mean_clean
    similarity = (
        (2 * mean_restored * mean_clean + 1e-4)
        * (2 * covariance + 9e-4)
        / (
            (mean_restored.square() + mean_clean.square() + 1e-4)
            * (variance_restored + variance_clean + 9e-4)
        )
    )
    return ((1 - similarity) * support).sum() / support.sum().clamp(min=1.0)


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


def gradient_penalty(logits: Tensor, image: Tensor) -> Tensor:
    """R1: squared gradient of the real logits (Mescheder et al. 2018)."""
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
