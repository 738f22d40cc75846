"""`golden.npz`: example inputs and the reference outputs that every variant is held against.

Written and read as numpy's ``.npz`` of ``.npy`` 1.0 arrays, uncompressed and of plain numbers only. It is not read with
``numpy.load``, which evaluates array headers as Python literals and fails on hostile ones in many ways.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Array
from edge_i2i.bundle.archive import (
    LARGEST_DIRECTORY,
    MOST_MEMBERS,
    ZIP_FAULTS,
    reason_to_refuse,
    stated_directory,
    stored_member,
)
from edge_i2i.bundle.header import GET_AGAIN
from edge_i2i.contract import GraphDeclaration, TensorSpec
from edge_i2i.errors import BundleError

GOLDEN_PSNR = "golden_psnr_db"
"""The figure of ``quality`` evidence that speaks of the golden inputs: the worst of their pictures against FP32."""

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>\|[bui]1|[<>][ui][248]|[<>]f[248])', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,10}, ?)*(?:\d{1,10})?)\), \} *\n"
)


def golden_input(graph: str, index: int, name: str) -> str:
    """The name ``GRAPH.INDEX.in.NAME`` of an example input in the golden file.

    Args:
        graph: the graph's name.
        index: the number of the example, from 0.
        name: the declared name of the graph's input.
    """
    return f"{graph}.{index}.in.{name}"


def golden_output(graph: str, index: int, name: str) -> str:
    """The name ``GRAPH.INDEX.out.NAME`` of a reference output in the golden file.

    Args:
        graph: the graph's name.
        index: the number of the example, from 0.
        name: the declared name of the graph's output.
    """
    return f"{graph}.{index}.out.{name}"


@dataclass(frozen=True, eq=False)
class GoldenSample:
    """One example of a graph: as much of its inputs and reference outputs, by name, as the golden file holds."""

    bundle: Path
    declaration: GraphDeclaration
    number: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def all_inputs(self) -> dict[str, Array]:
        """Every declared input.

        Raises:
            BundleError: one is missing, or has another shape or type than is declared.
        """
        named = partial(golden_input, self.declaration.name, self.number)
        return _as_declared(self.bundle, self.declaration.inputs, self.inputs, named)

    def all_outputs(self) -> dict[str, Array]:
        """Every declared output.

        Raises:
            BundleError: one is missing, or has another shape or type than is declared.
        """
        named = partial(golden_output, self.declaration.name, self.number)
        return _as_declared(self.bundle, self.declaration.outputs, self.outputs, named)


def samples_of(declaration: GraphDeclaration, golden: Mapping[str, Array], bundle: Path) -> tuple[GoldenSample, ...]:
    """The examples of one graph, from number 0 until one of which there is nothing.

    Args:
        declaration: of the graph.
        golden: every array of the golden file, by its name there.
        bundle: named in errors.
    """
    samples: list[GoldenSample] = []
    while True:
        number = len(samples)
        inputs = _held(declaration.inputs, golden, partial(golden_input, declaration.name, number))
        outputs = _held(declaration.outputs, golden, partial(golden_output, declaration.name, number))
        if not (inputs or outputs):
            return tuple(samples)
        samples.append(GoldenSample(bundle, declaration, number, inputs, outputs))


def _held(specs: Sequence[TensorSpec], golden: Mapping[str, Array], named: Callable[[str], str]) -> dict[str, Array]:
    return {spec.name: golden[named(spec.name)] for spec in specs if named(spec.name) in golden}


def _as_declared(
    bundle: Path, specs: Sequence[TensorSpec], arrays: Mapping[str, Array], named: Callable[[str], str]
) -> dict[str, Array]:
    for spec in specs:
        array = arrays.get(spec.name)
        if array is None or array.shape != spec.shape or array.dtype != spec.dtype.value:
            raise BundleError(
                f"The golden data of {bundle} lacks '{named(spec.name)}', or holds another kind of array.",
                remedy="Export it again.",
            )
    return dict(arrays)


def encode_golden(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as an uncompressed ``.npz``; unlike ``numpy.savez``, equal arrays give equal bytes.

    Raises:
        BundleError: an array does not hold plain numbers or truth values.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in sorted(arrays.items()):
            data = _encode_array(name, np.asarray(array))
            archive.writestr(stored_member(f"{name}.npy", len(data)), data)
    return packed.getvalue()


def decode_golden(data: bytes, bundle: Path) -> dict[str, NDArray[Any]]:
    """Read what ``encode_golden`` wrote; the arrays may be written to.

    Raises:
        BundleError: the bytes are anything else.
    """
    try:
        packed = io.BytesIO(data)
        _check_directory(*stated_directory(packed, len(data)))
        with zipfile.ZipFile(packed) as archive:
            members = archive.infolist()
            _check_members(members, len(data))
            return {
                member.filename.removesuffix(".npy"): _decode_array(member.filename, archive.read(member))
                for member in members
            }
    except ZIP_FAULTS as error:
        raise BundleError(
            f"The golden file of the bundle '{bundle}' cannot be read: {error}.", remedy=GET_AGAIN
        ) from error


def _encode_array(name: str, array: NDArray[Any]) -> bytes:
    if array.dtype.kind not in "buif":
        raise BundleError(
            f"The golden array '{name}' has the type {array.dtype}.", remedy="Store plain integers or floats."
        )
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    return data.getvalue()


def _check_directory(entries: int, directory: int) -> None:
    """Refuse a table of contents that is too large, before zipfile reads the whole of it in one go."""
    if entries > MOST_MEMBERS or directory > LARGEST_DIRECTORY:
        raise ValueError(f"it has {entries:,} members; at most {MOST_MEMBERS:,} are accepted")


def _check_members(members: list[zipfile.ZipInfo], packed: int) -> None:
    for member in members:
        if reason := reason_to_refuse(member):
            raise ValueError(f"its member {member.orig_filename!r} {reason}")
    if len({member.filename for member in members}) != len(members):
        raise ValueError("it has a member twice")
    if sum(member.file_size for member in members) > packed:
        raise ValueError("its members claim to be larger than the whole file")


def _decode_array(name: str, data: bytes) -> NDArray[Any]:
    start = len(_MAGIC) + 2 + int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 2], "little")
    header = _HEADER.fullmatch(data[len(_MAGIC) + 2 : start].decode("latin-1"))
    if data[: len(_MAGIC)] != _MAGIC or header is None:
        raise ValueError(f"its member {name!r} is not an array of plain numbers")
    dtype = np.dtype(header["dtype"])
    shape = tuple(int(side) for side in header["shape"].split(",") if side.strip())
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"its member {name!r} has another size than its shape says")
    order: Literal["C", "F"] = "F" if header["fortran"] == "True" else "C"
    return np.ndarray(shape, dtype, buffer=data, offset=start, order=order).copy()
