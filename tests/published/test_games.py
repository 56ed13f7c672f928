import pytest

from a3crs.envs.atari import game_of
from a3crs.published.games import benchmark_game, title, titles

SPELLINGS = ["Pong", "pong", "ALE/Pong-v5", "PongNoFrameskip-v4", "PongDeterministic-v0"]


@pytest.mark.parametrize("env", SPELLINGS)
def test_a_game_has_one_name_in_every_spelling(env):
    assert (benchmark_game(env), title(env), game_of(env)) == ("pong", "Pong", "pong")


@pytest.mark.parametrize("env", ["CartPole-v1", "", "ALE/", "Pong-v5-v4"])
def test_any_other_environment_keeps_its_name(env):
    assert (benchmark_game(env), title(env)) == (None, env)


def test_every_benchmark_game_is_found_by_its_title_and_can_be_played():
    assert len(titles()) == 57
    assert {benchmark_game(title) for title in titles().values()} == set(titles())
    assert {game_of(game) for game in titles()} == set(titles())
