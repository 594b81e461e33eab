"""Drops from a graph the maps that no weight asks for, and all that only they needed.

What is left answers the same to the last bit: an unasked map is 0 where it was weighted with 0.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from agent.imaging.scoring import Fusion, Kind

ZERO, NO_MAP = "zero", "no_map"


def write(source: Path, target: Path, fusion: Fusion) -> None:
    """Writes the lean graph of a model graph."""
    model = onnx.load(source)
    unused = [
        place
        for place, weights in enumerate(zip(fusion.map_weights, fusion.score_weights, strict=True))
        if not any(weights)
    ]
    if 0 < len(unused) < len(Kind):
        drop(model, unused)
    onnx.save(model, target)


def drop(model: onnx.ModelProto, unused: list[int]) -> None:
    """Puts zeros in place of the maps of some kinds, in every opinion of the graph."""
    graph = model.graph
    kept = next(place for place in range(len(Kind)) if place not in unused)
    graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), ZERO))
    nodes: list[NodeProto] = []
    made = makers(graph.node)
    for node in graph.node:
        if joins_kinds(node, made):
            name = f"{NO_MAP}_{node.name}"
            nodes.append(helper.make_node("Mul", [node.input[kept], ZERO], [name], name=name))
            for place in unused:
                node.input[place] = name
        nodes.append(node)
    keep_needed(graph, nodes)


def joins_kinds(node: NodeProto, made: dict[str, NodeProto]) -> bool:
    """Whether this is `graph.Opinion`'s last step: one map a kind, each times what is shown."""
    if node.op_type != "Concat" or len(node.input) != len(Kind):
        return False
    parts = [made.get(name) for name in node.input]
    factors = [set(part.input) for part in parts if part is not None and part.op_type == "Mul"]
    return len(factors) == len(Kind) and bool(set.intersection(*factors))


def keep_needed(graph: onnx.GraphProto, nodes: list[NodeProto]) -> None:
    """Keeps of the nodes, in their order, those that an output rests on, and what they read."""
    made = makers(nodes)
    needed: set[str] = set()
    waiting = [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += made[name].input if name in made else ()
    for part, kept in (
        (graph.node, [node for node in nodes if needed.intersection(node.output)]),
        (graph.initializer, [one for one in graph.initializer if one.name in needed]),
        (graph.value_info, [one for one in graph.value_info if one.name in needed]),
    ):
        del part[:]
        part.extend(kept)


def makers(nodes: Iterable[NodeProto]) -> dict[str, NodeProto]:
    """Which node makes each value."""
    return {output: node for node in nodes for output in node.output}
