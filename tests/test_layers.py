"""Dependencies between the Python files, as in the architecture: read from the source, including lazy imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "python"
LONGEST = 400  # lines of a file

# Import cycles that remain; an entry that is no cycle any more fails.
CIRCLES: set[frozenset[str]] = set()

# Modules, and those they may import besides themselves and the standard library.
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "published": {"errors"},
    "runlog": {"errors", "files", "published", "rundir.names"},
    "rundir.names": set(),
    "report": {"agent", "errors", "files", "rundir", "runlog", "video", "wording"},
    "export": {"agent", "checkpoint", "envs", "errors", "files", "rundir", "runlog"},
}
# Modules, and those they may never import.
FORBIDDEN = {
    "envs": {"agent", "cli", "paper", "rundir", "runlog", "sweep", "training"},
    "rundir": {"agent", "cli", "envs", "paper", "runlog", "sweep", "training"},
    "sweep": {"agent", "cli", "paper"},
    "paper": {"cli"},
    "training": {"agent", "cli", "paper", "runlog", "sweep"},
}
FILE_NAME = re.compile(r"\w+\.jsonl|(config|meta)\.json|\w*\.safetensors|failure\.txt|checkpoints|lock")


def modules():
    found = {}
    for path in sorted((SOURCE / "a3crs").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path):
    """Returns the modules that a file imports anywhere, including those for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES or name == "a3crs._core" else node.module for name in inner}
    return {name for name in found if name.startswith("a3crs")}


GRAPH = {name: imports(path) for name, path in MODULES.items()}


def reached(start, graph):
    seen, waiting = set(), list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return seen


def circles(graph):
    reach = {name: reached(name, graph) for name in graph}
    every = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in graph}
    return {circle for circle in every if circle}


def in_room(name, room):
    return name == f"a3crs.{room}" or name.startswith(f"a3crs.{room}.")


def test_a_circle_of_three_files_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}


def test_no_files_import_one_another_in_a_circle():
    assert circles(GRAPH) == CIRCLES


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_what_it_may(room):
    files = [name for name in GRAPH if in_room(name, room)]
    assert files
    beyond = {
        used for name in files for used in GRAPH[name] if not any(in_room(used, r) for r in (room, *ALLOWED[room]))
    }
    assert not {used for used in beyond if used != "a3crs.rundir" or "rundir.names" not in ALLOWED[room]}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_does_not_import_those_above_it(room):
    files = [name for name in GRAPH if in_room(name, room)]
    assert files
    assert not {used for name in files for used in GRAPH[name] if any(in_room(used, r) for r in FORBIDDEN[room])}


def test_the_run_directory_alone_spells_the_names_of_its_files():
    spelled = set()
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        spelled |= {(name, text) for text in texts if FILE_NAME.fullmatch(text)}
    assert {name for name, _ in spelled} == {"a3crs.rundir.names"}, spelled


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_short_enough_to_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "modules", ["runlog", "runlog.load, a3crs.runlog.comparison", "runlog.figures", "published.paper"]
)
def test_logs_are_read_without_the_core_and_the_environments(modules):
    program = f"import sys, a3crs.{modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "a3crs.published" in loaded or "a3crs.runlog" in loaded
    assert not {name for name in loaded if name in ("a3crs._core", "a3crs.config") or name.startswith("a3crs.envs")}
