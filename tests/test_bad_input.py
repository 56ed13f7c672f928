"""Wrong input and damaged files, and the one-sentence error for each."""

import json
import re
import shlex
import shutil
from pathlib import Path

import gymnasium
import pytest

import a3crs as a3crs_package
from a3crs.cli import run
from a3crs.runlog import load

# Settings files, by name.
FILES = {
    "list.json": b"[1]",
    "nan.json": b'{"env": "CartPole-v1", "lr": NaN}',
    "null.json": b'{"env": null}',
    "twice.json": b'{"env": "Pong", "lr": 1, "lr": 2}',
    "deep.json": b"[" * 100_000,
    "digits.json": b'{"env": "Pong", "seed": ' + b"9" * 5000 + b"}",
    "syntax.toml": b'env = "Pong\n',
    "twice.toml": b"lr = 1\nlr = 2\n",
    "latin.toml": 'env = "Pöng"\n'.encode("latin-1"),
    "mark.toml": '\ufeffenv = "Pogn"\n'.encode(),
    "table.toml": b'[train]\nenv = "Pong"\n',
    "type.toml": b"env = 3\n",
    "foreign.toml": b'env = "Pong"\nlearning_rate = 1e-3\n',
    "settings.yaml": b"env: Pong\n",
}


def _settings(**changed):
    def damage(run):
        path = run / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return damage


def _file(name, content):
    def damage(run):
        if content is None:
            (run / name).unlink(missing_ok=True)
            (run / name).mkdir()
        else:
            (run / name).write_bytes(content)

    return damage


def _checkpoints(damaged):
    def damage(run):
        for path in (run / "checkpoints").iterdir():
            content = damaged(path.read_bytes())
            path.unlink()
            path.mkdir() if content is None else path.write_bytes(content)

    return damage


# Damage to copies of an unfinished run, by the copy's name.
DAMAGE = {
    "whole": lambda run: None,
    "config-cut": lambda run: (run / "config.json").write_bytes((run / "config.json").read_bytes()[:100]),
    "config-list": _file("config.json", b"[1, 2]"),
    "config-folder": _file("config.json", None),
    "other-net": _settings(net="lstm"),
    "other-algo": _settings(algo="n-step-q"),
    "other-env": _settings(env="Acrobot-v1"),
    "foreign-setting": _settings(gama=1),
    "wrong-setting": _settings(gamma=7),
    "cut": _checkpoints(lambda content: content[:500]),
    "text": _checkpoints(lambda content: b"hello"),
    "pickle": _checkpoints(lambda content: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94."),
    "flipped": _checkpoints(lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]),
    "folders": _checkpoints(lambda content: None),
    "none": lambda run: shutil.rmtree(run / "checkpoints"),
    "log-text": _file("episodes.jsonl", b"hello\n"),
    "log-type": _file("episodes.jsonl", b'{"steps": "many"}\n'),
    "log-list": _file("progress.jsonl", b"[1]\n"),
    "log-bytes": _file("episodes.jsonl", bytes(range(256)) + b"\n"),
    "log-device": lambda run: ((run / "progress.jsonl").unlink(), (run / "progress.jsonl").symlink_to("/dev/full")),
    "log-folder": _file("episodes.jsonl", None),
    "meta-text": _file("meta.json", b"{"),
    "meta-number": _file("meta.json", b'{"sessions": 3}'),
    "meta-list": _file("meta.json", b"[]"),
    "lock-folder": _file("lock", None),
}

# Importable module with environments that cannot be trained on; each registers under its name.
MODULE = """
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Graph, OneOf, Sequence, Text, Tuple

ONE = Box(0, 1, (3,))
ZEROS = np.zeros(3, np.float32)


class Odd(gymnasium.Env):
    def __init__(
        self, observation=ONE, action=Discrete(2), shown=None, reward=0.0, made=True, reset=None, step=None, info={}
    ):
        if not made:
            raise OSError("the simulator is not installed")
        self.observation_space, self.action_space, self.shown, self.reward = observation, action, shown, reward
        self.info = info
        if reset:
            self.reset = reset
        if step:
            self.step = step

    def show(self):
        return np.zeros(3, np.float32) if self.shown is None else self.shown

    def reset(self, *, seed=None, options=None):
        return self.show(), {}

    def step(self, action):
        return self.show(), self.reward, False, False, self.info


for name, how in {
    "Dict": {"observation": Dict(a=ONE)},
    "Tuple": {"observation": Tuple((ONE, ONE))},
    "Text": {"observation": Text(9)},
    "ManyActions": {"action": Dict(a=Discrete(2))},
    "NoActions": {"action": Box(-1, 1, (0,))},
    "Endless": {"action": Box(-np.inf, np.inf, (1,))},
    "Cube": {"observation": Box(0, 1, (2, 2, 2, 2))},
    "Nothing": {"observation": Box(0, 1, (0,))},
    "Shape": {"shown": np.zeros(4, np.float32)},
    "Kind": {"shown": "hello"},
    "NaN": {"shown": np.full(3, np.nan, np.float32)},
    "Reward": {"reward": "much"},
    "RewardNaN": {"reward": float("nan")},
    "RewardNone": {"reward": None},
    "Unmade": {"made": False},
    "Unseeded": {"reset": lambda: (ZEROS, {})},
    "OldReset": {"reset": lambda seed=None, options=None: ZEROS},
    "OldGym": {"step": lambda action: (ZEROS, 0.0, False, {})},
    "NoTuple": {"step": lambda action: "no"},
    "NoInfo": {"info": None},
    "Numbered": {"info": {"episode": 3}},
    "Pairs": {"shown": {}},
    "Rewards": {"reward": np.zeros(2)},
    "Many": {"action": Discrete(2**24)},
    "TooMany": {"action": Discrete(2**24 + 1)},
    "ManyParts": {"action": Box(-1, 1, (65,))},
    "Graph": {"observation": Graph(ONE, None)},
    "Sequence": {"observation": Sequence(ONE)},
    "Either": {"action": OneOf((Discrete(2), ONE))},
}.items():
    gymnasium.register(f"{name}-v0", Odd, kwargs=how)
"""


@pytest.fixture
def place(made_place, monkeypatch):
    """Directory with the prepared files, as working directory."""
    monkeypatch.chdir(made_place)
    monkeypatch.syspath_prepend(str(made_place))
    return made_place


@pytest.fixture(scope="module")
def made_place(tmp_path_factory):
    """Directory with the files, environments and damaged runs from above."""
    place = tmp_path_factory.mktemp("place")
    known = set(gymnasium.registry)
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    (place / "odd_envs.py").write_text(MODULE)
    for env in ("Acrobot-v1", "CartPole-v1"):
        flags = ["--env", env, "--steps", "300", "--actors", "1", "--quiet", "--out", str(place / env)]
        assert run(["train", *flags]) == 0
    for name, damage in DAMAGE.items():
        shutil.copytree(place / "CartPole-v1", place / name)
        _settings(total_steps=600)(place / name)
        damage(place / name)
    shutil.copy(place / "Acrobot-v1" / "checkpoints" / "latest.safetensors", place / "other-env" / "other.safetensors")
    yield place
    for name in set(gymnasium.registry) - known:  # workers of other tests could not import them
        del gymnasium.registry[name]


TEXT = Path(__file__).with_name("bad_input.txt").read_text(encoding="utf-8")
TABLE = re.findall(r"^(\S.*)\n  ([12]) (.+)$", TEXT.partition("\n\n")[2], re.MULTILINE)


def test_the_table_is_whole():
    assert len(TABLE) * 3 + 2 == TEXT.count("\n") > 3 * 180
    assert len({line for line, _, _ in TABLE}) == len(TABLE)


@pytest.mark.parametrize(("line", "code", "sentence"), TABLE, ids=[row[0] for row in TABLE])
def test_wrong_input_gets_one_sentence_and_leaves_nothing_behind(a3crs, place, line, code, sentence):
    before = _contents(place)
    given, out, err = a3crs(*shlex.split(line))
    wanted = ".*".join(re.escape(part) for part in f"a3crs: error: {sentence}\n".split("…"))
    assert re.fullmatch(wanted, err, re.DOTALL), err
    assert (given, out, err.count("\n")) == (int(code), "", 1)
    assert _contents(place) == before


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (
            "Shape",
            "observation (<class 'numpy.ndarray'> of float32 (4,)) has 4 elements, but its observation_space has 3.",
        ),
        (
            "Cube",
            "observation (<class 'numpy.ndarray'> of float32 (3,)) has 3 elements, but its observation_space has 16.",
        ),
        ("Kind", "The environment's observation is 'hello', which is not in its Box(0.0, 1.0, (3,), float32)."),
        ("Pairs", "The environment's observation is {}, which is not in its Box(0.0, 1.0, (3,), float32)."),
        ("Reward", "The environment's reward is 'much', but it must be a number."),
        ("RewardNone", "The environment's reward is None, but it must be a number."),
        ("Rewards", "The environment's reward is array([0., 0.]), but it must be a number."),
        (
            "OldGym",
            "The environment's step() returned a tuple of 4, not (observation, reward, terminated, truncated, info).",
        ),
        ("NoTuple", "The environment's step() returned 'no', not (observation, reward, terminated, truncated, info)."),
        ("NoInfo", "The environment's step() returned the info None, but it must be a dict."),
        ("OldReset", "The environment's reset() returned array([0., 0., 0.], dtype=float32), not (observation, info)."),
        ("Unmade", "OSError: the simulator is not installed"),
        ("Unseeded", "got an unexpected keyword argument 'seed'"),
    ],
)
def test_an_environment_that_is_wrong_ends_the_run_and_is_named(a3crs, place, tmp_path, env, sentence):
    flags = ["--env", f"odd_envs:{env}-v0", "--env-workers", "thread", "--actors", 1, "--quiet"]
    code, out, err = a3crs("train", *flags, "--out", tmp_path / "run")
    assert (code, out) == (1, "")
    (said,) = [line for line in err.splitlines() if line.startswith("a3crs: error: ")]
    assert sentence in said


@pytest.mark.parametrize("env", ["Endless", "Numbered"])
def test_what_is_odd_but_not_wrong_is_trained_in(a3crs, place, tmp_path, env):
    flags = ["--env", f"odd_envs:{env}-v0", "--env-workers", "thread", "--actors", 1, "--quiet", "--steps", 100]
    assert a3crs("train", *flags, "--out", tmp_path / "run")[::2] == (0, "")


@pytest.mark.parametrize(
    ("env", "what"), [("NaN", "outputs of the network with NaN"), ("RewardNaN", "rewards with NaN")]
)
def test_what_is_not_a_number_is_refused_and_said(a3crs, place, tmp_path, env, what):
    flags = ["--env", f"odd_envs:{env}-v0", "--env-workers", "thread", "--actors", 1, "--quiet", "--steps", 100]
    code, _, err = a3crs("train", *flags, "--out", tmp_path / "run")
    assert code == 0
    assert what in err
    incidents = load.incidents(tmp_path / "run").collect()
    assert incidents.height == err.count("had an update refused") > 0
    assert what in incidents["what"][0]


def test_nothing_unpickles_a_file():
    sources = {path: path.read_text(encoding="utf-8") for path in Path(a3crs_package.__file__).parent.rglob("*.py")}
    users = {
        path.name for path, text in sources.items() if re.search(r"pickle|marshal|shelve|allow_pickle|eval\(", text)
    }
    assert users <= {"worker.py"}  # it pickles messages between a process and its children, through a pipe


def _contents(place):
    """Returns the contents of all files but locks, which are empty, and records of the sessions."""
    files = (path for path in Path(place).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path: path.read_bytes() for path in files if path.name not in ("lock", "meta.json", "config.json")}
