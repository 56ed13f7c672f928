import pytest

from a3crs.config import TrainConfig
from a3crs.envs import Discrete, ImageObs, Mode, VectorObs, resolve
from a3crs.envs.atari import atari_family, display_name, game_of, games
from a3crs.errors import ConfigError

PONG = ["Pong", "pong", "PONG", "ALE/Pong-v5", "Pong-v0", "Pong-v4", "Pong-v5", "PongNoFrameskip-v4"]
PONG += ["PongNoFrameskip-v0", "PongDeterministic-v4", "PongDeterministic-v0"]
MONTEZUMA = ["MontezumaRevenge", "montezuma_revenge", "montezumarevenge", "montezuma-revenge", "Montezuma Revenge"]
MONTEZUMA += ["ALE/MontezumaRevenge-v5", "MontezumaRevengeNoFrameskip-v4"]


@pytest.mark.parametrize("name", PONG)
def test_every_spelling_of_pong_is_pong(name):
    assert game_of(name) == "pong"


@pytest.mark.parametrize("name", MONTEZUMA)
def test_every_spelling_of_montezumas_revenge_is_that(name):
    assert game_of(name) == "montezuma_revenge"


@pytest.mark.parametrize("game", games())
def test_a_games_display_name_and_v5_id_lead_back_to_it(game):
    assert game_of(display_name(game)) == game
    assert game_of(f"ALE/{display_name(game)}-v5") == game


@pytest.mark.parametrize("name", ["CartPole-v1", "Pongo", "Pong-ram-v0", "", "-v5", "ALE/"])
def test_what_is_no_game_is_none(name):
    assert game_of(name) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "Brekout",
            "There is no environment 'Brekout' (did you mean Breakout?); `a3crs list envs` lists the Atari games.",
        ),
        ("Xyzzy-v0", "There is no environment 'Xyzzy-v0'; `a3crs list envs` lists the Atari games."),
        ("combat", "Combat needs two players; a3crs plays one-player games only."),
        ("ALE/Joust-v5", "Joust needs two players; a3crs plays one-player games only."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, sentence):
    with pytest.raises(ConfigError) as refusal:
        resolve(TrainConfig(env=name), Mode.TRAINING)
    assert str(refusal.value) == sentence


def test_an_unknown_gymnasium_version_is_refused_in_gymnasiums_words():
    with pytest.raises(
        ConfigError, match=r"^Gymnasium cannot make 'CartPole-v9' \(did you mean CartPole-v1 or CartPole-v0\?\): .*v9"
    ):
        resolve(TrainConfig(env="CartPole-v9"), Mode.TRAINING)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigError, match="no protocol 'ale-v4': choose 'atari2016' or 'ale-v5'"):
        atari_family("pong", "ale-v4", Mode.TRAINING)


def test_the_spec_of_a_game_follows_from_the_protocol():
    minimal = resolve(TrainConfig(env="breakout"), Mode.TRAINING).spec
    full = resolve(TrainConfig(env="breakout", protocol="ale-v5"), Mode.TRAINING).spec
    assert (minimal.name, minimal.game, minimal.obs) == ("Breakout", "breakout", ImageObs(4, 84, 84))
    assert (minimal.actions, full.actions, full.frames_per_step) == (Discrete(4), Discrete(18), 4)


def test_a_gymnasium_id_has_its_own_spec():
    spec = resolve(TrainConfig(env="CartPole-v1"), Mode.TRAINING).spec
    assert (spec.name, spec.obs, spec.frames_per_step) == ("CartPole-v1", VectorObs(4), 1)
    assert (spec.actions, spec.max_episode_steps) == (Discrete(2), 500)


def test_blackjack_with_a_version_is_gymnasiums_not_ataris():
    cards = resolve(TrainConfig(env="Blackjack-v1"), Mode.TRAINING).spec
    assert (cards.game, cards.obs, cards.actions) == (None, VectorObs(32 + 11 + 2), Discrete(2))
    assert resolve(TrainConfig(env="Blackjack"), Mode.TRAINING).spec.game == "blackjack"
