"""Drops from a graph the maps that no weight asks for, and all that only they needed.

What is left answers the same to the last bit: an unasked map is 0 where it was weighted with 0.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import tomlkit
from onnx import NodeProto, helper, numpy_helper

from agent import inference, model_toml
from agent.imaging import scoring
from agent.imaging.scoring import Fusion, Kind
from model_training import files

ZERO, NO_MAP = "zero", "no_map"
SLICES = 17  # a full batch, and one slice, which the runtime calculates in another way


def add(folder: Path) -> bool:
    """Puts the lean graph into a model folder and says so in its description.

    False where every map has a weight. Raises ValueError where the answer is not the same.
    """
    target, file = folder / inference.LEAN_FILE, folder / model_toml.FILE_NAME
    if not write(folder / inference.GRAPH_FILE, target, model_toml.describe(folder).fusion):
        return False
    made = tomlkit.parse(file.read_text(encoding="utf-8"))
    model = made["model"]
    assert isinstance(model, dict)
    model["lean_sha256"] = hashlib.sha256(target.read_bytes()).hexdigest()
    files.write(file, tomlkit.dumps(made))
    check(folder)
    return True


def check(folder: Path) -> None:
    """Compares to the last bit what the maps of slices of noise add up to."""
    sums = []
    for every_map in (True, False):
        model = inference.load(folder, provider=inference.Provider.CPU, every_map=every_map)
        grid = model.description
        chance = np.random.default_rng(0)
        slices = chance.random((SLICES, grid.context, grid.size, grid.size), np.float32)
        maps = model.run(slices, chance.random(SLICES, np.float32))
        raw = scoring.weighted(maps.raw, grid.fusion.map_weights)
        deviation = scoring.weighted(maps.deviations, grid.fusion.score_weights)
        sums.append((maps.restoration, raw, deviation))
    if not all(np.array_equal(first, other) for first, other in zip(*sums, strict=True)):
        raise ValueError(f"The lean graph of {folder} does not answer what the whole one answers.")


def write(source: Path, target: Path, fusion: Fusion) -> bool:
    """Writes the lean graph of a model graph; False, and nothing, where every map has a weight."""
    weights = zip(fusion.map_weights, fusion.score_weights, strict=True)
    unused = [place for place, pair in enumerate(weights) if not any(pair)]
    if not 0 < len(unused) < len(Kind):
        return False
    model = onnx.load(source)
    drop(model, unused)
    onnx.save(model, target)
    return True


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
