import json

import pytest

from a3crs.errors import ConfigError, RunError
from a3crs.sweep.plan import PLAN, Plan, read_plan, refuse_other, save

SETTINGS = {"env": "Pong", "lr": "loguniform:1e-4:1e-2", "seed": 5}


def test_each_draw_is_run_with_each_seed():
    plan = Plan.drawn(SETTINGS, draws=50, seeds=3)
    assert len({trial.name for trial in plan.trials}) == 150
    assert plan.trials[4].name == "draw001__s6"
    by_draw = {}
    for trial in plan.trials:
        by_draw.setdefault(trial.draw, []).append((trial.settings["lr"], trial.settings["seed"]))
    assert all([seed for _, seed in runs] == [5, 6, 7] for runs in by_draw.values())
    assert all(len({lr for lr, _ in runs}) == 1 for runs in by_draw.values())
    assert len({runs[0][0] for runs in by_draw.values()}) == 50


def test_a_draw_is_the_same_however_many_there_are():
    few, many = Plan.drawn(SETTINGS, draws=3), Plan.drawn(SETTINGS, draws=30)
    assert many.trials[:3] == few.trials


def test_a_plan_is_read_back_as_it_was_written(tmp_path):
    settings = SETTINGS | {"t_max": "choice:5,episode"}
    plan = Plan.drawn(settings, frames=4000, draws=4)
    save(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    refuse_other(tmp_path, plan)
    refuse_other(tmp_path, Plan.drawn(dict(reversed(settings.items())), frames=4000, draws=4))
    with pytest.raises(ConfigError, match="holds a sweep with another plan"):
        refuse_other(tmp_path, Plan.drawn(SETTINGS, draws=4))


def test_a_directory_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="is not empty and no sweep"):
        refuse_other(tmp_path, Plan.drawn(SETTINGS))
    with pytest.raises(ConfigError, match="is not a directory"):
        refuse_other(tmp_path / "thesis.tex", Plan.drawn(SETTINGS))


@pytest.mark.parametrize("text", ["", "[1]", '{"trials": 3}', json.dumps({"trials": [{"name": "x"}]})])
def test_a_damaged_plan_gets_a_sentence(tmp_path, text):
    (tmp_path / PLAN).write_text(text)
    with pytest.raises(RunError, match=r"sweep\.json is damaged"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("settings", "counts", "sentence"),
    [
        ({"env": "Pong"}, {"draws": 2}, "draws is 2, but nothing is drawn"),
        (SETTINGS, {"draws": 0}, "draws is 0"),
        (SETTINGS, {"seeds": 0}, "seeds is 0"),
        ({"env": "Pong", "seed": "uniform:0:9"}, {}, "--seeds says how many"),
        ({"env": "Pong", "seed": "one"}, {"seeds": 2}, "seed is 'one'"),
        ({"env": "Pong", "lr": "uniform:-1:1"}, {"draws": 20}, "but it must be above 0"),
        ({"lr": 1e-3}, {}, "The environment is missing"),
        ({"env": []}, {}, "env is an empty list"),
        ({"env": "Pong", "t_max": [5, 5]}, {}, "t_max has 5 twice"),
        ({"env": "Pong", "seed": [1, 2]}, {}, "--seeds says how many"),
        ({"env": ["Pong", "pong!"]}, {"draws": 2}, "nothing is drawn"),
    ],
)
def test_wrong_plans_get_a_sentence(settings, counts, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Plan.drawn(settings, **counts)


def test_a_list_of_values_spans_a_grid_with_the_same_draws_in_each_cell():
    settings = {"env": ["Pong", "Breakout"], "actors": [1, 4], "lr": "loguniform:1e-4:1e-2"}
    plan = Plan.drawn(settings, draws=3, seeds=2)
    assert len({trial.name for trial in plan.trials}) == len(plan.trials) == 2 * 2 * 3 * 2
    assert plan.trials[0].name == "Pong__actors1__draw000__s0"
    assert plan.trials[-1].group == "Breakout__actors4__draw002"
    rates = {(trial.draw, trial.settings["lr"]) for trial in plan.trials}
    assert len(rates) == 3
    cells = [(trial.settings["env"], trial.settings["actors"]) for trial in plan.trials[:8:2]]
    assert cells == [("Pong", 1), ("Pong", 4), ("Breakout", 1), ("Breakout", 4)]  # each cell's first draw comes first


def test_a_grid_over_an_environments_arguments_has_names_for_its_cells(tmp_path):
    plan = Plan.drawn({"env": "TORCS", "env_kwargs": [{"car": "slow"}, {"car": "fast", "opponents": 1}]})
    assert [trial.group for trial in plan.trials] == [
        "env_kwargs-car-slow__draw000",
        "env_kwargs-car-fast-opponents-1__draw000",
    ]
    save(tmp_path, plan)
    assert read_plan(tmp_path) == plan
