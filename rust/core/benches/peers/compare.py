"""Comparison of a3crs with Stable-Baselines3's A2C and a plain PyTorch A3C on this machine.

The three run in turn; medians and ratios are printed.

The peers have a virtual environment of their own; a3crs is the one on the path:

    python3 -m venv .venv-peers
    .venv-peers/bin/pip install torch stable-baselines3 gymnasium 'ale-py>=0.12.1,<0.13' opencv-python-headless
    python rust/core/benches/peers/compare.py --peers .venv-peers/bin/python
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def ours(game: str, secs: float) -> float:
    """Returns agent steps per second of 16 actors, t_max 5.

    `a3crs bench` measures the emulator alone for half of the time.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "bench.json"
        command = ["a3crs", "bench", "--env", game, "--actors", "16", "--secs", str(2 * secs), "--json", str(figures)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rate: float = json.loads(figures.read_text())["rows"][0]["train_steps_per_sec"]
    return rate


def peer(python: str, script: str, game: str, secs: float) -> float:
    """Returns the agent steps per second that a script of this folder prints."""
    command = [python, str(HERE / script), "--game", game, "--secs", str(secs)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(printed.split()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="the peers' Python")
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--secs", type=float, default=20, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    game, secs = arguments.game, arguments.secs
    rates: dict[str, list[float]] = {"a3crs": [], "Stable-Baselines3 A2C": [], "PyTorch A3C": []}
    for _ in range(arguments.rounds):
        rates["a3crs"].append(ours(game, secs))
        rates["Stable-Baselines3 A2C"].append(peer(arguments.peers, "sb3_a2c.py", game, secs))
        rates["PyTorch A3C"].append(peer(arguments.peers, "torch_a3c.py", game, secs))
    print(f"{game}, 16 environments, t_max 5, agent steps a second (medians of {arguments.rounds})")
    for name, measured in rates.items():
        ratios = [mine / theirs for mine, theirs in zip(rates["a3crs"], measured, strict=True)]
        print(f"{name:24}{statistics.median(measured):8,.0f}   a3crs is {statistics.median(ratios):5.1f} times as fast")
