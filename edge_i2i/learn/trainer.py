"""Adversarial training of a pix2pixHD generator on pairs: LSGAN, feature matching and an optional L1 term.

Lightning Fabric owns device, precision and processes (start several with ``torchrun``). A step depends on the recipe,
the step's number and the networks only, so a run that was stopped and resumed ends with the same weights as one that
was not.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_i2i.errors import UsageError
from edge_i2i.learn.checkpoints import Snapshot, list_snapshots, load_snapshot, prune_snapshots, save_snapshot
from edge_i2i.learn.data import batch_at
from edge_i2i.learn.evaluate import HeldOutPicture, evaluate_held_out, fit_colours, summarise
from edge_i2i.learn.losses import discriminator_loss, feature_matching, lsgan
from edge_i2i.learn.recipe import Recipe
from edge_i2i.learn.results import write_png
from edge_i2i.learn.training_log import Record, TrainingLog
from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.discriminators import MultiscaleDiscriminator
from edge_i2i.models.pix2pixhd.model import FAMILY as PIX2PIXHD
from edge_i2i.models.weights import materialise
from edge_i2i.progress import NullProgress, Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Where `Trainer.run` ended; ``seconds`` are the run's, earlier sessions among them."""

    step: int
    finished: bool
    checkpoint: Path
    seconds: float


def generator_config(recipe: Recipe) -> Pix2PixHDConfig:
    """The architecture that a recipe trains, in the model's own terms."""
    section = recipe.generator
    return Pix2PixHDConfig(
        label_nc=0,
        instance_edges=False,
        ngf=section.ngf,
        n_downsample_global=section.n_downsample_global,
        n_blocks_global=section.n_blocks_global,
    )


def new_networks(recipe: Recipe) -> tuple[nn.Module, MultiscaleDiscriminator]:
    """Generator and discriminator with the recipe's initialisation, a function of its seed."""
    generator = PIX2PIXHD.new_networks(generator_config(recipe), recipe.seed)["generator"]
    section = recipe.discriminator
    with torch.device("meta"):
        discriminator = MultiscaleDiscriminator(6, section.ndf, section.n_layers, section.num_D)
    materialise(discriminator, recipe.seed + 1)
    if recipe.generator.opponent_start:
        _turn_half_to_colour(generator)
    return generator, discriminator


def _turn_half_to_colour(generator: nn.Module) -> None:
    """Let every second filter of the first convolution start as a colour-opponent one: its taps sum to 0 over RGB.

    Luminance dominates every random filter, and the instance norm behind it then buries what colour there is: such a
    start learns to paint in sepia first and finds the colours very late, if at all.
    """
    first = next(module for module in generator.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        first.weight[::2] -= first.weight[::2].mean(dim=1, keepdim=True)


def learning_rate_at(recipe: Recipe, step: int) -> float:
    """Constant, then linear to zero at the end of training; ``step`` counts from 0."""
    start = recipe.optimiser.decay_from * recipe.training.steps
    remaining = (recipe.training.steps - step) / max(recipe.training.steps - start, 1e-9)
    return recipe.optimiser.learning_rate * min(1.0, remaining)


class Trainer:
    """Trains one recipe into one folder.

    The folder receives ``recipe.yaml``, ``log.jsonl``, ``checkpoints/``, ``pictures/`` (held-out photograph | target |
    ours at every checkpoint) and TensorBoard's events where TensorBoard is installed.

    Args:
        recipe: what is trained, how long, and by which losses.
        output: the folder; made if needed.
        pairs: uint8 (N, 2, patch, patch, 3), photograph then painting, as ``cached_pairs`` returns them.
        fabric: the device, the precision and the processes to train with.
    """

    def __init__(self, recipe: Recipe, output: Path, pairs: NDArray[np.uint8], fabric: Fabric) -> None:
        self.recipe, self.output, self.step, self.seconds = recipe, output, 0, 0.0
        self._pairs, self._fabric = pairs, fabric
        torch.set_num_threads(recipe.training.threads)
        fabric.seed_everything(recipe.seed, verbose=False)
        generator, discriminator = new_networks(recipe)
        self.ema = fabric.to_device(copy.deepcopy(generator).requires_grad_(False).eval())
        self._generator, self._generator_optimiser = self._set_up(generator)
        self._discriminator, self._discriminator_optimiser = self._set_up(discriminator)
        self._colours = fit_colours(pairs)
        self._log = TrainingLog(output, tensorboard=recipe.training.tensorboard, enabled=fabric.is_global_zero)

    def _set_up(self, network: nn.Module) -> tuple[_FabricModule, _FabricOptimizer]:
        section = self.recipe.optimiser
        adam = torch.optim.Adam(network.parameters(), lr=section.learning_rate, betas=section.betas)
        module, optimiser = self._fabric.setup(network, adam)
        return module, optimiser

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.output / "checkpoints"

    def run(self, *, should_stop: Callable[[], bool] = lambda: False, progress: Progress | None = None) -> Outcome:
        """Train until the recipe's last step, or until ``should_stop`` says so after a step; always checkpoint.

        Args:
            should_stop: asked after every step (a signal handler sets what it reads).
            progress: told about each step, with its losses.
        """
        steps, shown = self.recipe.training.steps, progress or NullProgress()
        began = time.perf_counter() - self.seconds  # a resumed run goes on counting
        shown.start(steps, "steps")
        shown.advance(self.step)
        stopping = False
        try:
            while self.step < steps and not stopping:
                losses = {name: float(value) for name, value in self._train_step().items()}
                self.step += 1
                shown.advance(1, "  ".join(f"{name} {value:.3f}" for name, value in losses.items()))
                stopping = should_stop()
                self.seconds = time.perf_counter() - began
                self._keep(losses, stopping=stopping)
        finally:
            shown.finish()
        newest = list_snapshots(self.checkpoints)[-1]
        return Outcome(self.step, self.step >= steps, newest, round(self.seconds, 1))

    def _keep(self, losses: Record, *, stopping: bool) -> None:
        """Write the log and a checkpoint where the step is due for them, both after the last step."""
        training = self.recipe.training
        last = stopping or self.step == training.steps
        if last or self.step % training.log_every == 0:
            self._log.write(
                self.step, {name: round(value, 5) for name, value in losses.items()} | {"s": round(self.seconds, 1)}
            )
        if last or self.step % training.checkpoint_every == 0:
            self.save()

    def _train_step(self) -> dict[str, Tensor]:
        self._set_learning_rate(learning_rate_at(self.recipe, self.step))
        photograph, target = self._batch()
        made = self._generator(photograph)
        with self._frozen_discriminator():
            of_made = self._discriminator(torch.cat([photograph, made], dim=1))
        # Real and detached pictures in one pass: instance norm keeps samples apart, and DDP sees a single forward.
        judged = self._discriminator(
            torch.cat([torch.cat([photograph, target], dim=1), torch.cat([photograph, made.detach()], dim=1)])
        )
        half = len(photograph)
        of_real = [[layer[:half] for layer in scale] for scale in judged]
        of_detached = [[layer[half:] for layer in scale] for scale in judged]
        terms = {
            "gan": lsgan(of_made, real=True),
            "feature_matching": feature_matching(of_made, of_real),
            "l1": (made.float() - target).abs().mean(),
        }
        weights = self.recipe.losses
        total = weights.gan * terms["gan"] + weights.feature_matching * terms["feature_matching"]
        self._descend(total + weights.l1 * terms["l1"], self._generator_optimiser)
        terms["discriminator"] = discriminator_loss(of_real, of_detached)
        self._descend(terms["discriminator"], self._discriminator_optimiser)
        self._update_average()
        return {name: term.detach() for name, term in terms.items()}

    def _batch(self) -> tuple[Tensor, Tensor]:
        arrays = batch_at(
            self._pairs, self.recipe, self.step, rank=self._fabric.global_rank, world_size=self._fabric.world_size
        )
        photograph, target = (self._fabric.to_device(torch.from_numpy(array)) for array in arrays)
        return photograph, target

    def _frozen_discriminator(self) -> _Frozen:
        return _Frozen(self._fabric, self._discriminator)

    def _descend(self, loss: Tensor, optimiser: _FabricOptimizer) -> None:
        optimiser.zero_grad()
        self._fabric.backward(loss)
        optimiser.step()

    def _set_learning_rate(self, rate: float) -> None:
        for optimiser in (self._generator_optimiser, self._discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def _update_average(self) -> None:
        # A short memory at the beginning, so that the average does not drag the random start along.
        decay = min(self.recipe.training.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for average, current in zip(self.ema.parameters(), self._generator.parameters(), strict=True):
                average.lerp_(current.float(), 1.0 - decay)

    def save(self) -> None:
        """Write a checkpoint of this moment, with held-out figures and pictures beside it."""
        if self._fabric.is_global_zero:
            save_snapshot(self.checkpoints, self._snapshot(), self.recipe)
            prune_snapshots(self.checkpoints, self.recipe.training.keep_checkpoints)
            self._show_held_out()
        self._fabric.barrier()

    def _snapshot(self) -> Snapshot:
        networks = {
            "generator": self._generator.module.state_dict(),
            "discriminator": self._discriminator.module.state_dict(),
            "ema": self.ema.state_dict(),
        }
        training: dict[str, Any] = {
            "generator": self._generator_optimiser.state_dict(),
            "discriminator": self._discriminator_optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "seconds": self.seconds,
        }
        return Snapshot(self.step, networks, training)

    def resume(self) -> bool:
        """Go back to the newest checkpoint of this folder; False where there is none."""
        found = list_snapshots(self.checkpoints)
        if not found:
            return False
        snapshot = load_snapshot(found[-1], self.recipe)
        if snapshot.step > self.recipe.training.steps:
            raise UsageError(
                f"The run in {self.output} is at step {snapshot.step}, past the "
                f"{self.recipe.training.steps} asked for.",
                remedy="Ask for more --steps, or train into another --output folder.",
            )
        self._generator.module.load_state_dict(snapshot.networks["generator"])
        self._discriminator.module.load_state_dict(snapshot.networks["discriminator"])
        self.ema.load_state_dict(snapshot.networks["ema"])
        self._generator_optimiser.load_state_dict(snapshot.training["generator"])
        self._discriminator_optimiser.load_state_dict(snapshot.training["discriminator"])
        torch.set_rng_state(snapshot.training["random"])
        self.step, self.seconds = snapshot.step, float(snapshot.training.get("seconds", 0.0))
        self._log.cut_after(self.step)
        return True

    def held_out(self) -> list[HeldOutPicture]:
        """The averaged generator on the whole held-out photographs."""
        multiple = 2**self.recipe.generator.n_downsample_global
        return evaluate_held_out(self.ema, self.recipe.data.held_out, self._colours, multiple=multiple)

    def _show_held_out(self) -> None:
        pictures = self.held_out()
        mean = summarise(pictures)["mean"]["ours"]
        self._log.write(self.step, {"held_out_psnr": mean["psnr"], "held_out_ssim": mean["ssim"]})
        folder = self.output / "pictures"
        folder.mkdir(exist_ok=True)
        for one in pictures:
            write_png(folder / f"step-{self.step:08d}-{Path(one.name).stem}.png", one.side_by_side())


class _Frozen:
    """A pass through the discriminator that costs no gradients of its own weights, and no DDP exchange."""

    def __init__(self, fabric: Fabric, module: _FabricModule) -> None:
        self._module, self._no_sync = module, fabric.no_backward_sync(module, enabled=fabric.world_size > 1)

    def __enter__(self) -> None:
        self._no_sync.__enter__()
        self._module.requires_grad_(False)

    def __exit__(self, *raised: Any) -> None:
        self._module.requires_grad_(True)
        self._no_sync.__exit__(*raised)
