"""The figures of a training run, step by step, for programs (JSON lines) and for people (TensorBoard)."""

from __future__ import annotations

import json
from pathlib import Path

from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.requirements import installed_version

Record = dict[str, float | int]


class TrainingLog:
    """One JSON object a line in ``log.jsonl``, and the same figures in TensorBoard where it is installed.

    Args:
        output: the run's folder; made if needed.
        tensorboard: whether TensorBoard's events are written too, where it is installed.
        enabled: whether anything is written; only the first of several processes does.
    """

    def __init__(self, output: Path, *, tensorboard: bool, enabled: bool) -> None:
        self._path, self._enabled, self._board = output / "log.jsonl", enabled, None
        if enabled:
            output.mkdir(parents=True, exist_ok=True)
        if enabled and tensorboard and installed_version("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(output / "tensorboard"))

    def write(self, step: int, figures: Record) -> None:
        """Append the figures of one step.

        Raises:
            OutputError: the log cannot be written.
        """
        if not self._enabled:
            return
        with writing(self._path):
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **figures}) + "\n")
            if self._board is not None:
                for name, value in figures.items():
                    self._board.add_scalar(name, value, step)

    def cut_after(self, step: int) -> None:
        """Forget what was logged after ``step``: a resumed run writes it again."""
        if not self._enabled or not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        with writing(self._path), replacing(self._path) as unfinished:
            unfinished.write_text("".join(kept), encoding="utf-8")
