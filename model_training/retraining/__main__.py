"""`python -m model_training.retraining`."""

from model_training.retraining.command import app

app()
