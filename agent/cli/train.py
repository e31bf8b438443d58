"""`train`: everything an agent learns, from nothing, with progress, logs and resumption."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from agent.cli.common import configure, figure, machine, say, versions, write_figures
from agent.config import schema
from agent.config.build import Blueprint
from agent.core.errors import InputError
from agent.record import checkpoint
from agent.record.files import expect_writable
from agent.report.training import write_training
from agent.train.course import Trained, course_of, train
from agent.train.examine import examine
from agent.train.given import BODY, described
from agent.train.progress import Figures, Ledger, State

SAVE_EVERY_S = 20.0

STAGES: dict[str, tuple[str, ...]] = {
    "explore": ("seed", "world", "train.explore", "train.dataset"),
    "explore_round": (),
    "watch": ("latent", "perception", "world_model", "train.watch"),
    "world_model": ("train.learner", "train.shuffled"),
    "rehearse": ("train.rehearse",),
    "level": ("train.levels.learner",),
    "joint": ("train.levels.joint",),
    "readouts": ("readouts", "train.readouts"),
    "level_readouts": ("train.levels.readouts",),
    "critic": ("critic", "terms"),
    "to_go": ("goal", "guardrails", "configurator", "train.detours", "train.calibrate.rate"),
    "lookahead": ("actor", "train.actor", "cost", "train.lookahead"),
    "lessons": ("train.distil",),
    "distil": (),
    "calibrate": ("train.calibrate",),
    "calibrate_levels": ("train.levels.calibrate",),
    "completion": ("train.completion",),
    "surprise": ("train.surprise",),
}
"""What of the config each stage depends on, besides all that the stages before it do.

Exploring depends on more where what was learned meanwhile decided what to try (`LEARNS`).
Completion and surprise come early in the course, but no other stage depends on them: they stand
last here.
"""

FORMAT = 2
"""Of kept states: those of another are not taken up. 2: episodes say how long they were lived."""

LEARNS: dict[str, tuple[str, ...]] = {
    "curiosity": ("latent", "perception", "world_model", "train.learner"),
    "acting": (
        *("latent", "perception", "world_model", "train.learner", "readouts", "train.readouts"),
        *("critic", "memory", "terms", "goal", "guardrails", "configurator", "cost", "actor"),
        "train.actor",
    ),
}
"""What exploring depends on besides, by the policies that learn in between."""


def main(options: argparse.Namespace) -> int:
    """Train the config's agent and write its checkpoint; returns the exit code."""
    if options.seed is not None:
        options.overrides.append(f"seed={options.seed}")
    found = configure(options)
    found.in_one_process("train")
    target = options.out or Path(
        found.config.checkpoint.replace("seed0", f"seed{found.config.seed}")
    )
    digest = schema.config_hash(found.resolved())
    folder = Path("runs") / f"train-{found.config.name}-seed{found.config.seed}"
    if options.fresh and folder.exists():
        given = str(found.config.train.get("dataset") or "")
        if given and folder.resolve() in Path(given).resolve().parents:
            raise InputError(
                f"train.dataset: expected a file that --fresh leaves alone, came {given}; move it"
            )
        shutil.rmtree(folder)
    _make(folder)
    expect_writable(target)
    say(f"training {found.config.name}, seed {found.config.seed}; states and log in {folder}/")
    taken: list[str] = []
    with Bar(folder / "metrics.jsonl") as bar:
        trained = train(found, on_disk(folder, found, bar, taken))
    seconds, busy = trained.figures.pop("train_s"), trained.figures.pop("train_cpu_s")
    if not taken:
        trained.figures.update(train_s=seconds, train_cpu_s=busy)
    about = _about(found, digest, trained)
    fingerprint = checkpoint.save(target, trained.tensors, about, half=options.half)
    for name, value in sorted(trained.figures.items()):
        say(f"  {name:<28} {value:.4g}")
    say(f"wrote {target} (SHA-256 {fingerprint[:12]}) in {seconds:.0f} s")
    figures = {name: figure(value) for name, value in trained.figures.items()}
    write_figures(options, found, [found.config.seed], figures)
    say(f"wrote {_page(found, folder, trained)}")
    return 0


def _page(found: Blueprint, folder: Path, trained: Trained) -> Path:
    """Write the page about a training into its folder."""
    mind = found.assemble(trained.tensors)
    seen = examine(mind, trained.dataset, course_of(found).readouts.horizon)
    name = f"{found.config.name}, seed {found.config.seed}"
    return write_training(folder, name, trained.figures, seen, mind.site.rate_hz)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as fault:
        raise InputError(
            f"train: expected a writable folder {folder}, came '{fault.strerror}'; choose another"
        ) from None


def _about(found: Blueprint, digest: str, trained: Trained) -> dict[str, Any]:
    return {
        "config": found.resolved(),
        "config_hash": digest,
        "seed": found.config.seed,
        "command": "python run_agent.py " + " ".join(sys.argv[1:]),
        "machine": machine(),
        "versions": versions(),
        "figures": trained.figures,
    }


def stage_hashes(resolved: dict[str, Any]) -> dict[str, str]:
    """Return a hash per stage over what it depends on: a state is taken up only if it is equal."""
    known: dict[str, Any] = {"format": FORMAT}
    hashes = {}
    tried = not _at(resolved, "train.dataset")
    policy = _at(resolved, "train.explore.policy") if tried else ""
    for stage, keys in STAGES.items():
        keys += LEARNS.get(policy, ()) if stage == "explore" else ()
        known |= {key: _content(key, _at(resolved, key)) for key in keys}
        hashes[stage] = schema.config_hash(known)
    return hashes


def _content(key: str, value: Any) -> Any:
    """Return a setting, with its fingerprint where it names a dataset."""
    if key != "train.dataset" or not value or not Path(value).is_file():
        return value
    with Path(value).open("rb") as file:
        return [value, hashlib.file_digest(file, "sha256").hexdigest()]


def _at(resolved: dict[str, Any], path: str) -> Any:
    """Return the setting at a dotted path, None if there is none."""
    found: Any = resolved
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def on_disk(folder: Path, found: Blueprint, bar: Bar, taken: list[str]) -> Ledger:
    """Return a ledger on disk; states kept by another config, or damaged, are not taken up.

    `taken` is told the states that were: a training that took one up has no time to be quoted. All
    say whose sensors they are of, so that what was explored may be given to another training.
    """
    hashes, body = stage_hashes(found.resolved()), described(found.singles["world"].kind)

    def save(name: str, tensors: State, figures: Figures) -> None:
        about = {"config_hash": hashes[_stage(name)], "figures": figures, BODY: body}
        checkpoint.save(folder / f"{name}.safetensors", tensors, about)

    def load(name: str) -> tuple[State, Figures] | None:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            return None
        try:
            tensors, about = checkpoint.load(path)
        except InputError:
            return None
        if about["config_hash"] != hashes[_stage(name)]:
            return None
        say(f"  taking up {name} where it stopped")
        taken.append(name)
        return tensors, about["figures"]

    return Ledger(bar.log, save, load, SAVE_EVERY_S, say, folder)


def _stage(name: str) -> str:
    """Return the stage of a state; that of a further round is numbered."""
    return name.rstrip("0123456789")


class Bar:
    """A progress bar on a terminal, plain lines elsewhere, and one JSON row per report."""

    def __init__(self, path: Path) -> None:
        """Append rows to the log at `path`."""
        self._file = path.open("a", encoding="utf-8")
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, Any] = {}
        self._said: dict[str, float] = {}

    def __enter__(self) -> Bar:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing and close the log."""
        self._progress.stop()
        self._file.close()

    def log(self, stage: str, step: int, total: int, figures: Figures) -> None:
        """Take one report of a stage."""
        row = {"time": time.time(), "stage": stage, "step": step, "total": total, **figures}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        text = "  ".join(f"{k} {v:.3g}" for k, v in list(figures.items())[:4])
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total, figures="")
        self._progress.update(self._tasks[stage], completed=step, figures=text)
        now = time.monotonic()
        due = now - self._said.get(stage, 0.0) >= 5.0 or step == total
        if not self._console.is_terminal and due:
            say(f"  {stage} {step}/{total}  {text}")
            self._said[stage] = now
