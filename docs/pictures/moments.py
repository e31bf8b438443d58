"""Draw moments of an episode side by side: python docs/pictures/moments.py CONFIG SEED TICK...

Lives the episode with the config's shipped weights, or where none are shipped with its fallback
command, and writes docs/pictures/NAME.png, NAME being the config's. Needs OpenGL, as videos do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from agent.config import schema  # noqa: E402
from agent.config.build import blueprint  # noqa: E402
from agent.core.loop import Tick  # noqa: E402
from agent.core.messages import Action  # noqa: E402
from agent.evaluate.episodes import episodes, tasks_of  # noqa: E402
from agent.record import checkpoint  # noqa: E402
from worlds.film import still  # noqa: E402

SIZE = (320, 270)


def main(config_path: str, seed: int, ticks: list[int]) -> None:
    """Write the picture."""
    torch.set_num_threads(1)
    config = schema.load(Path(config_path))
    found = blueprint(config)
    weights = ROOT / config.checkpoint
    world = found.world(1)
    poses = []

    def watch(tick: Tick | None = None) -> None:
        poses.append(world.simulation.qpos[0].copy())

    if weights.is_file():
        mind = found.assemble(checkpoint.load(weights)[0])
        episodes(mind, world, [seed], max(ticks) + 1, watch)
    else:
        world.reset([seed])
        for _ in range(max(ticks) + 1):
            world.step(Action(torch.tensor([config.gate.fallback])))
            watch()
    goal = tasks_of(world, [seed]).goal[0].numpy()
    frames = [still(world.model, poses[t], goal, SIZE) for t in ticks]
    world.close()
    path = ROOT / "docs" / "pictures" / f"{config.name}.png"
    drawn = Image.fromarray(np.concatenate(frames, axis=1))
    drawn.quantize(128, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    sys.stdout.write(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size} bytes)\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(t) for t in sys.argv[3:]])
