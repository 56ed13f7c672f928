import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
INSTALLATIONS = [command for command in COMMANDS if "-m venv" in command]  # .ci/run runs these
UNLIMITED = "a3crs train --algo a3c --env Pong"  # the paper's 320M frames: saved and stopped early, as the README says
PYTHON = [block for language, block in BLOCKS if language == "python"]


def arguments(command):
    return [sys.executable, "-m", *shlex.split(command)]


def test_every_block_is_run_here_or_by_ci():
    assert {language for language, _ in BLOCKS} == {"sh", "python", "mermaid"}  # the last is the figure
    assert len(INSTALLATIONS) == 3
    assert UNLIMITED in COMMANDS
    assert all(command.startswith("a3crs ") for command in COMMANDS if command not in INSTALLATIONS)


def test_ci_picks_out_exactly_the_installations():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    definition = script[script.index("readme_installations() {") :].split("\n}\n")[0] + "\n}\nreadme_installations"
    picked = subprocess.run(["bash", "-c", definition], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert picked.splitlines() == INSTALLATIONS


def test_commands_in_sentences_are_commands_of_the_blocks():
    for command in re.findall(r"`(a3crs [^`]+)`", README):
        assert any(line.startswith(command) for line in COMMANDS), command


def test_the_commands_work_in_the_order_shown(tmp_path):
    for command in COMMANDS:
        if command in INSTALLATIONS or command == UNLIMITED:
            continue
        process = subprocess.run(arguments(command), cwd=tmp_path, capture_output=True, text=True)
        if "--pixels" in command and process.returncode != 0:
            assert "install the system packages" in process.stderr, process.stderr  # the machine cannot draw
            continue
        assert process.returncode == 0, f"{command}\n{process.stdout}{process.stderr}"
    for code in PYTHON:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_the_papers_experiments_that_took_hours_could_be_run_again(tmp_path):
    rows = re.findall(r"^\| `((?:fig|tab)[^`]+)`", README, re.MULTILINE)
    assert len(rows) == 3
    for row in rows:
        process = subprocess.run(
            arguments(f"a3crs paper run {row} --dry-run"), cwd=tmp_path, capture_output=True, text=True
        )
        assert process.returncode == 0, f"{row}\n{process.stderr}"
        assert "on this machine" in process.stdout


def test_the_paper_run_starts_and_is_saved_when_it_is_stopped(tmp_path):
    # SIGTERM rather than SIGINT: a shell may have told its background jobs to ignore the latter.
    process = subprocess.Popen(arguments(UNLIMITED), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("runs/*/progress.jsonl")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "no row of progress after two minutes"
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    (run,) = tmp_path.glob("runs/*")
    assert process.returncode == 130
    assert f"a3crs resume {run.relative_to(tmp_path)}" in err
    assert (run / "checkpoints" / "latest.safetensors").exists()


def test_every_file_and_folder_it_names_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    paths = re.findall(r"`((?:rust|python|tests|notebooks|\.ci)/[\w./]*)`", README)
    assert len(links) > 5
    assert len(paths) > 5
    headings = {f"#{name.lower().replace(' ', '-')}" for name in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for path in links + paths:
        assert path in headings or (ROOT / path).exists(), path
