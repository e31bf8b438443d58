"""Run a Housecat agent: `python run_agent.py`, or `python run_agent.py --help` for the rest."""

import sys

from agent.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
