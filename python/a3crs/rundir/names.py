"""Names of the files in a run's directory. Every other module takes them from here.

The core writes the three logs of `REWOUND` and the checkpoints, under these names.
"""

from pathlib import Path

CONFIG = "config.json"  # the complete settings
META = "meta.json"  # one entry for each time the run was started or resumed
LOCK = "lock"  # held by the process that trains

EPISODES = "episodes.jsonl"
PROGRESS = "progress.jsonl"
INCIDENTS = "incidents.jsonl"
EVALS = "evals.jsonl"
RESTARTS = "restarts.jsonl"  # no file where no worker process was restarted
REWOUND = (EPISODES, PROGRESS, INCIDENTS)  # cut back to the checkpoint from which a run is resumed

CHECKPOINTS = "checkpoints"
LATEST = "latest.safetensors"
VIDEOS = "videos"
EXPORTS = "exports"
TENSORBOARD = "tensorboard"
FAILURE = "failure.txt"  # of a sweep's trial that has failed

_STEP, _SAFETENSORS = "step_", ".safetensors"


def is_run(directory: Path) -> bool:
    """Returns True for a directory with a config.json."""
    return (directory / CONFIG).is_file()


def run_of(path: Path) -> Path:
    """Returns the run's directory of a path that may be one of its checkpoints."""
    return path.parent.parent if path.parent.name == CHECKPOINTS else path


def step_name(steps: int, suffix: str) -> str:
    """Returns the name of a file made of the parameters at step T: `step_0000010000.mp4`."""
    return f"{_STEP}{steps:010}.{suffix}"


def numbered_checkpoints(directory: Path) -> list[Path]:
    """Returns the checkpoints named after their step, the newest first."""
    return sorted((directory / CHECKPOINTS).glob(f"{_STEP}*{_SAFETENSORS}"), reverse=True)


def checkpoint_steps(directory: Path) -> list[int]:
    """Returns the steps at which there are checkpoints, ascending."""
    numbers = (path.stem.removeprefix(_STEP) for path in numbered_checkpoints(directory))
    return sorted(int(number) for number in numbers if number.isdecimal())
