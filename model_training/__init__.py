"""Trains, calibrates and exports the anomaly models that the agent serves. Owns torch."""
