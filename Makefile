# Two commands matter: `make demo` and `make test`. Both do all the set-up they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-extras check setup train-all bench scoreboard dmc guide combinations mutation results clean

demo: $(READY)  ## set up, then watch an agent plan through the world it learned
	$(BIN)/python run_agent.py

test: check  ## set up, check, and run every test
	$(BIN)/python -m pytest -n 2

test-extras: $(READY)  ## install the optional worlds and baselines, and run the tests that are skipped without them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check dm-control==1.0.50 mujoco-menagerie stable-baselines3==2.9.2 gymnasium-robotics==1.4.2
	$(BIN)/python -m pytest -rs tests/unit/worlds tests/contract/test_worlds.py tests/unit/evaluate/test_sac.py tests/e2e/test_scoreboard.py tests/e2e/test_bring_your_own.py

check: $(READY)  ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(READY)  ## only the set-up

$(READY): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("Housecat needs Python 3.11 or newer; try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $(READY)

train-all: $(READY)  ## train the shipped checkpoints again (thirty-eight trainings, up to half an hour each)
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/reach.yaml --seed $$seed \
	  --json docs/results/train-reach-seed$$seed.json || exit 1; done
	$(BIN)/python run_agent.py train configs/reach-filter.yaml --json docs/results/train-reach-filter-seed0.json
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/reach-pixels.yaml --seed $$seed \
	  --json docs/results/train-reach-pixels-seed$$seed.json || exit 1; done
	for name in lead stand swingup; do for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/$$name.yaml --fresh --seed $$seed \
	  --json docs/results/train-$$name-seed$$seed.json || exit 1; done; done
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/permanence.yaml world.opaque=false --fresh --seed $$seed \
	  --json docs/results/train-permanence-seed$$seed.json || exit 1; done
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/rooms-hierarchical.yaml --seed $$seed --fresh --half \
	  --json docs/results/train-rooms-hierarchical-seed$$seed.json || exit 1; done
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/rooms-three.yaml --seed $$seed --fresh --half \
	  --json docs/results/train-rooms-three-seed$$seed.json || exit 1; done
	$(BIN)/python run_agent.py train configs/swingup-pixels.yaml --seed 0 --fresh --half --json docs/results/train-swingup-pixels-seed0.json
	$(BIN)/python run_agent.py train configs/push-pixels.yaml --fresh --seed 0 --half --json docs/results/train-push-pixels-seed0.json
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/rooms-pixels-hierarchical.yaml --seed $$seed --fresh --half \
	  --json docs/results/train-rooms-pixels-hierarchical-seed$$seed.json || exit 1; done
	for name in push cliff; do for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/$$name.yaml --fresh --half --seed $$seed \
	  --json docs/results/train-$$name-seed$$seed.json || exit 1; done; done
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/toys.yaml --seed $$seed \
	  --json docs/results/train-toys-seed$$seed.json || exit 1; done

THREE = $(foreach f,$(wildcard checkpoints/rooms-three-seed*.safetensors),--checkpoint $(f))  # one is shipped, `make train-all` adds two

bench: $(READY)  ## measure what docs/results/ holds (hours; every line stands alone)
	$(BIN)/python run_agent.py eval configs/reach.yaml --episodes 200 --json docs/results/eval-reach.json
	$(BIN)/python run_agent.py eval configs/reach.yaml --episodes 200 --mode 1 \
	  eval.oracle_episodes=0 --json docs/results/eval-reach-mode1.json
	$(BIN)/python run_agent.py eval configs/reach.yaml --episodes 100 --checkpoint checkpoints/reach-seed0.safetensors \
	  world.dropout=0.05 eval.oracle_episodes=0 --json docs/results/eval-dropout-state.json
	$(BIN)/python run_agent.py eval configs/reach-filter.yaml --episodes 100 \
	  world.dropout=0.05 eval.oracle_episodes=0 --json docs/results/eval-dropout-filter.json
	$(BIN)/python run_agent.py eval configs/reach-pixels.yaml --episodes 200 --json docs/results/eval-reach-pixels.json
	$(BIN)/python run_agent.py eval configs/swingup-pixels.yaml --episodes 40 --json docs/results/eval-swingup-pixels.json
	$(BIN)/python run_agent.py eval configs/push-pixels.yaml --episodes 40 --json docs/results/eval-push-pixels.json
	$(BIN)/python run_agent.py eval configs/lab/rooms-pixels-hierarchical.yaml --episodes 40 --json docs/results/eval-rooms-pixels.json
	$(BIN)/python run_agent.py bench pixels configs/reach-pixels.yaml --checkpoint checkpoints/reach-pixels-seed0.safetensors train.explore.episodes=64 \
	  --json docs/results/pixels-probes.json --out docs/results/pixels.svg
	$(BIN)/python run_agent.py bench pixels configs/reach-pixels.yaml world.looks=3 train.explore.episodes=128 train.learner.steps=1200 --json docs/results/pixels-plain.json
	$(BIN)/python run_agent.py bench pixels configs/reach-pixels.yaml world.looks=3 train.explore.episodes=128 train.learner.steps=1200 perception.augment.shift=4 --json docs/results/pixels-shift.json
	$(BIN)/python run_agent.py bench pixels configs/reach-pixels.yaml world.looks=3 train.explore.episodes=128 train.learner.steps=1200 perception.augment.brightness=40 perception.augment.contrast=0.3 \
	  --json docs/results/pixels-photometric.json
	$(BIN)/python run_agent.py voe configs/toys.yaml --json docs/results/voe-toys.json --out docs/results/voe-toys.svg
	$(BIN)/python run_agent.py bench objectives configs/lab/reach.yaml --json docs/results/objectives-reach.json
	$(BIN)/python run_agent.py bench objectives configs/lab/reach-pixels.yaml --episodes 50 --json docs/results/objectives-reach-pixels.json
	$(BIN)/python run_agent.py bench learning configs/reach.yaml --json docs/results/learning.json
	$(BIN)/python run_agent.py bench watching configs/lab/watching.yaml --json docs/results/watching.json
	$(BIN)/python run_agent.py bench planner --json docs/results/planner.json
	$(BIN)/python run_agent.py bench pareto configs/reach.yaml --json docs/results/pareto-reach.json --out docs/results/pareto-reach.svg
	$(BIN)/python run_agent.py bench anytime configs/reach.yaml configurator.budget_ms=20 --json docs/results/anytime.json
	$(BIN)/python run_agent.py bench modes configs/lab/adaptive.yaml --episodes 60 gate.deadline_ms=1000 --json docs/results/modes-reach.json
	$(BIN)/python run_agent.py bench hierarchy configs/lab/rooms-hierarchical.yaml configs/rooms.yaml --episodes 40 eval.oracle_episodes=4 \
	  --json docs/results/hierarchy-rooms.json
	$(BIN)/python run_agent.py bench hierarchy configs/lab/rooms-hierarchical.yaml configs/lab/rooms-far.yaml --episodes 8 \
	  --json docs/results/hierarchy-rooms-far.json
	$(BIN)/python run_agent.py bench hierarchy configs/lab/rooms-three.yaml configs/rooms.yaml --episodes 40 $(THREE) \
	  --json docs/results/hierarchy-rooms-three.json
	$(BIN)/python run_agent.py bench hierarchy configs/lab/rooms-three.yaml configs/lab/rooms-short.yaml --episodes 40 $(THREE) \
	  --json docs/results/hierarchy-rooms-short.json
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/rooms-three.yaml train.levels.joint.steps=2000 --seed $$seed --half \
	  --out runs/rooms-three-joint-seed$$seed.safetensors --json docs/results/train-rooms-three-joint-seed$$seed.json || exit 1; done
	$(BIN)/python run_agent.py eval configs/lab/rooms-three.yaml train.levels.joint.steps=2000 --episodes 40 \
	  $(foreach s,0 1 2,--checkpoint runs/rooms-three-joint-seed$(s).safetensors) --json docs/results/eval-rooms-three-joint.json
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/lab/rooms-uncertain.yaml --seed $$seed --half \
	  --out runs/rooms-uncertain-seed$$seed.safetensors || exit 1; done
	$(BIN)/python run_agent.py eval configs/lab/rooms-uncertain.yaml --episodes 40 \
	  $(foreach s,0 1 2,--checkpoint runs/rooms-uncertain-seed$(s).safetensors) --json docs/results/eval-rooms-uncertain.json
	$(BIN)/python run_agent.py bench joint configs/lab/rooms-hierarchical.yaml world_model.levels.0.horizon=8 train.explore.episodes=320 \
	  train.learner.steps=900 train.learner.batch=64 train.levels.learner.steps=900 train.levels.learner.batch=64 \
	  train.levels.joint.steps=500 train.readouts.steps=300 train.levels.readouts.steps=300 --json docs/results/joint-rooms.json
	$(BIN)/python run_agent.py bench tick --json docs/results/bench-tick.json
	$(BIN)/python run_agent.py bench world --json docs/results/bench-world.json
	$(BIN)/python run_agent.py bench memory configs/reach.yaml --json docs/results/memory.json --out docs/results/memory.svg
	$(BIN)/python run_agent.py eval configs/lab/permanence.yaml --episodes 100 --json docs/results/eval-permanence.json
	$(BIN)/python run_agent.py eval configs/lab/permanence.yaml --episodes 100 memory.use=episodic --json docs/results/eval-permanence-forgetful.json
	$(BIN)/python run_agent.py eval configs/lab/permanence.yaml --episodes 100 perception.use=filter --json docs/results/eval-permanence-filter.json
	$(BIN)/python run_agent.py bench foresight configs/reach.yaml --json docs/results/foresight.json \
	  --out docs/results/foresight.svg
	for name in visit hover posture return park either wide gentle; do $(BIN)/python run_agent.py eval configs/tasks/$$name.yaml \
	  --episodes 40 eval.oracle_episodes=0 --json docs/results/task-$$name.json || exit 1; done
	$(BIN)/python run_agent.py eval configs/lead.yaml --episodes 720 eval.oracle_episodes=8 --json docs/results/eval-lead.json
	$(BIN)/python run_agent.py eval configs/stand.yaml --episodes 100 --json docs/results/eval-stand.json
	$(BIN)/python run_agent.py eval configs/swingup.yaml --episodes 320 eval.oracle_episodes=0 --json docs/results/eval-swingup.json
	$(BIN)/python run_agent.py eval configs/cliff.yaml --episodes 24 eval.oracle_episodes=4 --json docs/results/eval-cliff.json
	$(BIN)/python run_agent.py eval configs/push.yaml --episodes 40 eval.oracle_episodes=4 --json docs/results/eval-push.json
	$(BIN)/python run_agent.py eval configs/stand.yaml --episodes 100 eval.oracle_episodes=0 \
	  'configurator.weights={upright: 0.0, anticipation: 0.0}' --json docs/results/eval-stand-unwilling.json
	$(BIN)/python run_agent.py bench futures configs/lead.yaml train.learner.steps=4000 train.readouts.steps=1000 \
	  --json docs/results/futures.json --out docs/results/futures.svg
	for name in reach lead; do $(BIN)/python run_agent.py bench known configs/$$name.yaml \
	  --json docs/results/known-$$name.json || exit 1; done
	$(BIN)/python run_agent.py bench risk configs/lab/lead-risk.yaml --json docs/results/risk-lead.json
	$(BIN)/python run_agent.py energy configs/lead.yaml --json docs/results/energy-lead.json \
	  --out docs/results/energy-lead.svg
	$(BIN)/python run_agent.py energy configs/reach.yaml --json docs/results/energy-reach.json \
	  --out docs/results/energy-reach.svg
	$(BIN)/python run_agent.py bench continual configs/reach-adapting.yaml world.gain_scale=0.5 --lives 2 --episodes 12 \
	  --json docs/results/continual-gain.json --out docs/results/continual-gain.svg
	$(BIN)/python run_agent.py bench continual configs/reach-adapting.yaml world.mass_scale=2.0 --lives 2 --episodes 12 \
	  --json docs/results/continual-mass.json --out docs/results/continual-mass.svg
	for change in gain_scale=0.5 mass_scale=2.0; do $(BIN)/python run_agent.py bench sleep configs/reach-sleeping.yaml \
	  world.$$change --episodes 5 --json docs/results/sleep-$${change%%_*}.json --out docs/results/sleep-$${change%%_*}.svg || exit 1; done
	$(BIN)/python run_agent.py redteam configs/reach.yaml --episodes 70 --json docs/results/redteam-reach.json \
	  --out docs/results/redteam-reach.svg
	for part in faults modules tampering; do $(BIN)/python run_agent.py redteam $$part configs/reach.yaml \
	  --json docs/results/redteam-reach-$$part.json || exit 1; done
	for name in lead swingup stand; do $(BIN)/python run_agent.py redteam exploitation configs/$$name.yaml --episodes 70 \
	  --json docs/results/redteam-$$name.json || exit 1; done
	for name in lead swingup; do $(BIN)/python run_agent.py redteam frontier configs/$$name.yaml --episodes 70 \
	  --json docs/results/redteam-$$name-frontier.json || exit 1; done
	$(BIN)/python run_agent.py bench exploration configs/reach.yaml joint_angle joint_speed train.explore.episodes=192 \
	  train.learner.steps=1000 train.readouts.steps=500 'train.explore.curiosity={steps: 600, rounds: 3}' \
	  --json docs/results/exploration.json

scoreboard: $(READY)  ## all worlds, our agents and the baselines (a day; every run is kept, so it goes on where it was stopped)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check stable-baselines3==2.9.2
	$(BIN)/python run_agent.py scoreboard --budget 5,15,45 --json docs/results/scoreboard.json --out docs/results/scoreboard.svg

DMC_LONG := train.explore.episodes=100 train.explore.acting.rounds=5 train.explore.acting.steps=2000 train.learner.steps=8000 train.readouts.steps=4000

dmc: $(READY)  ## train tasks of the DeepMind Control Suite, three seeds each, and evaluate them (four hours)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check dm-control==1.0.50
	for name in cartpole-swingup reacher-easy ball_in_cup-catch walker-walk; do for seed in 0 1 2; do \
	  $(BIN)/python run_agent.py train configs/dmc/$$name.yaml --fresh --seed $$seed \
	  --json docs/results/train-dmc-$$name-seed$$seed.json || exit 1; done; \
	  $(BIN)/python run_agent.py eval configs/dmc/$$name.yaml --episodes 10 --json docs/results/dmc-$$name.json || exit 1; done
	$(BIN)/python run_agent.py eval configs/dmc/ball_in_cup-catch.yaml --episodes 10 eval.ticks=50 eval.oracle_episodes=10 \
	  --json docs/results/dmc-ball_in_cup-catch-oracle.json
	$(BIN)/python run_agent.py eval configs/dmc/ball_in_cup-catch.yaml --episodes 100 eval.ticks=50 \
	  --json docs/results/dmc-ball_in_cup-catch-starts.json
	for seed in 0 1 2; do $(BIN)/python run_agent.py train configs/dmc/cartpole-swingup.yaml --seed $$seed --fresh \
	  --out checkpoints/dmc-cartpole-swingup-100k-seed$$seed.safetensors $(DMC_LONG) \
	  --json docs/results/train-dmc-cartpole-swingup-100k-seed$$seed.json || exit 1; done
	$(BIN)/python run_agent.py eval configs/dmc/cartpole-swingup.yaml --episodes 10 $(DMC_LONG) \
	  'eval.checkpoints=[$(foreach s,0 1 2,checkpoints/dmc-cartpole-swingup-100k-seed$(s).safetensors,)]' --json docs/results/dmc-cartpole-swingup-100k.json

guide: $(READY)  ## train and measure the robots and the maze of docs/guides/bring-your-own.md (an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mujoco-menagerie==2026.10.4 gymnasium-robotics==1.4.2
	for name in arm ur5e maze; do for seed in 0 1 2; do \
	  $(BIN)/python run_agent.py train docs/examples/$$name.yaml --fresh --seed $$seed --json docs/results/train-$$name-seed$$seed.json || exit 1; done; \
	  $(BIN)/python run_agent.py eval docs/examples/$$name.yaml --episodes 100 --json docs/results/eval-$$name.json \
	  $(foreach s,0 1 2,--checkpoint runs/$$name-seed$(s).safetensors) || exit 1; done

combinations: $(READY)  ## agents put together at random: was every command judged? (an hour)
	$(BIN)/python -m tests.contract.combinations 10000 --json docs/results/combinations.json

mutation: $(READY)  ## put small faults into guardrails and gate, and see whether tests notice (an hour)
	$(BIN)/python -m tests.mutation --json docs/results/mutation.json

results: $(READY)  ## write the tables of README and the guide from docs/results/
	$(BIN)/python -c 'from agent.report import augmentations, planners, recipes, redteam, results, scoreboard; results.fill(); recipes.fill(); augmentations.fill(); planners.fill(); redteam.fill(); scoreboard.fill()'

clean:  ## remove the environment and all runs
	rm -rf $(VENV) runs
