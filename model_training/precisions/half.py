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
        model = onnx.load(source)
        part_scales(model.graph)
        model = float16.convert_float_to_float16(model, keep_io_types=True)
    onnx.save(model, target)
    forget_origin(target)


def part_scales(graph: onnx.GraphProto) -> None:
    """Gives each Resize scales of its own: the converter stumbles where two share them."""
    values = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Resize" and node.input[2:3] and node.input[2] in values:
            own = onnx.TensorProto()
            own.CopyFrom(values[node.input[2]])
            own.name = f"{node.name}_scales"
            graph.initializer.append(own)
            node.input[2] = own.name
