"""A network's results, by torch and by ONNX Runtime: what parity is between."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_i2i.arrays import Array


def run_torch_network(graph: Any, samples: list[dict[str, Array]]) -> list[Mapping[str, Array]]:
    """The reference: the network itself in torch, in outside form, with its float output."""
    import torch

    from edge_i2i.graphs.picture import PictureModule

    module = PictureModule(graph).eval()
    results: list[Mapping[str, Array]] = []
    with torch.inference_mode():
        for sample in samples:
            arguments = [torch.from_numpy(sample[spec.name]) for spec in graph.declaration.inputs]
            outputs = [tensor.numpy().copy() for tensor in module(*arguments)]
            results.append(dict(zip(module.output_names, outputs, strict=True)))
    return results


def run_onnxruntime(
    path: Path, samples: Iterable[dict[str, Array]], threads: int | None = None
) -> Generator[Mapping[str, Array]]:
    """Run a file on ONNX Runtime's CPU provider, one sample at a time, as the results (outputs by name) are asked for.

    Args:
        path: the ONNX file.
        samples: complete inputs by name.
        threads: CPU threads inside one run; None: ONNX Runtime's own choice.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for sample in samples:
        yield dict(zip(names, session.run(names, sample), strict=True))
