"""Two processes on one machine: DDP must leave every rank with the same networks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edge_i2i.learn.recipe import Recipe

PROGRAM = """
import sys
from pathlib import Path
import torch
from lightning_fabric import Fabric
from edge_i2i.learn.data import cached_pairs
from edge_i2i.learn.recipe import read_recipe
from edge_i2i.learn.trainer import Trainer

recipe, cache, output = read_recipe(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
fabric = Fabric(accelerator="cpu", devices=2)
fabric.launch()
trainer = Trainer(recipe, output, cached_pairs(recipe, cache), fabric)
trainer.run()
for network in (trainer._generator, trainer._discriminator, trainer.ema):
    flat = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    ranks = fabric.all_gather(flat)
    assert torch.equal(ranks[0], ranks[1]), "the ranks have drifted apart"
if fabric.is_global_zero:
    print("ranks agree at step", trainer.step)
"""


def test_two_ranks_stay_equal(tiny_recipe: Callable[..., Recipe], tmp_path: Path, cache_folder: Path) -> None:
    program, recipe = tmp_path / "program.py", tmp_path / "tiny.yaml"
    program.write_text(PROGRAM, encoding="utf-8")
    recipe.write_text(tiny_recipe(steps=3).to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    repository = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, str(recipe), str(cache_folder), str(tmp_path / "run")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": repository},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ranks agree at step 3" in done.stdout
