"""From a run folder to its report, replay and video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agent.config.build import Mind
from agent.core.messages import Percept, Plan, Task
from agent.record.log import read
from agent.report.html import featured, write_report
from worlds import stage

DIRECT_PLANS = 2048


class Reader:
    """Turns latents and plans into positions and guardrail values, through the mind's own eyes."""

    def __init__(self, mind: Mind, lived: Sequence[Tensor] = ()) -> None:
        """Read through the readouts and the model of `mind`.

        `lived` are the latents [Z] of the episode's ticks, for guardrails that remember it.
        """
        self._mind, self._goal = mind, mind.site.goal.names[0]
        self._lived = lived

    @torch.no_grad()
    def read_path(self, latents: Tensor) -> Tensor:
        """Return positions [T 2] of latents [T Z]."""
        path: Tensor = self._mind.readouts.read(latents)[self._goal]
        return path

    @torch.no_grad()
    def imagine_path(self, start: Tensor, actions: Tensor) -> Tensor:
        """Return the imagined positions [H 2], mean over members, of `actions` [H A]."""
        rollout = self._mind.objective.imagine(start[None], actions[None, None])
        return rollout.quantities[self._goal].mean(dim=0)[0, 0]

    @torch.no_grad()
    def guard_path(self, start: Tensor, actions: Tensor) -> Tensor:
        """Return guardrail values [R H] of `actions` [H A], margin included.

        If the episode came through `start`, by what guardrails remembered then.
        """
        rails = self._mind.guardrails
        rails.begin()
        if rails.remembers and any(torch.equal(start, latent) for latent in self._lived):
            for latent in self._lived:
                rails.witness(latent[None])
                if torch.equal(start, latent):
                    break
        values = self._mind.objective.guard(start[None], actions[None, None])[0, 0]
        rails.begin()
        return values

    @torch.no_grad()
    def straight_plan(self, start: Tensor, goal: Tensor) -> Tensor:
        """Return the actions [H A] that go for the goal most directly, guardrails left aside.

        Of many piecewise constant plans within half the actuator limits, the one of least mean
        imagined distance.
        """
        site, horizon = self._mind.site, self._mind.configurator.config.horizon
        low, high = site.actuators.bounds()
        generator = torch.Generator().manual_seed(0)
        knots = torch.rand(DIRECT_PLANS, 3, len(low), generator=generator)
        share = knots.repeat_interleave(-(-horizon // 3), dim=1)[:, :horizon]
        actions = (low + high) / 2 + (share - 0.5) * (high - low) / 2
        rollout = self._mind.objective.imagine(start[None], actions[None])
        there = rollout.quantities[self._goal].mean(dim=0)[0]
        best = torch.linalg.vector_norm(there - goal, dim=-1).mean(dim=-1).argmin()
        return actions[best]


def make_report(folder: Path, mind: Mind, world: Any) -> dict[str, Any]:
    """Write report.html, and video.mp4 where GL exists; return their paths and a note.

    Without a goal there is no place to read out of latents, and none to mark.
    """
    record = read(folder)
    episode = record.episodes[featured(record)]
    lived = [t.messages[Percept].latent[0] for t in episode.ticks if Percept in t.messages]
    reader = Reader(mind, lived) if mind.site.goal.size else None
    plans = (
        []
        if reader is None
        else [
            reader.imagine_path(t.messages[Percept].latent[0], t.messages[Plan].actions[0]).numpy()
            for t in episode.ticks
            if Plan in t.messages and Percept in t.messages
        ]
    )
    goal = None if reader is None else episode.ticks[0].messages[Task].goal[0].numpy()
    replay, video, note = None, None, ""
    if episode.poses is not None:
        replay = stage.replay_html(world.model, episode.poses, goal, world.rate_hz, plans)
        try:
            stage.video(world.model, episode.poses, goal, folder / "video.mp4", world.rate_hz)
            video = str(folder / "video.mp4")
        except stage.NoGraphics as fault:
            note = f"no video: {fault.reason}"
    scene = stage.discs(world.model) if hasattr(world, "model") else []
    page = write_report(folder, replay, video is not None, reader, scene)
    return {"report": str(page), "video": video, "video_note": note}
