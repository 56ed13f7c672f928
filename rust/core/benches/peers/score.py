"""Comparison of score against minutes: `a3crs train --algo ppo` with Stable-Baselines3's PPO and A2C on this machine.

The libraries run one after the other, each on all cores. Time is that of the clock from a process's start, so imports
count; the score is the mean return of the last 100 training episodes. Each run writes a file of JSON lines; a table of
them is printed. The zoo's settings, with which Stable-Baselines3 runs, are in zoo.py.

The peers have a virtual environment of their own, whose Python runs this script or is given by --peers:

    python3 -m venv .venv-peers
    .venv-peers/bin/pip install torch stable-baselines3 'gymnasium[box2d,mujoco]' ale-py opencv-python-headless
    .venv-peers/bin/pip install matplotlib
    .venv-peers/bin/python rust/core/benches/peers/score.py --env CartPole-v1 --seeds 0 --plot cartpole.png
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import zoo

HERE = Path(__file__).parent
LIBRARIES = ("a3crs", "sb3-ppo", "sb3-a2c")
STOP_SECS = 120  # for an update that is under way, and for a3crs to save
COLOURS = {"a3crs": "tab:red", "sb3-ppo": "tab:blue", "sb3-a2c": "tab:green"}

Row = dict[str, Any]


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warn_of_load() -> None:
    """Prints a warning where something else runs, which slows torch's threads out of proportion."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is not idle (load {load:.1f}): this is no fair comparison", file=sys.stderr)


def file_of(folder: Path, env: str, library: str, seed: int) -> Path:
    return folder / f"{env}-{library}-{seed}.jsonl"


def rows_of(path: Path) -> list[Row]:
    # A last line without its end is still being written.
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def finish(process: subprocess.Popen[bytes], name: str, secs: float, *, is_interrupted: bool = False) -> None:
    """Waits for a process's end; leaves where it failed by itself."""
    try:
        code = process.wait(secs)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"{name} did not end in time and was killed", file=sys.stderr)
        return
    if code and not is_interrupted:
        raise SystemExit(f"{name} failed: exit status {code}")


def run_a3crs(arguments: argparse.Namespace, seed: int, out: Path) -> None:
    """Trains with a3crs and writes its rows, their time moved by the seconds before its own clock started."""
    secs = 60 * max(arguments.minutes)
    steps = arguments.steps or zoo.PPO[arguments.env].steps
    run = out.with_suffix("")
    shutil.rmtree(run, ignore_errors=True)  # a3crs trains into a new directory only
    command = [arguments.a3crs, "train", "--algo", "ppo", "--env", arguments.env, "--seed", str(seed)]
    command += ["--steps", str(steps), "--out", str(run), "--quiet"]
    since = time.time()
    process = subprocess.Popen(command)
    progress, start_up = run / "progress.jsonl", None
    while process.poll() is None and time.time() - since < secs:
        if start_up is None and progress.exists() and (rows := rows_of(progress)):
            start_up = time.time() - since - rows[-1]["secs"]
        time.sleep(0.02)
    elapsed = time.time() - since
    is_interrupted = process.poll() is None
    if is_interrupted:
        process.send_signal(signal.SIGINT)
    finish(process, "a3crs", STOP_SECS, is_interrupted=is_interrupted)
    rows = rows_of(progress) if progress.exists() else []
    if start_up is None:  # a run so short that no row was seen before its end
        start_up = max(0.0, elapsed - rows[-1]["secs"]) if rows else 0.0
    base = {"library": "a3crs", "env": arguments.env, "seed": seed}
    with out.open("w") as file:
        for row in rows:
            taken = {"secs": start_up + row["secs"], "frames": row["frames"]}
            file.write(json.dumps(base | taken | {"return_mean_100": row.get("return_mean_100")}) + "\n")


def run_sb3(arguments: argparse.Namespace, algo: str, seed: int, out: Path) -> None:
    """Trains with Stable-Baselines3, which writes its rows itself."""
    secs = 60 * max(arguments.minutes)
    command = [arguments.peers, str(HERE / "sb3_score.py"), "--algo", algo, "--env", arguments.env]
    command += ["--seed", str(seed), "--secs", str(secs), "--threads", str(arguments.threads), "--out", str(out)]
    if arguments.peer_steps:
        command += ["--steps", str(arguments.peer_steps)]
    process = subprocess.Popen([*command, "--since", str(time.time())])
    finish(process, f"sb3-{algo}", secs + STOP_SECS)  # it ends by itself, once its update is done


def score_at(rows: list[Row], secs: float) -> float | None:
    """Returns the score of the last row up to that time; a run that ended before keeps its last one."""
    until = [row for row in rows if row["secs"] <= secs]
    return until[-1]["return_mean_100"] if until else None


def table(runs: dict[tuple[str, int], list[Row]], minutes: list[float]) -> str:
    """Returns a row for each run, and the mean of a library's seeds where it has several."""
    header = f"{'library':10}{'seed':>6}" + "".join(f"{f'{m:g} min':>11}" for m in minutes)
    lines = [header + f"{'frames':>14}{'trained':>12}"]

    def line(library: str, seed: str, scores: list[float | None]) -> str:
        return f"{library:10}{seed:>6}" + "".join(f"{'-' if s is None else f'{s:,.1f}':>11}" for s in scores)

    for library in dict.fromkeys(library for library, _ in runs):
        scores = {
            seed: [score_at(rows, 60 * m) for m in minutes] for (name, seed), rows in runs.items() if name == library
        }
        for seed, of_seed in scores.items():
            last = [row for row in runs[library, seed] if row["secs"] <= 60 * max(minutes)][-1:]
            end = "".join(f"{row['frames']:>14,}{row['secs'] / 60:>8.2f} min" for row in last)
            lines.append(line(library, str(seed), of_seed) + end)
        if len(scores) > 1:
            columns = [[s for s in column if s is not None] for column in zip(*scores.values(), strict=True)]
            # A mean over only those seeds that have finished an episode would compare unlike things.
            means = [statistics.mean(c) if len(c) == len(scores) else None for c in columns]
            lines.append(line(library, "mean", means))
    return "\n".join(lines)


def plot(runs: dict[tuple[str, int], list[Row]], env: str, minutes: float, path: Path) -> None:
    """Draws the score of each run against minutes, a colour for each library."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    labelled: set[str] = set()
    for (library, _), rows in runs.items():
        shown = [row for row in rows if row["secs"] <= 60 * minutes and row["return_mean_100"] is not None]
        label = None if library in labelled else library
        labelled.add(library)
        x, y = [row["secs"] / 60 for row in shown], [row["return_mean_100"] for row in shown]
        axes.plot(x, y, color=COLOURS[library], label=label, linewidth=1.5)
        if shown and x[-1] < minutes:  # a run that ended early keeps its score
            axes.plot([x[-1], minutes], [y[-1], y[-1]], color=COLOURS[library], linewidth=1, linestyle=":")
    axes.set(title=env, xlabel="minutes, start-up included", ylabel="mean return of the last 100 training episodes")
    axes.set_xlim(0, minutes)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", required=True, choices=zoo.ENVS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[0.25, 3, 5, 10], help="a run lasts for the longest"
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--steps", type=int, help="a3crs's length in agent steps; default: that of the zoo's PPO")
    parser.add_argument("--peer-steps", type=int, help="Stable-Baselines3's length; default: each method's of the zoo")
    parser.add_argument("--threads", type=int, default=cores(), help="torch's; default: the number of cores")
    parser.add_argument("--a3crs", default="a3crs", help="the command; default: the one on the path")
    parser.add_argument("--peers", default=sys.executable, help="the peers' Python; default: this one")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/peers"), help="folder of the runs; replaces what it has of them"
    )
    parser.add_argument("--plot", type=Path, help="picture of score against minutes")
    parser.add_argument("--report", action="store_true", help="no run: table and picture of the files that are there")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    env, minutes = arguments.env, sorted(arguments.minutes)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        warn_of_load()
    wanted = [(library, seed) for seed in arguments.seeds for library in arguments.libraries]
    for library, seed in [] if arguments.report else wanted:
        print(f"{env}: {library}, seed {seed}, up to {max(minutes):g} minutes", file=sys.stderr, flush=True)
        path = file_of(arguments.out, env, library, seed)
        if library == "a3crs":
            run_a3crs(arguments, seed, path)
        else:
            run_sb3(arguments, library.removeprefix("sb3-"), seed, path)
    paths = {(library, seed): file_of(arguments.out, env, library, seed) for library, seed in wanted}
    runs = {run: rows_of(path) for run, path in paths.items() if path.exists()}
    print(f"{env}, {cores()} cores: mean return of the last 100 training episodes")
    print(table(runs, minutes))
    if arguments.plot:
        plot(runs, env, max(minutes), arguments.plot)


if __name__ == "__main__":
    main()
