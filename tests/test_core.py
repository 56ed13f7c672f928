"""Comparison of the hand-written stub `_core.pyi` with the compiled module."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import a3crs
from a3crs import _core
from a3crs.envs.gym import own_family
from a3crs.errors import CheckpointError, ConfigError

STUB = ast.parse((Path(a3crs.__file__).parent / "_core.pyi").read_text(encoding="utf-8"))
FUNCTIONS = {node.name: [arg.arg for arg in node.args.args] for node in STUB.body if isinstance(node, ast.FunctionDef)}


def test_the_stub_names_exactly_what_the_module_has():
    values = {node.target.id for node in STUB.body if isinstance(node, ast.AnnAssign)}
    public = {name for name in dir(_core) if not name.startswith("_")} | {"__version__"}
    classes = {node.name for node in STUB.body if isinstance(node, ast.ClassDef)}
    assert public == values | set(FUNCTIONS) | classes


def test_a_class_has_exactly_the_methods_of_the_stub():
    for node in STUB.body:
        if isinstance(node, ast.ClassDef):
            methods = {m.name for m in node.body if isinstance(m, ast.FunctionDef) and m.name != "__init__"}
            assert {name for name in dir(getattr(_core, node.name)) if not name.startswith("_")} == methods


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_are_those_of_the_stub(name):
    assert list(inspect.signature(getattr(_core, name)).parameters) == FUNCTIONS[name]


def test_the_chosen_instruction_set_is_one_of_the_usable_ones():
    assert _core.isa() in _core.available_isas()
    assert "scalar" in _core.available_isas()


def test_a_wrong_instruction_set_is_refused_in_one_sentence(tmp_path):
    # A subprocess, because the instruction set is chosen once in a process.
    arguments = ["-m", "a3crs", "train", "--env", "CartPole-v1", "--out", str(tmp_path / "run")]
    environment = os.environ | {"A3CRS_ISA": "mmx"}
    process = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr.startswith("a3crs: error: ")
    assert "mmx" in process.stderr
    assert process.stderr.count("\n") == 1


def test_no_value_is_torn():
    result = _core.tear_test(0.2)
    assert result["reads"] > 0
    assert result["torn"] == 0


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b'\x08\0\0\0\0\0\0\0{"a":1}'])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "latest.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        _core.read_checkpoint(str(path))
    assert str(path) in str(refusal.value)


def test_a_setting_the_core_does_not_know_or_lacks_is_refused(recall, recall_config, tmp_path):
    complete = recall_config.with_usual_defaults()
    family = own_family(recall, complete)
    lacking = complete.core_json().replace('"gamma": 0.99,', "")
    unknown = complete.core_json().replace('"gamma"', '"gama": 1, "gamma"')
    for config in (lacking, unknown):
        with pytest.raises(ConfigError, match="gam"):
            _core.train(config, family.spec.to_json(), family.make, str(tmp_path), lambda row: None, print, None)
