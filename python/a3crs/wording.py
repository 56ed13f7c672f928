"""Texts that commands print about their results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3crs.rundir.names import RESTARTS

if TYPE_CHECKING:
    import polars as pl

BENCH_SHARES = ("share_env", "share_forward", "share_backward", "share_update", "share_waiting")


def number(value: float | None, spec: str) -> str:
    """Returns the formatted value; `-` for None."""
    return "-" if value is None else format(value, spec)


def counted(count: int, thing: str) -> str:
    """Returns `1 episode`, `2 episodes`, `1,000 episodes`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def result_lines(run: Path, summary: dict[str, Any]) -> list[str]:
    """Returns the summary of a run that has ended, and the command for the next step."""
    speed = summary["frames"] / summary["secs"] if summary["secs"] else 0.0
    lines = [
        f"{counted(summary['frames'], 'frame')}, {counted(summary['episodes'], 'episode')}, "
        f"{counted(summary['updates'], 'update')} in {summary['secs']:,.0f} s ({speed:,.0f} frames/s)",
        f"return of the last 100 episodes: mean {number(summary['return_mean_100'], '.1f')}, "
        f"best {number(summary['return_best_100'], '.1f')}",
        f"evaluate with: a3crs eval {run}",
    ]
    if summary["refused_updates"]:
        lines.insert(1, f"{counted(summary['refused_updates'], 'update')} refused: the gradients were not finite")
    if summary["env_restarts"]:
        lines.insert(1, f"{counted(summary['env_restarts'], 'environment restart')}: see {run / RESTARTS}")
    return lines


def episode_line(episode: dict[str, Any]) -> str:
    """Returns the line of one game of an evaluation."""
    return f"episode {episode['episode'] + 1}: {episode['return']:g} in {counted(episode['length_steps'], 'step')}"


def evaluation_lines(row: dict[str, Any]) -> list[str]:
    """Returns an evaluation as `a3crs eval` prints it."""
    lines = [
        f"{counted(row['episodes'], 'episode')} at {counted(row['frames'], 'frame')}, {row['policy']} policy",
        f"mean {row['mean']:.1f} (standard error {number(row['stderr'], '.1f')}), median {row['median']:.1f}",
    ]
    if row["human_normalised"] is not None:
        lines.append(f"human-normalised {row['human_normalised']:.1f} %")
    return lines


def catalogue_lines(entries: Sequence[dict[str, str]]) -> list[str]:
    """Returns the core's catalogue of one kind as `a3crs list` prints it: name, description, section of the paper."""
    columns = [[entry[key] for entry in entries] for key in ("name", "what", "paper")]
    widths = [max(map(len, column)) for column in columns]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns, strict=True)]


def setting_lines() -> list[str]:
    """Returns every setting, in the groups of `--help`: its default with the exceptions, its meaning and its source."""
    from dataclasses import fields

    from a3crs.config import RunConfig
    from a3crs.described import described_default
    from a3crs.setting import public_name

    lines = []
    for group in dict.fromkeys(f.metadata["group"] for f in fields(RunConfig)):
        lines += ["", f"{group}:"]
        for f in fields(RunConfig):
            if f.metadata["group"] == group:
                default = described_default(f)
                lines += [f"  {public_name(f)}" + (f" = {default}" if default else "")]
                lines += [f"      {f.metadata['what']}", f"      source: {f.metadata['source']}"]
    notes = ["[P] is the paper (arXiv 1602.01783v2), [E] an e-mail of its authors."]
    notes += ["The presets' sources are in a3crs list presets."]
    return [*lines[1:], "", *notes]


def game_lines() -> list[str]:
    """Returns the Atari games, then the domains and the command that installs each."""
    from a3crs.envs.atari import display_name, games
    from a3crs.envs.domain import rows
    from a3crs.published.atari57 import references

    lines = [f"{'*' if game in references() else ' '} {display_name(game)}" for game in games()]
    domains = [(domain.name, domain.about, domain.install or "comes with a3crs") for domain in rows()]
    widths = [max(map(len, column)) for column in zip(*domains, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in domains]
    return [*lines, "", "A star marks the paper's 57.", "", *table]


def bench_header() -> str:
    """Returns the head of the table of `a3crs bench`."""
    shares = "".join(f"{share.removeprefix('share_'):>10}" for share in BENCH_SHARES)
    return f"{'actors':>6}{'emulator/s':>12}{'training/s':>12}{'ratio':>8}{shares}"


def bench_line(row: dict[str, Any]) -> str:
    """Returns the table's line for one number of actors; speeds are in agent steps."""
    shares = "".join(f"{row[share]:>10.1%}" for share in BENCH_SHARES)
    speeds = f"{row['emulator_steps_per_sec']:>12,.0f}{row['train_steps_per_sec']:>12,.0f}"
    return f"{row['actors']:>6}{speeds}{row['ratio']:>8.2f}{shares}"


def bench_footer(figures: dict[str, Any]) -> str:
    """Returns the times of the network alone."""
    network = figures["network"]
    return (
        f"one forward {network['forward_us']:.0f} us, one update {network['update_us']:.0f} us on one thread "
        f"({figures['isa']}, {figures['cores']} cores)"
    )


def comparison_lines(results: "pl.DataFrame", differences: "pl.DataFrame") -> list[str]:
    """Returns the text of `a3crs compare`: each side's result and cost, then the settings in which the sides differ."""
    heads = ("runs", "score", "95 % interval", "human %", "frames", "hours", "frames/s")
    several = results["env"].n_unique() > 1
    rows: list[Sequence[str]] = [("", *heads)]
    for row in results.iter_rows(named=True):
        interval = "-" if row["low"] is None else f"{row['low']:.1f} to {row['high']:.1f}"
        what = [number(row["score"], ".1f"), interval, number(row["human_normalised"], ".1f")]
        took = [number(row["frames"], ",.0f"), number(row["hours"], ".3g"), number(row["frames_per_sec"], ",.0f")]
        name = f"{row['label']}, {row['env']}" if several else row["label"]
        rows.append((name, str(row["runs"]), *what, *took))
    lines = [*_aligned(rows), "", "score: mean of the last 100 episodes; of several runs, their interquartile mean"]
    if differences.height:
        lines += ["", *_aligned([tuple(differences.columns), *differences.fill_null("several").iter_rows()])]
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = [row[0].ljust(widths[0]) for row in rows]
    others = ["".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)) for row in rows]
    return [(name + rest).rstrip() for name, rest in zip(first, others, strict=True)]
