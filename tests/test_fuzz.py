"""Fuzzed files: reading one gives a3crs's own error or a value, never another exception."""

import json
import random
from functools import partial

import pytest

from a3crs.config import RunConfig
from a3crs.errors import A3crsError, CheckpointError
from a3crs.parse import parse_assignment, parse_count, parse_kwargs, read_settings
from a3crs.rundir import RunDir
from a3crs.runlog import load
from a3crs.training import start_run

PIECES = [
    b"\x00",
    b"\xff",
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"=",
    b"#",
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
]
PIECES += [b"true", b'{"steps": 1}\n', b"\\ud800", b"\xef\xbb\xbf", b"0x10", b"9" * 400, b"[[[[", b"'''"]


def mutations(seed, whole, count):
    """Yields copies of `whole` with a few parts cut out, doubled, replaced or flipped."""
    random_numbers = random.Random(seed)
    for _ in range(count):
        text = bytearray(whole)
        for _ in range(random_numbers.randint(1, 4)):
            at = random_numbers.randrange(len(text) + 1)
            to = min(len(text), at + random_numbers.choice([0, 1, 2, 10, 100]))
            text[at:to] = random_numbers.choice(
                [b"", text[at:to] * 2, random_numbers.choice(PIECES), random_numbers.randbytes(3)]
            )
        yield bytes(text)


def refusal(call):
    """Returns the message of an A3crsError, "" if there is none; any other exception is raised."""
    try:
        call()
    except A3crsError as e:
        return str(e)
    return ""


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_settings_files(tmp_path, suffix):
    settings = RunConfig(env="Pong").to_mapping()
    toml = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    whole = (json.dumps(settings, indent=2) if suffix == "json" else toml).encode()
    path = tmp_path / f"settings.{suffix}"
    path.write_bytes(whole)
    assert RunConfig.from_mapping(read_settings(path)).env == "Pong"
    said = []
    for text in mutations(1, whole, 3000):
        path.write_bytes(text)
        said.append(refusal(lambda: RunConfig.from_mapping(read_settings(path)).to_json()))
    assert all(sentence.endswith(".") for sentence in said if sentence)
    assert 1000 < sum(map(bool, said)) < 3000


def test_words_of_the_command_line():
    words = [b"lr=1e-3", b"actors=16", b"t_max=episode", b"env_kwargs={}", b"reward_scale=running", b"80M"]
    parsers = [parse_assignment, lambda text: parse_kwargs([text]), lambda text: parse_count(text, what="n")]
    texts = [text.decode(errors="replace") for seed, word in enumerate(words) for text in mutations(seed, word, 500)]
    said = [refusal(partial(parse, text)) for parse in parsers for text in texts]
    assert sum(map(bool, said)) > 1000
    assert not any("\n" in sentence for sentence in said)


@pytest.mark.parametrize(("log", "read"), [("episodes", load.episodes), ("progress", load.progress)])
def test_logs(recall, recall_config, tmp_path, log, read):
    run = start_run(recall_config.changed(total_steps=500), out=tmp_path / "run", quiet=True, env=recall).run
    path = run.path / f"{log}.jsonl"
    whole = b"".join(path.read_bytes().splitlines(keepends=True)[:5])
    said = []
    for text in mutations(2, whole, 1000):
        path.write_bytes(text)
        said.append(refusal(lambda: read(run.path).collect()))
        said.append(refusal(lambda: run.forget_after({"steps": 100, "actors": []})))
    assert all(log in sentence for sentence in said if sentence)
    assert sum(map(bool, said)) > 50


def test_checkpoints(recall, recall_config, tmp_path):
    """Checks that no changed byte of a checkpoint goes unnoticed; the Rust side's tests flip every one."""
    run = start_run(recall_config.changed(total_steps=100), out=tmp_path / "run", quiet=True, env=recall).run
    whole = run.latest_checkpoint.read_bytes()
    for path in run.latest_checkpoint.parent.iterdir():
        path.unlink()
    for text in mutations(3, whole, 1000):
        run.latest_checkpoint.write_bytes(text)
        if text != whole:
            with pytest.raises(CheckpointError, match=r"latest\.safetensors"):
                RunDir(run.path).newest_checkpoint()
