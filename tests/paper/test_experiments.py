import pytest

from a3crs.errors import ConfigError
from a3crs.paper import EXPERIMENTS, experiment
from a3crs.paper.scale import Scale, differences, plan_of
from a3crs.published import paper
from a3crs.published.games import benchmark_game

NAMES = ["fig1", "fig2", "fig3", "fig4", "figS5", "figS6", "figS8", "figS9", "figS10", "figS11"]
NAMES += ["tab1", "tab2", "tabS3"]
WITH_CURVES = {name for name in NAMES if name[3:] in {"1", "3", "4", "S5", "S9", "S10"} and name[:3] == "fig"}


def test_every_table_and_figure_is_listed_with_a_line(a3crs):
    code, out, err = a3crs("paper")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[:-2]] == NAMES == list(EXPERIMENTS)
    assert "250 runs of 320M frames" in out.splitlines()[1]


@pytest.mark.parametrize("name", sorted(WITH_CURVES))
def test_an_experiment_runs_what_the_papers_figure_has(name):
    of = EXPERIMENTS[name]
    ours = paper.curves(of.number, actors=None)
    theirs = ours.filter(~ours["algo"].is_in(["dqn", "human"]))
    assert {benchmark_game(game) for game in of.games} == set(theirs["game"])
    assert set(of.methods) == set(theirs["algo"])
    assert set(of.actors) == set(theirs["actors"])
    optimizers = set(theirs["optimizer"].drop_nulls())
    assert not optimizers or set(of.settings["optimizer"]) == optimizers


@pytest.mark.parametrize("name", ["fig2", "figS11"])
def test_learning_rates_are_drawn_for_what_the_paper_drew_them(name):
    of = EXPERIMENTS[name]
    theirs = paper.learning_rates(of.number)
    assert {benchmark_game(game) for game in of.games} == set(theirs["game"])
    assert set(of.methods) == set(theirs["algo"])
    assert theirs.height == len(of.games) * len(of.methods) * of.draws


def test_table_2_compares_what_the_paper_compares():
    of, theirs = EXPERIMENTS["tab2"], paper.table("2")
    assert (set(of.methods), set(of.actors)) == (set(theirs["algo"]), set(theirs["actors"]))


def test_tables_1_and_s3_are_of_the_57_games():
    for name in ("tab1", "tabS3"):
        assert set(EXPERIMENTS[name].games) == set(paper.table("S3")["game"])


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_a_plan_of_valid_runs_at_a_small_size(name):
    plan = plan_of(experiment(name), Scale(frames=4000, draws=None if name in ("tab1", "tabS3") else 2))
    assert {trial.settings["algo"] for trial in plan.trials} == set(experiment(name).methods)
    assert len(differences(experiment(name), plan)) >= 2


def test_names_are_found_in_any_case_and_others_get_a_sentence():
    assert experiment("FIGs5") is EXPERIMENTS["figS5"]
    with pytest.raises(ConfigError, match=r"no experiment 'fig12' \(did you mean fig2 or fig1 or figS11\?\): fig1, "):
        experiment("fig12")


def test_draws_have_their_own_initial_parameters_and_cells_the_same_learning_rates():
    plan = plan_of(experiment("fig4"), Scale(games=["Pong"], methods=["a3c"], actors=[1, 2, 4], draws=5, seeds=2))
    assert len(plan.trials) == 3 * 5 * 2
    assert {trial.settings["seed"] for trial in plan.trials} == set(range(10))
    for trial in plan.trials:
        assert trial.name.endswith(f"draw{trial.draw:03}__s{trial.settings['seed']}")
    rates = {(trial.draw, trial.settings["lr"]) for trial in plan.trials}
    assert len(rates) == 5


def test_what_differs_from_the_paper_is_said():
    plan = plan_of(experiment("fig1"), Scale(games=["Pong"], frames=2_000_000, draws=3, settings={"t_max": 20}))
    said = "\n".join(differences(experiment("fig1"), plan))
    assert "Runs of 2,000,000 frames instead of 320,000,000" in said
    assert "3 draws of the settings instead of 50." in said
    assert "env is Pong instead of BeamRider, Breakout," in said
    assert "t_max is 20, which the paper does not change." in said
    assert "before the Q methods' exploration has fallen" in said
    assert "algo is" not in said


def test_at_the_papers_size_only_what_cannot_be_otherwise_differs():
    of = experiment("fig2")
    assert differences(of, plan_of(of, Scale())) == list(of.deviations)
