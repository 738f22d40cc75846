"""Quantization-aware fine-tuning: NNCF's fake quantizers on the frame graph, trained against the FP32 picture.

For graphs whose picture post-training quantization cannot keep. The result is weights and ranges for the same graph;
``graphs.qdq.insert`` writes them, as it does after calibration. A step depends on the options, the data and the
step's number only, so a run that was stopped and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir
import torch
from torch import Tensor, nn

from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme
from edge_i2i.learn.training_log import Record, TrainingLog
from edge_i2i.metrics.decibels import psnr_of_error
from edge_i2i.quantize.qat.checkpoint import Checkpoint, check_folder, identify, load_checkpoint, save_checkpoint
from edge_i2i.quantize.qat.kernels import load_kernels
from edge_i2i.quantize.qat.loss import distillation_terms, total
from edge_i2i.quantize.qat.network import GraphNetwork, with_float_picture
from edge_i2i.quantize.qat.plan import Draw, QatOptions, QatResult, Run, Stream
from edge_i2i.quantize.qat.quantizers import FakeQuantizers
from edge_i2i.quantize.quantizer import check_names


def fine_tune(
    model: ir.Model, ranges: Mapping[str, Range], scheme: Scheme, draw: Draw, options: QatOptions, run: Run
) -> QatResult:
    """Fine-tune a frame graph for INT8; the graph itself is not changed.

    Args:
        model: a FP32 frame graph at a static size.
        ranges: what the input of each layer that is to be quantized reaches, by the names of ``find_layers``.
        scheme: how activations will be written.
        draw: gives inputs.
        options: how long and how gently.
        run: a folder for checkpoints and the log.

    Raises:
        UsageError: unknown layers; nothing to resume from, or something in the way; another run's checkpoint; a loss
            that is not finite (names the step).
        BadInputError: the FP32 network gives values that are not finite; or a damaged checkpoint.
        GraphError: the graph does not end in a picture.
        MissingRequirementError: NNCF is not installed.
    """
    check_names(ranges, find_layers(model))
    if not ranges:
        raise UsageError("No layer is to be quantized.", remedy="Give the range of one.")
    check_folder(run.folder, resume=run.resume)
    load_kernels(run.progress)
    before = torch.get_num_threads()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        return _FineTuning(model, ranges, scheme, draw, options, run).run()
    finally:
        torch.set_num_threads(before)


class _FineTuning:
    """One run: the network, its FP32 original, the optimiser, and the best state so far."""

    def __init__(
        self,
        model: ir.Model,
        ranges: Mapping[str, Range],
        scheme: Scheme,
        draw: Draw,
        options: QatOptions,
        run: Run,
    ) -> None:
        graph = with_float_picture(model)
        self._draw, self._options, self._run = draw, options, run
        self._network, self._original = GraphNetwork(graph), GraphNetwork(graph)
        self._quantizers = FakeQuantizers(self._network, graph, ranges, scheme)
        self._optimiser = torch.optim.Adam(
            [
                {"params": self._weights(), "rate": options.learning_rate},
                {"params": self._quantizers.parameters(), "rate": options.range_learning_rate},
            ]
        )
        self._identity = identify(graph, ranges, scheme, options, run.sources)
        self._log = TrainingLog(run.folder, tensorboard=False, enabled=True)
        self._step, self._history = 0, list[Record]()
        self._best_psnr, self._best_step, self._before = -math.inf, 0, -math.inf
        self._best = self._state()

    def _weights(self) -> list[nn.Parameter]:
        return list(self._network.parameters(recurse=False))

    def _learned(self) -> list[nn.Parameter]:
        return [*self._weights(), *self._quantizers.parameters()]

    def _state(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._learned()]

    def _restore(self, state: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, tensor in zip(self._learned(), state, strict=True):
                parameter.copy_(tensor)

    def run(self) -> QatResult:
        if not self._resume():
            self._before = self._check()
        options, progress = self._options, self._run.progress
        progress.start(options.steps, "steps")
        progress.advance(self._step)
        stopping = False
        try:
            while self._step < options.steps and not stopping:
                terms = self._train_step()
                self._step += 1
                progress.advance(1, "  ".join(f"{name} {value:.4f}" for name, value in terms.items()))
                stopping = self._run.should_stop()
                self._keep(terms, stopping=stopping)
        finally:
            progress.finish()
        return self._result()

    def _resume(self) -> bool:
        if not self._run.resume:
            self._log.cut_after(0)  # of a run that was killed before its first checkpoint
            return False
        found = load_checkpoint(self._run.folder, self._identity)
        self._restore(found.state)
        self._optimiser.load_state_dict(found.optimiser)
        self._step, self._best, self._best_step = found.step, found.best, found.best_step
        self._best_psnr, self._before = found.best_psnr, found.psnr_before
        self._history = [record for record in found.history]
        self._log.cut_after(self._step)
        return True

    def _train_step(self) -> dict[str, float]:
        if 2 * self._step >= self._options.steps:
            self._quantizers.freeze()
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * self._options.share_at(self._step)
        self._optimiser.zero_grad()
        sums: dict[str, float] = {}
        for number in range(self._options.frames):
            inputs = self._inputs(Stream.TRAINING, self._step * self._options.frames + number)
            terms = distillation_terms(self._network(*inputs.values()), self._reference(inputs))
            loss = total(terms, self._options.loss) / self._options.frames
            terms["loss"] = loss
            self._refuse_divergence(self._step + 1, float(loss.detach()))
            torch.autograd.backward(loss)
            for name, term in terms.items():
                share = 1.0 if name == "loss" else 1.0 / self._options.frames
                sums[name] = sums.get(name, 0.0) + share * float(term.detach())
        self._optimiser.step()
        return sums

    def _refuse_divergence(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise UsageError(
                f"The loss of step {step} is {loss:g}: the fine-tuning has diverged.",
                remedy="Start again with a lower learning rate.",
            )

    def _inputs(self, stream: Stream, index: int) -> dict[str, Tensor]:
        given = self._draw(stream, index)
        return {name: torch.tensor(given[name]) for name in self._network.input_names}

    def _reference(self, inputs: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad():
            picture: Tensor = self._original(*inputs.values())
        if not bool(torch.isfinite(picture).all()):
            raise BadInputError(
                "The FP32 network gives values that are not finite: there is nothing to fine-tune against.",
                remedy="Check its weights (edge-i2i verify), and try the inputs in FP32 first.",
            )
        return picture

    def _check(self) -> float:
        """PSNR on the checking inputs, pooled; what is better than the best is kept."""
        errors = []
        with torch.no_grad():
            for index in range(self._options.checking_frames):
                inputs = self._inputs(Stream.CHECKING, index)
                picture, reference = self._network(*inputs.values()), self._reference(inputs)
                errors.append(float((picture - reference).clamp(-255, 255).square().mean()))
        self._refuse_divergence(self._step, sum(errors))
        reached = psnr_of_error(max(sum(errors) / len(errors), 1e-6), 255.0)
        if reached > self._best_psnr:
            self._best_psnr, self._best_step, self._best = reached, self._step, self._state()
        return reached

    def _keep(self, terms: Record, *, stopping: bool) -> None:
        """Log, check and checkpoint where this step is due."""
        options = self._options
        record: Record = {"step": self._step}
        last = self._step == options.steps
        if last or self._step % options.log_every == 0:
            record |= {name: round(value, 6) for name, value in terms.items()}
        if last or self._step % options.keep_best_every == 0:
            record["psnr_db"] = round(self._check(), 3)
        if len(record) > 1:
            self._history.append(record)
            self._log.write(self._step, {name: value for name, value in record.items() if name != "step"})
        if last or stopping or self._step % options.keep_best_every == 0:
            save_checkpoint(self._run.folder, self._identity, self._checkpoint())

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            step=self._step,
            state=self._state(),
            optimiser=self._optimiser.state_dict(),
            best=self._best,
            best_step=self._best_step,
            best_psnr=self._best_psnr,
            psnr_before=self._before,
            history=tuple(self._history),
        )

    def _result(self) -> QatResult:
        self._restore(self._best)
        return QatResult(
            weights=self._network.weights(),
            ranges=self._quantizers.ranges(),
            weight_scales=self._quantizers.weight_scales(),
            history=tuple(self._history),
            psnr_before=self._before,
            psnr_after=self._best_psnr,
            best_step=self._best_step,
            step=self._step,
            finished=self._step >= self._options.steps,
        )
