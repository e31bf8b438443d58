"""`report`: write the report of a run folder again, from its log alone."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from agent.cli.common import say
from agent.cli.pages import make_report
from agent.config import schema
from agent.config.build import blueprint
from agent.core.errors import InputError
from agent.record import checkpoint
from agent.record.files import write_whole
from agent.record.log import read


def main(options: argparse.Namespace) -> int:
    """Read RUN (a folder that `run` made), write its report.html; returns the exit code."""
    if options.config is None:
        raise InputError("report: expected a run folder, came none; such as runs/<id>")
    folder = Path(options.config)
    if not (folder / "run.mcap").is_file():
        raise InputError(
            f"report: expected {folder}/run.mcap, found none; name a folder under runs/"
        )
    header = read(folder).header
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "resolved.yaml"
        path.write_text(header["config"], encoding="utf-8")
        found = blueprint(schema.load(path))
    weights = options.checkpoint[0] if options.checkpoint else Path(found.config.checkpoint)
    tensors, about = checkpoint.load(weights)
    if about["sha256"] != header["checkpoint"]:
        raise InputError(
            f"report: the run used checkpoint {header['checkpoint'][:12]}, {weights} is"
            f" {about['sha256'][:12]}; name the right one with --checkpoint"
        )
    world = found.world(1)
    try:
        paths = make_report(folder, found.assemble(tensors), world)
    finally:
        world.close()
    card_path = folder / "card.json"
    card = json.loads(card_path.read_text(encoding="utf-8"))
    card["paths"] |= paths
    write_whole(card_path, json.dumps(card, indent=1))
    say(f"wrote {paths['report']}" + (f"; {paths['video_note']}" if paths["video_note"] else ""))
    return 0
