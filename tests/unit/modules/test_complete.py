"""Retrodiction and interpolation: exact where the model is known, downhill where it is not."""

from __future__ import annotations

import torch
from torch import Tensor

from agent.core.messages import Rollout
from agent.core.protocols import Site
from agent.core.spec import Channel, Layout
from modules.world_model.complete import interpolate, retrodict
from modules.world_model.jepa import JEPA

BODY = Layout((Channel("push", 2, "N", (-1.0, -2.0), (3.0, 2.0)),))
SITE = Site(Layout((Channel("place", 2, "m"),)), BODY, 20.0, 3, Layout((Channel("place", 2, "m"),)))


class Turning:
    """A linear world, s' = M s + N a, known exactly."""

    def __init__(self) -> None:
        self.m = torch.tensor([[0.9, -0.3], [0.3, 0.9]])
        self.n = torch.tensor([[0.5, 0.1], [0.0, 0.4]])

    def imagine(self, state: Tensor, actions: Tensor) -> Rollout:
        now, path = state[:, None].expand(-1, actions.shape[1], -1), []
        for move in actions.unbind(dim=2):
            now = now @ self.m.T + move @ self.n.T
            path.append(now)
        return Rollout(state, actions, torch.stack(path, dim=2)[None], {})


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def jepa() -> JEPA:
    torch.manual_seed(0)
    return JEPA(JEPA.Config(members=2, width=16), SITE)


def miss(model: JEPA, start: Tensor, actions: Tensor, aim: Tensor) -> Tensor:
    with torch.no_grad():
        ends = model.imagine(start, actions[:, None]).latents[:, :, 0, -1]
    return (ends - aim).square().sum(dim=-1).mean(dim=0)


def test_the_state_before_is_found_exactly() -> None:
    model, before, actions = Turning(), draw(4, 2), draw(4, 5, 2, seed=1)
    after = model.imagine(before, actions[:, None]).latents[0, :, 0, -1]
    found = retrodict(model, after, actions, steps=400)
    torch.testing.assert_close(found, before, atol=1e-3, rtol=0)
    assert not found.requires_grad


def test_the_way_between_two_states_is_found() -> None:
    model, first, moves = Turning(), draw(4, 2), draw(4, 6, 2, seed=2).clamp(-0.8, 1.5)
    last = model.imagine(first, moves[:, None]).latents[0, :, 0, -1]
    actions, path = interpolate(model, first, last, 6, BODY.bounds(), steps=400)
    torch.testing.assert_close(path[:, -1], last, atol=2e-3, rtol=0)
    torch.testing.assert_close(path, model.imagine(first, actions[:, None]).latents[0, :, 0])


def test_a_state_out_of_reach_is_approached_within_the_limits() -> None:
    first = torch.zeros(2, 2)
    last = torch.tensor([[100.0, 0.0], [0.0, 0.0]])
    actions, path = interpolate(Turning(), first, last, 3, BODY.bounds())
    low, high = BODY.bounds()
    assert bool(((actions >= low) & (actions <= high)).all())
    assert float(path[0, -1, 0]) > 2.0
    torch.testing.assert_close(path[1, -1], last[1], atol=2e-3, rtol=0)


def test_a_learned_model_is_descended() -> None:
    model, after, actions = jepa(), draw(3, 3), draw(3, 4, 2, seed=1)
    before = retrodict(model, after, actions, steps=60)
    assert bool((miss(model, before, actions, after) < miss(model, after, actions, after)).all())
    last = after + 0.05
    moves, path = interpolate(model, after, last, 5, BODY.bounds(), steps=60)
    still = torch.zeros(3, 5, 2) + torch.tensor([1.0, 0.0])
    assert bool((miss(model, after, moves, last) < miss(model, after, still, last)).all())
    assert path.shape == (3, 5, 3)
    assert all(p.grad is None for p in model.parameters())


def test_rows_are_completed_alone_and_without_steps_nothing_moves() -> None:
    model, after, actions = jepa(), draw(3, 3), draw(3, 4, 2, seed=1)
    together = retrodict(model, after, actions, steps=20)
    alone = retrodict(model, after[1:2], actions[1:2], steps=20)
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=0)
    assert torch.equal(retrodict(model, after, actions, steps=0), after)
