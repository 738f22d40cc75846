"""Tracing: the opset that was asked for, no traces of this machine, and errors that a person can read."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.graphs.trace import DEFAULT_OPSET, trace
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from samples.graphs.tiny import (
    assert_portable,
    check,
    node_types,
    operations,
    picture_graph,
    random,
    run,
    small_network,
)


def test_the_default_opset_is_really_in_the_graph(traced: ir.Model) -> None:
    made = check(traced)
    assert DEFAULT_OPSET == 18
    assert [(item.domain, item.version) for item in made.opset_import] == [("", 18)]
    assert not made.functions


def test_names_are_the_declared_ones(traced: ir.Model) -> None:
    made = check(traced)
    assert made.graph.name == "frame"
    assert [value.name for value in made.graph.input] == ["frame"]
    assert [value.name for value in made.graph.output] == ["image", NETWORK_OUTPUT]
    types = node_types(made)
    assert (types["frame"], types["image"], types[NETWORK_OUTPUT]) == ("UINT8", "UINT8", "FLOAT")


def test_shapes_are_static(traced: ir.Model) -> None:
    for node in traced.graph:
        for output in node.outputs:
            assert output.shape is not None
            assert output.shape.is_static()


def test_nothing_of_this_machine_is_in_the_file(traced: ir.Model) -> None:
    assert_portable(check(traced))


def test_two_traces_are_the_same_file(traced: ir.Model) -> None:
    again = trace(picture_graph(small_network()))
    assert check(again).SerializeToString(deterministic=True) == check(traced).SerializeToString(deterministic=True)


def test_the_traced_graph_is_the_network_on_inputs_that_it_has_not_seen(traced: ir.Model) -> None:
    graph = picture_graph(small_network())
    samples = [sample_inputs(graph.declaration, seed) for seed in (5, 6)]
    for sample, reference in zip(samples, run_torch_network(graph, samples), strict=True):
        got = run(traced, sample)
        np.testing.assert_allclose(got[NETWORK_OUTPUT], reference[NETWORK_OUTPUT], atol=1e-4)
        assert np.abs(got["image"].astype(int) - reference["image"]).max() <= 1


@pytest.mark.parametrize("opset", [17, 99])
def test_an_opset_that_the_exporter_does_not_write_is_refused(opset: int) -> None:
    """It leaves the graph at another opset and says nothing."""
    with pytest.raises(UsageError, match=f"opset 18 instead of {opset}") as caught:
        trace(picture_graph(small_network()), opset)
    assert caught.value.exit_code == 2


def test_a_later_opset_is_written() -> None:
    assert check(trace(picture_graph(nn.Identity()), 20)).opset_import[0].version == 20


class _Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class _NoCounterpart(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        left: Tensor = torch.linalg.svd(x)[0]
        return left


@pytest.mark.parametrize(
    ("module", "reason"), [(_Branch, "data-dependent"), (_NoCounterpart, r"No ONNX function .*svd")]
)
def test_a_network_that_cannot_be_traced_says_why_in_one_line(
    module: Callable[[], nn.Module], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GraphError, match=f"The graph 'frame' cannot be traced to ONNX: .*{reason}") as caught:
        trace(picture_graph(module()))
    assert "\n" not in caught.value.what
    assert "\x1b" not in caught.value.what
    assert len(caught.value.what) < 400
    assert "torch.export" in caught.value.remedy
    assert caught.value.exit_code == 1
    assert capfd.readouterr().out == ""


def test_tracing_prints_nothing_and_leaves_the_loggers_alone(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    trace(picture_graph(nn.ReLU()))
    assert logger.level == before
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_tracing_does_not_change_the_network() -> None:
    net = small_network()
    x = torch.from_numpy(random(1, 3, 16, 24))
    before = net(x)
    model = trace(picture_graph(net))
    assert torch.equal(net(x), before)
    assert operations(model).count("InstanceNormalization") == 3
