import json

import pytest

from a3crs.envs import Discrete, EnvSpec, VectorObs
from a3crs.errors import CheckpointError, ConfigError
from a3crs.evaluation import Evaluation, evaluate_run, summarise
from a3crs.runlog import load

PONG = EnvSpec("Pong", VectorObs(1), Discrete(6), 4, game="pong")


def test_a_summary_is_what_it_is_by_hand():
    row = summarise([1.0, 2.0, 6.0], PONG)
    assert row["mean"] == 3
    assert row["median"] == 2
    assert row["stderr"] == pytest.approx((7 / 3) ** 0.5)  # variance (4 + 1 + 9) / 2 = 7, over 3 games
    assert row["human_normalised"] == pytest.approx(100 * (3 + 20.7) / (14.6 + 20.7))


def test_one_game_has_no_standard_error():
    assert summarise([5.0], PONG)["stderr"] is None


def test_an_environment_without_reference_has_no_normalised_score():
    assert summarise([5.0], EnvSpec("CartPole-v1", VectorObs(4), Discrete(2), 1))["human_normalised"] is None


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"seed": -1}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ConfigError, match="must be between"):
        Evaluation(**wrong)


def test_a_row_is_returned_and_appended(pong_run):
    heard = []
    row = evaluate_run(pong_run, Evaluation(episodes=2, seed=5), on_episode=heard.append)
    assert load.evals(pong_run).drop("run").collect().row(-1, named=True) == row
    assert sorted(episode["return"] for episode in heard) == sorted(row["returns"])
    assert {episode["seed"] for episode in heard} == {5, 6}
    assert all(-21 <= score <= 21 for score in row["returns"])
    assert (row["protocol"], row["policy"], row["frames"]) == ("atari2016", "sampled", 4 * row["steps"])


def test_the_same_seed_gives_the_same_games(pong_run):
    first, second = (evaluate_run(pong_run, Evaluation(episodes=2, seed=5, greedy=True)) for _ in range(2))
    assert first == second


def test_a_missing_checkpoint_is_refused_by_name(pong_run, tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*gone"):
        evaluate_run(pong_run, Evaluation(checkpoint=tmp_path / "gone.safetensors"))


def test_whole_games_are_played_where_training_stops_at_a_lost_life(tmp_path):
    from a3crs.config import TrainConfig
    from a3crs.training import start_run

    out = tmp_path / "run"
    start_run(TrainConfig(env="Breakout", actors=1, total_steps=200), out=out, quiet=True)
    played = []
    evaluate_run(out, Evaluation(episodes=1), on_episode=played.append)
    assert played[0]["length_steps"] > 100  # five lives of random play; one life takes some 30 steps
    json.dumps(played)
