"""Attributes of a package that are imported when they are first asked for (PEP 562)."""

from importlib import import_module
from typing import Any


def attribute(package: str, modules: dict[str, str], name: str) -> Any:
    """Returns `name` from the module of the package that `modules` says has it; AttributeError for any other name."""
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"{package}.{modules[name]}"), name)
