"""Which methods a recipe may name."""

from collections.abc import Callable

from model_training.config import Recipe
from model_training.methods.brightness import Brightness
from model_training.methods.fanogan import FAnoGan
from model_training.methods.ganomaly import Ganomaly
from model_training.methods.method import Method
from model_training.methods.restoring import Restoring
from model_training.methods.segmenting import Segmenting

METHODS: dict[str, Callable[[Recipe], Method]] = {
    "restoring": Restoring,
    "f_anogan": FAnoGan,
    "ganomaly": Ganomaly,
    "segmenting": Segmenting,
    "brightness": Brightness,
}


def build(recipe: Recipe) -> Method:
    """A fresh method with the recipe's sizes; raises ValueError for an unknown name."""
    try:
        method = METHODS[recipe.method]
    except KeyError:
        known = ", ".join(sorted(METHODS))
        raise ValueError(
            f"The recipe's method {recipe.method!r} is unknown; choose one of {known}."
        ) from None
    return method(recipe)
