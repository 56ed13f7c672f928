import pytest

from a3crs.published.atari57 import references


def test_random_scores_0_and_human_100():
    for reference in references().values():
        assert reference.human_normalised(reference.random) == 0
        assert reference.human_normalised(reference.human) == pytest.approx(100)


def test_a_known_score_is_normalised_as_by_hand():
    assert references()["pong"].human_normalised(21.0) == pytest.approx(100 * 41.7 / 35.3)


def test_video_pinballs_random_player_counts_as_0():
    assert references()["video_pinball"].human_normalised(17667.9) == pytest.approx(100)
    assert references()["video_pinball"].random == 0
