"""What ``benchmarks.fuzz.run`` throws damaged files at: a callable a target, made in an empty folder, given a seed.

It returns what came of an input: ``same`` (nothing was changed that anybody reads), ``taken``, ``refused`` (also by an
``EdgeI2IError``); anything that it raises besides is a finding.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_i2i.contract import (
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    TensorSpec,
    attributes_spec,
    picture_spec,
)
from edge_i2i.errors import EdgeI2IError

Target = Callable[[int], str]

SIZE = Size(16, 24)
_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 3, 2**31 - 1, 2**63, 10**400, 1.5, 1e308, "", "x", "Infinity", "frame", "image", "style"),
    *("mask", "boxes", "int32", "condition", [], {}, [16, 24, 3], [3], [0, 0, 3], [-1, -1, 3], [1] * 8, "a" * 300),
    *("\x1b[2J", "../x", "C:\\x", "\u202e", "0001-01-01T00:00:00+14:00"),
)
_NUMBERS = (0, 1, -1, 2, 3, 7, 255, 1 << 15, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63))
_STRUCTURES = (b"PK\3\4", b"PK\1\2", b"PK\5\6")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The data with one to three changes: bits, cuts, insertions, repetitions, large numbers."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, size = rng.randrange(max(1, len(changed))), rng.randrange(1, 64)
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at:at] = rng.randbytes(size)
        elif kind == 3:
            del changed[at : at + size]
        elif kind == 4:
            start = rng.randrange(max(1, len(changed)))
            changed[at : at + size] = changed[start : start + size]
        else:
            changed[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)))
    return bytes(changed)


# Bundles ----------------------------------------------------------------------------------------------------------


def _declarations() -> tuple[GraphDeclaration, GraphDeclaration]:
    style = TensorSpec("style", Role.STYLE, (3,), DType.FLOAT32, -np.inf, np.inf, "", drawn=True, mixable=True)
    named = attributes_spec("attributes", ("Smiling", "Male", "Bangs"), "what shows", default=0.0)
    frame = picture_spec("frame", Role.FRAME, SIZE, "in")
    image = picture_spec("image", Role.IMAGE, SIZE, "out")
    exemplar = picture_spec("exemplar", Role.EXEMPLAR, SIZE, "a look")
    return (
        GraphDeclaration("frame", GraphKind.FRAME, (frame, style, named), (image,)),
        GraphDeclaration("encode", GraphKind.CONDITION, (exemplar,), (style,)),
    )


def _onnx() -> tuple[Any, Any]:
    """A network with a convolution and what our exporter writes around one; and one that takes a look from a picture.

    A function and not a constant: onnx is imported where it is used.
    """
    from onnx import TensorProto, helper, numpy_helper

    u8, f32, node = TensorProto.UINT8, TensorProto.FLOAT, helper.make_node
    value, array = helper.make_tensor_value_info, numpy_helper.from_array
    rows, columns = SIZE.height, SIZE.width
    rng = np.random.default_rng(1)
    weights = {
        "w": rng.normal(0, 0.1, (3, 3, 3, 3)).astype(np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "first": np.array([0]),
        "wide": np.array([1, 3, 1, 1]),
        "low": np.float32(0),
        "high": np.float32(255),
        "starts": np.array([0, 0]),
        "ends": np.array([rows, columns]),
        "axes": np.array([2, 3]),
        "order": np.array([0, 1, 2]),
    }
    nodes = [
        node("Cast", ["frame"], ["f"], to=f32),
        node("Transpose", ["f"], ["t"], perm=[2, 0, 1]),
        node("Unsqueeze", ["t", "first"], ["x"]),
        node("Pad", ["x", "pads"], ["p"], mode="reflect"),
        node("Conv", ["p", "w"], ["c"], strides=[1, 1], pads=[0, 0, 0, 0], dilations=[1, 1], group=1),
        node("Slice", ["c", "starts", "ends", "axes"], ["s"]),
        node("Gather", ["s", "order"], ["g"], axis=1),
        node("Reshape", ["style", "wide"], ["st"]),
        node("Reshape", ["attributes", "wide"], ["at"]),
        node("Concat", ["st", "at"], ["both"], axis=0),
        node("Split", ["both"], ["one", "two"], axis=0, num_outputs=2),
        node("Add", ["g", "one"], ["a"]),
        node("Add", ["a", "two"], ["b"]),
        node("Clip", ["b", "low", "high"], ["k"]),
        node("Squeeze", ["k", "first"], ["q"]),
        node("Transpose", ["q"], ["h"], perm=[1, 2, 0]),
        node("Cast", ["h"], ["image"], to=u8),
    ]
    inputs = [value("frame", u8, [rows, columns, 3]), value("style", f32, [3]), value("attributes", f32, [3])]
    outputs = [value("image", u8, [rows, columns, 3])]
    frame = helper.make_graph(nodes, "frame", inputs, outputs, [array(v, k) for k, v in weights.items()])
    look = [node("Cast", ["exemplar"], ["f"], to=f32), node("ReduceMean", ["f", "axes"], ["style"], keepdims=0)]
    encode = helper.make_graph(
        look,
        "encode",
        [value("exemplar", u8, [rows, columns, 3])],
        [value("style", f32, [3])],
        [array(np.array([0, 1]), "axes")],
    )
    opsets = [helper.make_opsetid("", 18)]
    return tuple(helper.make_model(graph, opset_imports=opsets, ir_version=10) for graph in (frame, encode))


def sample_bundle(path: Path) -> Path:
    """Two graphs, a style, attributes and golden data: something for everything that reads a manifest to do."""
    from edge_i2i.bundle.golden import golden_input, golden_output
    from edge_i2i.bundle.manifest import ModelRecord
    from edge_i2i.bundle.writer import BundleWriter

    golden = {}
    with BundleWriter(path) as writer:
        for declaration, model in zip(_declarations(), _onnx(), strict=True):
            data = model.SerializeToString()
            writer.add_graph(declaration, variant="fp32", precision="fp32", opset=18, onnx=data)
            for spec in declaration.inputs:
                golden[golden_input(declaration.name, 0, spec.name)] = np.zeros(spec.shape, spec.dtype.value)
            for spec in declaration.outputs:
                golden[golden_output(declaration.name, 0, spec.name)] = np.zeros(spec.shape, spec.dtype.value)
        writer.add_golden(golden)
        record = ModelRecord(family="toy", title="Toy", config={}, source="", licence="", weights="random")
        writer.finish(name="toy", model=record, size=SIZE, recipe={})
    return path


def bundle_target(folder: Path) -> Target:
    """The bytes of a zip bundle."""
    from edge_i2i.bundle.reader import open_bundle

    path = sample_bundle(folder / "x.i2i")
    good = path.read_bytes()

    def content() -> object:
        bundle = open_bundle(path)
        bundle.verify_checksums()
        bundle.golden()
        return bundle.manifest, {stored.path: bundle.read(stored.path) for stored in bundle.manifest.stored_files()}

    whole = content()

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        data = bytearray(damaged(good, rng))
        if rng.random() < 0.3 and (at := data.find(rng.choice(_STRUCTURES))) >= 0:
            data[min(at + 4 + rng.randrange(42), len(data) - 1)] = rng.randrange(256)
        path.write_bytes(data)
        if content() != whole:
            raise AssertionError("other contents were read than were written")
        return "same"

    return attempt


def manifest_target(folder: Path) -> Target:
    """Odd values in a manifest whose checksums fit, and everything that a verb does with it."""
    base = sample_bundle(folder / "base.i2i")
    with zipfile.ZipFile(base) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["bundle.json"])
    path = folder / "x.i2i"

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        changed = copy.deepcopy(manifest)
        for _ in range(rng.choice((1, 1, 2))):
            _change(changed, rng)
        header = json.dumps(changed).encode()
        digest = f"{hashlib.sha256(header).hexdigest()}  bundle.json\n".encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {**files, "bundle.json": header, "bundle.sha256": digest}.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        _use(path)
        return "taken"

    return attempt


def _change(manifest: Any, rng: random.Random) -> None:
    """One value anywhere is replaced by an odd one, or removed."""
    place, key, at = None, None, manifest
    while isinstance(at, dict | list) and at and (place is None or rng.random() < 0.85):
        place, key = at, rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
        at = place[key]
    if rng.random() < 0.15:
        del place[key]  # type: ignore[attr-defined]
    else:
        place[key] = copy.deepcopy(rng.choice(_ODD))  # type: ignore[index]


def _use(path: Path) -> None:
    from edge_i2i.bench.verify import verify_bundle
    from edge_i2i.bundle.describe import describe
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.engines.protocol import EngineOptions
    from edge_i2i.translate.translator import load

    bundle = open_bundle(path)
    json.dumps(describe(bundle))
    bundle.verify_checksums()
    with load(path, engine="onnxruntime", threads=1) as translator:
        for look in ({"style_seed": 3}, {"exemplar": np.zeros((40, 40, 3), np.uint8)}, {"attributes": {"Smiling": 1}}):
            try:
                translator.condition(**look)
            except EdgeI2IError:
                continue
        translator(np.zeros((17, 90, 3), np.uint8))
    verify_bundle(bundle, "onnxruntime", (), EngineOptions(threads=1))


# Graphs -----------------------------------------------------------------------------------------------------------


def graph_target(_folder: Path) -> Target:
    """An ONNX file's bytes and numbers. What the gate admits, ONNX Runtime has to load and run."""
    from edge_i2i.engines.in_memory import GraphInMemory
    from edge_i2i.engines.protocol import EngineOptions
    from edge_i2i.engines.registry import get_engine

    declaration, model = _declarations()[0], _onnx()[0]
    good = model.SerializeToString()
    inputs = {spec.name: np.ones(spec.shape, spec.dtype.value) for spec in declaration.inputs}

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        data = damaged(good, rng) if rng.random() < 0.4 else _renumbered(model, rng)
        source = GraphInMemory(declaration, data)
        source.read()
        with get_engine("onnxruntime").load(source, EngineOptions(threads=1)) as session:
            session.run(inputs)
        return "same" if data == good else "taken"

    def honest(seed: int) -> str:
        try:
            return attempt(seed)
        except EdgeI2IError as error:
            if "ONNX Runtime" in str(error):
                raise AssertionError(f"the gate let through what an engine refuses: {error}") from error
            raise

    return honest


def _renumbered(model: Any, rng: random.Random) -> bytes:
    """Whole changes: a number of an attribute, of a weight or a shape, a name in another's place, a node elsewhere."""
    from onnx import numpy_helper

    changed = type(model)()
    changed.CopyFrom(model)
    graph = changed.graph
    node, weight = rng.choice(graph.node), rng.choice(graph.initializer)
    kind = rng.randrange(6)
    if kind == 0 and node.attribute:
        attribute = rng.choice(node.attribute)
        if attribute.ints:
            attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
        else:
            attribute.i = rng.choice(_NUMBERS)
    elif kind == 1:
        array = np.array(numpy_helper.to_array(weight))
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice(_NUMBERS) if array.dtype == np.int64 else 1e38
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    elif kind == 2:
        weight.dims.append(rng.choice(_NUMBERS))
    elif kind == 3:
        node.input[rng.randrange(len(node.input))] = rng.choice(rng.choice(graph.node).output)
    elif kind == 4:
        node.op_type = rng.choice(graph.node).op_type
    else:
        other = type(node)()
        other.CopyFrom(node)
        graph.node.remove(node)
        graph.node.insert(rng.randrange(len(graph.node)), other)
    data: bytes = changed.SerializeToString()
    return data


# Checkpoints, pictures, messages ------------------------------------------------------------------------------------


def checkpoint_target(folder: Path) -> Target:
    """The bytes of torch files, of both forms, and of a safetensors file."""
    import torch
    from safetensors.torch import save

    from edge_i2i.models.checkpoints.reading import read_checkpoint

    state = {"model.1.weight": torch.zeros(4, 3, 3, 3), "model.1.bias": torch.zeros(4), "n": torch.tensor(3)}
    files = [save(state)]
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        held = io.BytesIO()
        torch.save(state, held, **options)
        files.append(held.getvalue())
    path = folder / "net.pth"

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        path.write_bytes(damaged(rng.choice(files), rng))
        read_checkpoint(path)
        return "taken"

    return attempt


def picture_target(_folder: Path) -> Target:
    """The bytes of pictures of every kind that OpenCV writes, in 8 and 16 bits."""
    import cv2

    from edge_i2i.media.pictures import decode_picture

    rng = np.random.default_rng(1)
    colours, grey = rng.integers(0, 256, (24, 32, 3), np.uint8), rng.integers(0, 65536, (24, 32), np.uint16)
    made = [cv2.imencode(kind, colours)[1] for kind in (".png", ".jpg", ".webp", ".bmp", ".ppm", ".tiff")]
    files = [item.tobytes() for item in (*made, *(cv2.imencode(kind, grey)[1] for kind in (".png", ".tiff")))]

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        decode_picture(damaged(rng.choice(files), rng), "x")
        return "taken"

    return attempt


def wire_target(_folder: Path) -> Target:
    """Messages of the web page: frames and requests."""
    from edge_i2i.web.wire import frame_id, read_frame, read_request

    requests = [
        {"type": "look", "style_seed": 7, "attributes": {"Smiling": 0.5}, "mix": 0.3, "from": {"exemplar": 2}},
        {"type": "look", "style": 1},
        {"type": "quality", "jpeg": 80},
    ]
    frame = struct.pack("<IdB", 7, 1.5, 0) + b"\xff\xd8\xff"

    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            message = damaged(frame, rng)
            frame_id(message)
            read_frame(message)
            return "taken"
        request = copy.deepcopy(rng.choice(requests))
        _change(request, rng)
        text = json.dumps(request)
        read_request(text if rng.random() < 0.5 else damaged(text.encode(), rng).decode(errors="replace"))
        return "taken"

    return attempt


TARGETS: Mapping[str, Callable[[Path], Target]] = MappingProxyType(
    {
        "bundle": bundle_target,
        "manifest": manifest_target,
        "graph": graph_target,
        "checkpoint": checkpoint_target,
        "picture": picture_target,
        "wire": wire_target,
    }
)
"""Every target by name."""
