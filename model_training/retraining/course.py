"""Which recipe a retraining follows: the base model's architecture, or a recipe of its own."""

from dataclasses import replace
from pathlib import Path

from agent import model_toml
from agent.errors import ConfigurationError
from agent.model_toml import ModelDescription
from model_training import config, runs
from model_training.config import Recipe
from model_training.retraining.order import COLLECTION, Order

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
GOING_ON = "retrain"
COURSE = (
    *("max_steps", "max_minutes", "patience_steps", "generator_rate", "discriminator_rate"),
    *("warmup_steps", "adversarial_from_step", "checkpoint_every", "threads", "seed"),
)
LOOKS = 4  # at how the run does, at least, however short it is


def choose(order: Order) -> Recipe:
    """The recipe with the site's collection and the candidate's name and version.

    Raises ConfigurationError for a recipe that is not there or makes another kind of model.
    """
    base = model_toml.describe(order.base)
    if order.recipe is None:
        recipe = going_on(order.base)
    else:
        recipe = named(order.recipe)
        check_kind(recipe, base, order.recipe)
    return shortened(
        replace(
            recipe,
            name=base.name,
            version=version(base.version, order.run),
            sequence=base.sequence,
            collections=(COLLECTION,),
            cross_site=(),
            only_subjects=(),
            most_patients=0,
        ),
        order.steps,
    )


def going_on(base: Path) -> Recipe:
    """The base's own recipe on a shorter course; folders of earlier versions hold none, and are
    taken to be of the shipped architecture."""
    short = config.load(RECIPES / f"{GOING_ON}.toml")
    own = base / runs.RECIPE_FILE
    if not own.is_file():
        return short
    return replace(config.load(own), **{key: getattr(short, key) for key in COURSE})


def named(recipe: str) -> Recipe:
    """A recipe by its path, or by its name among those that come with the package."""
    for path in (Path(recipe), RECIPES / f"{recipe}.toml"):
        if path.is_file():
            return config.load(path)
    there = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
    raise ConfigurationError(f"There is no recipe {recipe}; name a TOML file or one of {there}.")


def check_kind(recipe: Recipe, base: ModelDescription, name: str) -> None:
    """A candidate must be a model that the node can read the same studies with."""
    if recipe.single_images:
        raise ConfigurationError(
            f"The recipe {name} makes a model of photographed slices, which no node can use; "
            "`neurosieve-train run` trains those."
        )
    if recipe.sequence.casefold() != base.sequence.casefold():
        raise ConfigurationError(
            f"The recipe {name} is for {recipe.sequence}, and the model it would be compared with "
            f"reads {base.sequence}."
        )


def version(base: str, run: str) -> str:
    """`2.2.0+site.20261126-1`; a version that has a plus sign already is gone on with by a dot."""
    return f"{base}{'.' if '+' in base else '+'}{run}"


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with so many steps; 0 leaves it as it is."""
    if steps <= 0:
        return recipe
    part = max(1, steps // LOOKS)
    return replace(
        recipe,
        max_steps=steps,
        checkpoint_every=min(recipe.checkpoint_every, part),
        adversarial_from_step=min(recipe.adversarial_from_step, part),
    )
