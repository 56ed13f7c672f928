import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def code_cells(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def show(cell, namespace):
    """Runs a cell as Jupyter would; returns the value of its last line."""
    *statements, last = ast.parse("".join(cell["source"])).body
    exec(compile(ast.Module(statements, []), "cell", "exec"), namespace)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
    exec(compile(ast.Module([last], []), "cell", "exec"), namespace)
    return None


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_outputs(notebook):
    for cell in code_cells(notebook):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_polars_and_the_run_log_alone(notebook):
    imports = [line for cell in code_cells(notebook) for line in cell["source"] if "import" in line]
    assert imports
    allowed = ("from pathlib import Path", "import polars as pl", "from a3crs.runlog import")
    assert all(line.startswith(allowed) for line in imports)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_answers_its_question_about_a_short_run(notebook, pong_run, tmp_path, monkeypatch):
    (tmp_path / "runs").symlink_to(pong_run.parent)  # where a3crs leaves runs, seen from notebooks/
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    namespace = {}
    shown = [show(cell, namespace) for cell in code_cells(notebook)]
    tables = [table for table in shown if table is not None]
    assert tables
    for table in tables:
        assert table["run"].unique().to_list() == [pong_run.name]
