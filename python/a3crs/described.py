"""Descriptions of settings' defaults and of presets for a person, as `--help` and `a3crs list` show them."""

from collections.abc import Sequence
from dataclasses import MISSING, Field
from typing import Any

from a3crs.presets import AUTO, PAPER, TABLE, Preset
from a3crs.setting import default_of, public_name


def described_default(f: "Field[Any]") -> str:
    """Returns the default: `5`, or `5, continuous 32; presets: ppo 128` where it differs between kinds and presets."""
    presets = _presets_of(f)
    if f.default is MISSING:  # a list or names with values, none of them by default; or there is no default
        return f"empty; {presets}" if presets else ""
    others = [f"{kind.name.lower()} {shown(value)}" for kind, value in f.metadata["elsewhere"].items()]
    usual = ", ".join([shown(f.default), *others])
    return f"{usual}; {presets}" if presets else usual


def shown(value: Any) -> str:
    """Returns a value as it is given on the command line, but with words for yes and no and commas in thousands."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def preset_lines() -> list[str]:
    """Returns the presets as `a3crs list` prints them: methods and environments, then each value with its source."""
    lines = [
        "A setting that is not given has its preset's default, and its usual one where the preset has none.",
        f"  --preset {AUTO} chooses the first of these that fits the method and the environment",
        f"  --preset {PAPER} chooses none of them: the defaults of a3crs list settings remain",
    ]
    for row in TABLE:
        width = max(map(len, row.values), default=0)
        width_of_values = max((len(shown(value.value)) for value in row.values.values()), default=0)
        lines += ["", f"{row.name}: {row.about}" + ("" if row.is_automatic else f"; only with --preset {row.name}")]
        lines += [f"  methods: {', '.join(sorted(row.algos))}; environments: {_environments(row)}"]
        for name, value in row.values.items():
            lines += [f"    {name:{width}}  {shown(value.value):{width_of_values}}  {value.source}"]
    return lines


def _environments(row: Preset) -> str:
    kinds = [kind.name.lower() for kind in sorted(row.kinds, key=lambda kind: kind.name)]
    others = [f"not {kind.name.lower()}" for kind in sorted(row.others, key=lambda kind: kind.name)]
    return ", ".join([*kinds, *others]) or "all"


def _presets_of(f: "Field[Any]") -> str:
    """Returns `presets: ppo 0.5, vectors 0`; empty where none changes the setting's default."""
    name = public_name(f)
    holders: dict[str, list[Preset]] = {}
    for row in TABLE:
        if name in row.values:
            holders.setdefault(shown(row.values[name].value), []).append(row)
    changed = {value: rows for value, rows in holders.items() if any(_changes(f, row) for row in rows)}
    parts = [f"{'/'.join(_named(f, rows))} {value}" for value, rows in changed.items()]
    return f"presets: {', '.join(parts)}" if parts else ""


def _named(f: "Field[Any]", rows: Sequence[Preset]) -> list[str]:
    """Returns a method's name for all of its presets where they are several, the names of the others that change it."""
    methods = []
    for algo in dict.fromkeys(algo for row in rows for algo in sorted(row.algos)):
        made = [row for row in TABLE if row.is_automatic and algo in row.algos]
        if len(made) > 1 and all(row in rows for row in made):
            methods.append(algo)
    alone = [row for row in rows if not (row.is_automatic and row.algos <= set(methods))]
    return [*methods, *(row.name for row in alone if _changes(f, row))]


def _changes(f: "Field[Any]", row: Preset) -> bool:
    """Returns true where the preset's default is another than the setting's own in some environment that it fits."""
    value = row.values[public_name(f)].value
    possible = [set(row.kinds), *({*row.kinds, kind} for kind in f.metadata["elsewhere"] if kind not in row.others)]
    return any(default_of(f, kinds) != value for kinds in possible)
