"""Commands about the installation."""

from typing import Annotated

import typer

from a3crs.errors import ConfigError, did_you_mean


def doctor(
    fix_hint: Annotated[
        str | None,
        typer.Option(
            help="Only print what installs a domain's needs: torcs, labyrinth, carracing.", show_default=False
        ),
    ] = None,
) -> None:
    """Check this installation: processor, packages, games, and a one-second self-test."""
    from a3crs.doctor import examine, what_to_install

    if fix_hint is not None:
        print(what_to_install(fix_hint))
        return
    sick = False
    for finding in examine():
        print(f"{'FAIL' if finding.cure else 'ok':4}  {finding.name}: {finding.detail}", flush=True)
        if finding.cure:
            print(f"      {finding.cure}")
            sick = True
    raise typer.Exit(1 if sick else 0)


def list_choices(
    kind: Annotated[
        str | None, typer.Argument(help="algos, nets, optimizers, settings, presets or envs.", show_default=False)
    ] = None,
) -> None:
    """List the methods, networks, optimizers, settings, presets or environments there are, with their sources."""
    from a3crs import _core
    from a3crs.described import preset_lines
    from a3crs.wording import catalogue_lines, game_lines, setting_lines

    catalogue = _core.catalogue()
    if kind in catalogue:
        print(*catalogue_lines(catalogue[kind]), sep="\n")
    elif kind == "settings":
        print(*setting_lines(), sep="\n")
    elif kind == "presets":
        print(*preset_lines(), sep="\n")
    elif kind == "envs":
        print(*game_lines(), sep="\n")
    else:
        kinds = [*catalogue, "settings", "presets", "envs"]
        nothing = "Say what to list" if kind is None else f"There is no list of {kind!r}{did_you_mean(kind, kinds)}"
        raise ConfigError(f"{nothing}: {', '.join(kinds)}.")
