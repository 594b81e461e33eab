"""Training on a GPU, as far as it can be checked where there is none."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model_training import devices, precision, trainer
from model_training.brain import contrast
from model_training.config import Recipe
from model_training.devices import Device
from model_training.methods import catalogue
from model_training.methods.method import Method

ELSEWHERE = torch.device("meta")  # tensors with a shape and a device, but without values
CUDA = torch.device("cuda")
STEPS = 4


class Elsewhere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses every tensor that is made on another device, and answers 1.0 for values."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1.0
        answer = func(*args, **(kwargs or {}))
        for made in tree_leaves(answer):
            assert not isinstance(made, torch.Tensor) or made.device == ELSEWHERE, func
        return answer


def recipe(method: str, **changes: Any) -> Recipe:
    """Little nets; the discriminator takes part, and the second half paints no more."""
    return Recipe(
        name="tiny",
        version="0",
        sequence="FLAIR",
        plane="axial",
        collections=("nobody",),
        method=method,
        inner_size=16,
        generator_width=8,
        discriminator_width=8,
        critic_steps=2,
        max_steps=STEPS,
        painting_share=0.5,
        adversarial_from_step=2,
        mixed_precision=False,
        **changes,
    )


def built_elsewhere(of: Recipe) -> Method:
    """A method whose networks are on the other device."""
    with ELSEWHERE:
        method = catalogue.build(of)
    for name, one in method.optimisers.items():
        # Adam counts its steps on the CPU, whatever it trains.
        method.optimisers[name] = torch.optim.SGD(one.param_groups[0]["params"])
    return method


@pytest.mark.parametrize(
    "of",
    [
        recipe("restoring", mirrored=True),
        recipe("segmenting"),
        recipe("f_anogan", context=1),
        recipe("ganomaly", context=1),
    ],
    ids=lambda of: of.method,
)
def test_drawing_and_learning_make_every_tensor_where_the_slices_are(of: Recipe) -> None:
    learner, chance = built_elsewhere(of), torch.Generator()
    image = torch.zeros(20, of.context, 32, 32, device=ELSEWHERE)
    brain = torch.zeros(20, 1, 32, 32, device=ELSEWHERE, dtype=torch.bool)
    with Elsewhere():  # type: ignore[no-untyped-call]
        for step in range(STEPS):
            values = learner.learn(trainer.draw(image, brain, of, chance), step=step)
            assert set(values) == set(learner.columns)


def test_heads_are_varied_where_they_are() -> None:
    image, label = (torch.zeros(2, count, 32, 32, device=ELSEWHERE) for count in (3, 1))
    with Elsewhere():  # type: ignore[no-untyped-call]
        contrast.vary(image, label, torch.Generator())


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        (Device.AUTO, True, "cuda"),
        (Device.AUTO, False, "cpu"),
        (Device.CPU, True, "cpu"),
        (Device.CUDA, True, "cuda"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one_unless_the_cpu_is_wanted(
    monkeypatch: pytest.MonkeyPatch, wanted: Device, there: bool, found: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert devices.find(wanted) == torch.device(found)


def test_a_gpu_that_only_imitates_bfloat16_trains_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    with precision.half(True, CUDA):
        assert not torch.is_autocast_enabled("cuda")
