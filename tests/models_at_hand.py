"""A source of models for the steps that always gives the same ones."""

from agent.errors import ConfigurationError
from agent.inference import AnomalyModel


class OneModel:
    """Gives one model for every folder but those in `gone`, and notes which were asked for."""

    def __init__(
        self,
        model: AnomalyModel,
        *,
        trial: AnomalyModel | None = None,
        gone: frozenset[str] = frozenset(),
    ) -> None:
        self.asked: list[str | None] = []
        self._model = model
        self._trial = trial
        self._gone = gone

    def __call__(self, folder: str | None) -> AnomalyModel:
        self.asked.append(folder)
        if folder in self._gone:
            raise ConfigurationError(f"There is no model in {folder}.")
        return self._model

    def on_trial(self) -> AnomalyModel | None:
        return self._trial

    def at_hand(self) -> AnomalyModel:
        return self._model
