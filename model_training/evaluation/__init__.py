"""Measures a model on patients it has not seen and writes the report; never trains anything."""
