"""Whole-number convolutions for processors: static quantisation of a graph, a scale per channel.

Weights take 7 of 8 bits: a processor without VNNI adds two products in 16 bits, which 8 would
overflow, and the same file would answer otherwise there. The 1 x 1 convolution that paints the
answer stays as it is: restoration and marks lie side by side in its output, a hundred times apart.
"""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization import shape_inference

from model_training.export import forget_origin

Feeds = Sequence[Mapping[str, NDArray[np.float32]]]


class Batches(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantiser one batch after the other."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[np.float32]] | None:
        """The next batch, None after the last."""
        return next(self._feeds, None)


def write(source: Path, target: Path, feeds: Feeds) -> None:
    """Writes a graph with int8 convolutions; the feeds show how large their inputs become."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the quantiser's own
        prepared = Path(place) / "prepared.onnx"
        shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(target),
            Batches(feeds),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=painting(onnx.load(prepared)),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
    forget_origin(target)


def painting(model: onnx.ModelProto) -> list[str]:
    """The names of the 1 x 1 convolutions."""
    shapes = {one.name: tuple(one.dims[2:]) for one in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and shapes.get(node.input[1]) == (1, 1)
    ]
