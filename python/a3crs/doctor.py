"""`a3crs doctor`: checks of the installation and the machine, each failure with its cure."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from a3crs.errors import ConfigError, did_you_mean, listed


@dataclass(frozen=True)
class Finding:
    """Result of one check; `cure` is empty where nothing is wrong."""

    name: str
    detail: str
    cure: str = ""


def what_to_install(domain: str) -> str:
    """Returns the command that installs a domain's dependencies; ConfigError for a domain without any."""
    from a3crs.envs.domain import rows

    hints = {domain.name.lower(): domain.install for domain in rows() if domain.install}
    if domain.lower() not in hints:
        near = did_you_mean(domain, hints)
        raise ConfigError(f"There is no hint for {domain!r}{near}; there are ones for {listed(hints)}.")
    return hints[domain.lower()]


def examine() -> Iterator[Finding]:
    """Runs all checks in turn; an unexpected exception is a finding as well."""
    for examination in (_core_module, _processor, _packages, _games, _shared_memory, _emulator):
        yield _guarded(examination)


def _guarded(examination: Callable[[], Finding]) -> Finding:
    name = examination.__name__.strip("_").replace("_", " ")
    try:
        return examination()
    except ConfigError as e:
        return Finding(name, "not usable", str(e))
    except Exception as e:
        return Finding(name, f"{type(e).__name__}: {e}", "Install a3crs again: pip install --force-reinstall a3crs.")


def _core_module() -> Finding:
    from a3crs import _core

    detail = f"a3crs {_core.__version__}, {_core.build_profile} build"
    if _core.build_profile != "release":
        return Finding("core module", detail, "A debug build is many times slower: run maturin develop --release.")
    return Finding("core module", detail)


def _processor() -> Finding:
    from a3crs import _core, rundir

    usable = ", ".join(_core.available_isas())
    return Finding("processor", f"{rundir.cpu_name()}, kernels for {_core.isa()} (usable: {usable})")


def _packages() -> Finding:
    from a3crs import rundir

    versions = rundir.versions()
    missing = [name for name, version in versions.items() if version is None]
    detail = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Finding("packages", detail, f"Install what is missing: pip install {' '.join(missing)}." if missing else "")


def _games() -> Finding:
    from ale_py import roms

    from a3crs.published.atari57 import references

    missing = [game for game in references() if roms.get_rom_path(game) is None]
    found = f"{len(references()) - len(missing)} of {len(references())} benchmark games"
    return Finding("games", found, "Install the games again: pip install --force-reinstall ale-py." if missing else "")


def _shared_memory() -> Finding:
    from a3crs import _core

    try:
        result = _core.tear_test(0.7)
    except ConfigError:  # A3CRS_ISA is wrong, which the check of the processor reports
        return Finding("shared memory", "not examined: see processor")
    detail = f"{result['reads']:,} racing reads, {result['torn']} torn"
    cure = f"This {platform.machine()} processor tears vector stores: set A3CRS_ISA=scalar." if result["torn"] else ""
    return Finding("shared memory", detail, cure)


def _emulator() -> Finding:
    from a3crs.config import RunConfig
    from a3crs.envs import Mode, resolve

    family = resolve(RunConfig(env="Pong"), Mode.TRAINING)
    first, second = family.make(0), family.make(1)
    first.reset(seed=1)
    second.reset(seed=1)
    for step in range(20):
        if (first.step(step % 6)[0] != second.step(step % 6)[0]).any():
            return Finding("emulator", "two games with one seed differ", "Install ale-py again: pip install ale-py.")
    return Finding("emulator", "Pong plays, and one seed gives one game")
