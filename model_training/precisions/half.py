"""A graph whose numbers have 16 bits, for GPUs; what goes in and comes out stays float32."""

import warnings
from pathlib import Path

import onnx
from onnxruntime.transformers import float16

from model_training.export import forget_origin


def write(source: Path, target: Path) -> None:
    """Writes the graph in float16."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers too small for 16 bits, which become 0
        model = float16.convert_float_to_float16(onnx.load(source), keep_io_types=True)
    onnx.save(model, target)
    forget_origin(target)
