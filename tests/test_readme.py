"""Runs the commands and Python blocks of every README.md, in the order shown."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAIN = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
FOLDERS = ("python", "rust", "tests", "notebooks")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).rglob("README.md"))
DOCUMENTS = [MAIN, *PAGES, CONTRIBUTING]

UNLIMITED = "a3crs train --algo a3c --env Pong"  # the paper's 320M frames: saved and stopped early, as the README says
LONG = {  # about half an hour each; run here for a few steps
    "a3crs train --env Labyrinth --net lstm --actors 16 --steps 4M --lr 7e-4 --set rms_eps=0.001",
    "a3crs train --env TORCS --actors 4 --steps 900k --set t_max=20",
}
SHORT = "--actors 1 --steps 100"
OF_CI = {"bash .ci/run", "bash .ci/run --quick"}
NOT_INSTALLED = re.compile(
    r"install the system packages|TORCS needs Debian's game|rustc is not in PATH"
)  # no Python package has these dependencies


def text(document):
    return document.read_text(encoding="utf-8")


def blocks(document):
    return re.findall(r"^```(\w*)\n(.*?)^```$", text(document), re.MULTILINE | re.DOTALL)


def commands(document):
    return [line for language, block in blocks(document) if language == "sh" for line in block.splitlines()]


def name(document):
    return str(document.relative_to(ROOT))


ALL_COMMANDS = [command for document in DOCUMENTS for command in commands(document)]
INSTALLATIONS = [command for command in ALL_COMMANDS if "-m venv" in command]  # .ci/run runs these
pages = pytest.mark.parametrize("page", PAGES, ids=name)
documents = pytest.mark.parametrize("document", DOCUMENTS, ids=name)


def arguments(command):
    return [sys.executable, "-m", *shlex.split(command)]


def run_page(page, workplace):
    for language, block in blocks(page):
        if language == "python":
            run([sys.executable, "-c", block], block, workplace, page)
        if language != "sh":
            continue
        for command in block.splitlines():
            if command in LONG:
                command = f"{command} {SHORT}"
            if command not in INSTALLATIONS and command != UNLIMITED:
                run(arguments(command), command, workplace, page)


def run(process_arguments, what, workplace, page):
    process = subprocess.run(process_arguments, cwd=workplace, capture_output=True, text=True)
    may_lack = "--pixels" in what or "torcs" in what.lower()
    if process.returncode != 0 and may_lack and NOT_INSTALLED.search(process.stderr):
        return
    assert process.returncode == 0, f"{name(page)}: {what}\n{process.stdout}{process.stderr}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Directory in which the main README's commands were run; the other pages continue with its runs."""
    directory = tmp_path_factory.mktemp("readme")
    run_page(MAIN, directory)
    return directory


def test_the_main_readme_works_in_the_order_shown(workplace):
    assert (workplace / "runs" / "pong" / "config.json").is_file()  # the fixture has run every command


@pages
def test_a_page_works_in_the_order_shown(page, workplace):
    run_page(page, workplace)


def test_the_main_readme_is_short():
    assert len(MAIN.read_bytes()) <= 12 * 1024


def test_every_block_is_run_here_or_by_ci():
    languages = {language for document in DOCUMENTS for language, _ in blocks(document)}
    assert languages == {"sh", "python", "mermaid"}  # mermaid is the figure
    assert len(INSTALLATIONS) == 3
    assert {UNLIMITED, *LONG} <= set(ALL_COMMANDS)
    others = [command for command in ALL_COMMANDS if command not in INSTALLATIONS]
    assert all(command.startswith("a3crs ") or command in OF_CI for command in others)


def test_ci_picks_out_exactly_the_installations():
    script = text(ROOT / ".ci" / "run")
    definition = script[script.index("readme_installations() {") :].split("\n}\n")[0] + "\n}\nreadme_installations"
    picked = subprocess.run(["bash", "-c", definition], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert picked.splitlines() == INSTALLATIONS


@documents
def test_commands_in_sentences_exist(document):
    known = set(subprocess.run(arguments("a3crs --help"), capture_output=True, text=True, check=True).stdout.split())
    for command in re.findall(r"`a3crs ([a-z]+)[^`]*`", text(document)):
        assert command in known, command


def test_the_papers_experiments_that_took_hours_could_be_run_again(tmp_path):
    page = text(ROOT / "python" / "a3crs" / "paper" / "README.md")
    rows = re.findall(r"^\| `((?:fig|tab)[^`]+)`", page, re.MULTILINE)
    assert len(rows) == 3
    for row in rows:
        process = subprocess.run(
            arguments(f"a3crs paper run {row} --dry-run"), cwd=tmp_path, capture_output=True, text=True
        )
        assert process.returncode == 0, f"{row}\n{process.stderr}"
        assert "on this machine" in process.stdout


def test_the_paper_run_starts_and_is_saved_when_it_is_stopped(tmp_path):
    # SIGTERM rather than SIGINT, which shells ignore in background jobs.
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
    (run_directory,) = tmp_path.glob("runs/*")
    assert process.returncode == 130
    assert f"a3crs resume {run_directory.relative_to(tmp_path)}" in err
    assert (run_directory / "checkpoints" / "latest.safetensors").exists()


@documents
def test_every_file_and_folder_it_names_exists(document):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text(document)) if "://" not in link]
    for link in links:
        path, _, heading = link.partition("#")
        target = Path(os.path.normpath(document.parent / path)) if path else document
        assert target.exists(), link
        headings = re.findall(r"^#+ (.+)$", text(target), re.MULTILINE) if heading else []
        assert not heading or heading in {title.lower().replace(" ", "-") for title in headings}, link
    for path in re.findall(r"`((?:rust|python|tests|notebooks|\.ci)/[\w./]*)`", text(document)):
        assert (ROOT / path).exists(), path


def test_the_main_readme_links_every_page_but_those_linked_from_pages():
    linked = {
        os.path.normpath(document.parent / link.partition("#")[0])
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)]+)\)", text(document))
    }
    unlinked = [name(page) for page in PAGES if str(page) not in linked]
    assert all("data" in Path(page).parts for page in unlinked), unlinked
