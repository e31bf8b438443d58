"""The verbs: what each of the six modules, their parts and a world must offer.

Two kinds of traffic. *Messages* go through the board once per tick: `tick(inbox)` returns
exactly one. *Faculties* are pure batched functions called thousands of times inside a tick:
`WorldModel.imagine`, `Cost.energy`, `Readouts.read`; the builder hands them to the actor
joined as one `Objective`.

A module is built as `Class(config, site)`, where `config` is an instance of its own
`Class.Config` and `site` says what body it is in. Trainable ones are `torch.nn.Module`s, so
that `state_dict` and `load_state_dict` come with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from agent.core.messages import Action, Bill, Directive, Observation, Rollout
from agent.core.spec import Layout, Spec

M = TypeVar("M")


class Inbox(Protocol):
    """What a module may look at in a tick; anything it did not declare is refused."""

    def __getitem__(self, kind: type[M]) -> M:
        """Return this tick's message of a kind named in `reads`."""
        ...

    def last(self, kind: type[M]) -> M | None:
        """Return the last tick's message of a kind named in `recalls`; None on the first."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """What a module may know of its body and its neighbours' sizes; nothing of the world's inside.

    `goal` is the layout of the goal vector; `terms` the cost terms in order, the critic's
    `anticipation` last; `guardrails` their names in order. `objective` is what the actor minimises,
    `readouts` the probes that cost terms look through: not the guardrails' own, which are sealed.
    `above` are the levels above, the nearest first, where the world model has any; at such a level
    `below` is the size of the latent of the one below, 0 at the lowest.
    A plan made at such a level is followed for `follow` of its steps before there is another.
    `world` names the world, `percepts` is a fingerprint of perception's weights: only a module that
    keeps latents beyond a run is told them.
    """

    sensors: Layout
    actuators: Layout
    rate_hz: float
    latent: int
    goal: Layout
    terms: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    objective: Objective | None = None
    seed: int = 0
    readouts: Readouts | None = None
    world: str = ""
    percepts: str = ""
    above: tuple[Above, ...] = ()
    below: int = 0
    follow: int = 1


class Abstracting(Protocol):
    """A level of a world model: how states below look from there. Source: LeCun (2022) sec. 4.7."""

    ticks: int
    horizon: int
    follow: int
    """Of its own steps, those for which a plan is followed."""
    stride: int
    """Of the level below, the steps that one of its own takes."""
    latent_variable: Any
    """What one of its steps depends on and the present does not show; None: nothing."""
    pool: int
    """The ticks whose latents `pooled` looks back on, this one's included."""

    def abstract(self, latents: Tensor) -> Tensor:
        """Return the level's codes [..., Z] of pooled latents [..., Zb] of the level below."""
        ...

    def pooled(self, latents: Tensor) -> Tensor:
        """Return latents below [..., T Zb], each averaged with some before it."""
        ...

    def compress(self, actions: Tensor) -> Tensor:
        """Return the level's actions [..., A] of what is done below, [..., stride Ab]."""
        ...


@dataclass(frozen=True, slots=True)
class Above:
    """A level above, as an actor and the gate know it: its own site, objective included.

    `level` says how states look from there, and how many ticks one of its steps takes; `read`
    returns quantities of its latents, as `Readouts.read`.
    """

    site: Site
    level: Abstracting
    read: Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Ports:
    """Sizes of symbolic axes a module insists on, and field specs it expects or promises.

    `fields` is keyed by message kind and field name; what is left out is the message's own spec.
    """

    axes: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[tuple[type, str], Spec] = field(default_factory=dict)


@runtime_checkable
class Module(Protocol):
    """One of the six. `reads` are of this tick, `recalls` of the last; it posts one kind."""

    reads: ClassVar[tuple[type, ...]]
    recalls: ClassVar[tuple[type, ...]]
    posts: ClassVar[type]

    def ports(self) -> Ports:
        """Return the sizes and specs this instance insists on."""
        ...

    def reset(self, batch: int) -> None:
        """Forget the episode; `batch` agents start a new one."""
        ...

    def tick(self, inbox: Inbox) -> Any:
        """Return this tick's message. Must not change what it read."""
        ...


class Encoder(Protocol):
    """Turns sensors into latents: the faculty of perception that training uses."""

    def encode(self, values: Tensor) -> Tensor:
        """Return latents [..., Z] of packed sensor values [..., O]; differentiable."""
        ...


class Perception(Module, Encoder, Protocol):
    """Estimates the state of the world from sensors. Source: LeCun (2022) sec. 3."""


class WorldModel(Module, Protocol):
    """Predicts latents under actions. Source: LeCun (2022) sec. 4.

    `members` is E of the rollouts it imagines, draws of a latent variable included.
    """

    members: int

    def imagine(self, state: Tensor, actions: Tensor, latent: Tensor | None = None) -> Rollout:
        """Return the futures of `actions` [B K H A] (actuator units) from `state` [B Z].

        Pure and differentiable; `quantities` of the rollout are empty.
        """
        ...


class Readouts(Protocol):
    """Probes from latent to physical quantities, named and measured like the sensors."""

    layout: Layout

    def read(self, latents: Tensor) -> dict[str, Tensor]:
        """Return each quantity, [..., n] in its sensor's unit, of latents [..., Z]."""
        ...

    def error(self) -> dict[str, float]:
        """Return the held-out root-mean-square error of each quantity, in its unit."""
        ...


class Term(Protocol):
    """One immutable cost term: `intrinsic` (hard-wired drive) or `task` (configurable)."""

    kind: ClassVar[str]
    name: str
    weight: float

    def energy(self, rollout: Rollout, directive: Directive) -> Tensor:
        """Return the unweighted energy of every imagined step, [E B K H], >= 0."""
        ...


class Guardrail(Protocol):
    """A constraint on every imagined step; it is satisfied where its value is <= 0.

    One whose value no sensor can ever show, being about the imagination itself, says
    `realised = False`: there is nothing to calibrate then, its margin is 0.

    What else it may have: `unit` of its value; `text`, the limit in words; `quantity`, or
    `quantities`, the readouts it looks at; `room`, the error of those that it can stand; `parts`,
    the guardrails it is made of.
    """

    name: str

    def value(self, rollout: Rollout) -> Tensor:
        """Return the constraint's value in its quantity's unit, [E B K H]."""
        ...


@runtime_checkable
class Remembering(Guardrail, Protocol):
    """A guardrail whose value depends on what already happened in the episode.

    It keeps no state itself: the runtime keeps what it returns, and puts it into `Rollout.past`.
    """

    def remember(self, now: Rollout) -> Tensor:
        """Return what to keep, [B m], once the moment `now` has been seen.

        `now` is one step of one future, read from the percept; what was kept before stands in
        `now.past` under the guardrail's name, nothing at the start of an episode. Quantities may
        be NaN where nothing was seen: what cannot be told must never count as safe.
        """
        ...


class Cost(Module, Protocol):
    """Intrinsic and task terms and the critic. Source: LeCun (2022) sec. 4.4, 3."""

    terms: tuple[str, ...]

    def energy(self, rollout: Rollout, directive: Directive) -> Bill:
        """Return the bill of a rollout, without guardrails (those are the runtime's)."""
        ...


class Objective(Protocol):
    """Imagination and judgement joined: what a planner calls, guardrails included."""

    def __call__(
        self, state: Tensor, actions: Tensor, directive: Directive
    ) -> tuple[Rollout, Bill]:
        """Return futures and bills of candidate `actions` [B K H A] from `state` [B Z]."""
        ...


class World(Protocol):
    """A body in an environment. It has sensors, actuators and a rate, and no goal.

    One that ends episodes itself offers `over` [B], an array of bool: those in which nothing
    changes any more until the next reset.
    """

    sensors: Layout
    actuators: Layout
    rate_hz: float
    batch: int

    def reset(self, seeds: Sequence[int]) -> Observation:
        """Start one episode per seed; the start is a function of the seed alone."""
        ...

    def step(self, action: Action) -> Observation:
        """Advance one tick. Raises PhysicsError if the physics becomes unstable."""
        ...

    def close(self) -> None:
        """Release threads and memory."""
        ...
