"""Lazy attributes of a package: each is imported at its first use (PEP 562)."""

from importlib import import_module
from typing import Any


def attribute(package: str, modules: dict[str, str], name: str) -> Any:
    """Returns `name` from the module that `modules` has for it; raises AttributeError for any other name."""
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(import_module(f"{package}.{modules[name]}"), name)
