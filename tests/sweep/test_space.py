import math

import pytest

from a3crs.errors import ConfigError
from a3crs.sweep.space import draw, is_distribution, parse_distribution, parse_value, read_space

KS_1_PERCENT = 1.63  # times 1 / sqrt(n): samples of the distribution itself exceed it once in 100 times


def distance(values, cumulative):
    """Returns the Kolmogorov-Smirnov distance of a sample from a distribution."""
    values, n = sorted(values), len(values)
    return max(max((i + 1) / n - cumulative(x), cumulative(x) - i / n) for i, x in enumerate(values))


def test_log_uniform_draws_are_those_of_the_paper():
    rates = [draw({"lr": "loguniform:1e-4:1e-2"}, 0, number)["lr"] for number in range(1000)]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert distance(rates, lambda rate: math.log(rate / 1e-4) / math.log(100)) < KS_1_PERCENT / math.sqrt(1000)
    assert distance(rates, lambda rate: rate / 1e-2) > 0.4  # the draws are far from uniform


def test_uniform_draws_are_uniform():
    shares = [draw({"gamma": "uniform:0.5:1"}, 3, number)["gamma"] for number in range(1000)]
    assert all(0.5 <= share <= 1 for share in shares)
    assert distance(shares, lambda share: 2 * share - 1) < KS_1_PERCENT / math.sqrt(1000)


def test_whole_numbers_are_drawn_with_both_bounds():
    lengths = [draw({"t_max": "uniform:3:6"}, 0, number)["t_max"] for number in range(200)]
    assert {type(length) for length in lengths} == {int}
    assert set(lengths) == {3, 4, 5, 6}
    orders = {
        draw({"target_interval_steps": "loguniform:1k:100k"}, 0, number)["target_interval_steps"]
        for number in range(99)
    }
    assert all(type(steps) is int and 1000 <= steps <= 100_000 for steps in orders)


def test_choices_keep_their_types_and_all_come():
    drawn = [draw({"t_max": "choice:5,20,episode"}, 0, number)["t_max"] for number in range(50)]
    assert set(drawn) == {5, 20, "episode"}


@pytest.mark.parametrize("text", ["uniform:0.1:0.3", "loguniform:1e-5:1e-1", "choice:1,2,3"])
def test_the_ends_of_a_distribution_are_its_bounds(text):
    law = parse_distribution("lr", text)
    low, high = law.at(0.0), law.at(1 - 2**-53)
    assert low == pytest.approx(float(text.replace(",", ":").split(":")[1]))
    assert low < high <= float(text.replace(",", ":").split(":")[-1])


def test_a_draw_depends_on_its_own_setting_number_and_seed_alone():
    lr = {"lr": "loguniform:1e-4:1e-2"}
    beside = lr | {"gamma": "uniform:0:1", "env": "Pong"}
    assert draw(beside, 0, 7)["lr"] == draw(lr, 0, 7)["lr"]
    assert len({draw(lr, seed, number)["lr"] for seed in range(3) for number in range(3)}) == 9
    assert draw(lr, 0, 0)["lr"] == pytest.approx(
        0.006966980209597724, rel=1e-12
    )  # otherwise an older sweep could not be continued


def test_a_settings_file_holds_distributions_too(tmp_path):
    (tmp_path / "sweep.toml").write_text('env = "Pong"\nlr = "loguniform:1e-4:1e-2"\nt_max = "grid:5,20"\n')
    settings = read_space(tmp_path / "sweep.toml")
    assert is_distribution(settings["lr"])
    assert not is_distribution(settings["env"])
    assert settings["t_max"] == [5, 20]


@pytest.mark.parametrize(
    "text", ["loguniform:0:1", "uniform:2:1", "uniform:1", "uniform:nan:1", "uniform:0:inf", "choice:"]
)
def test_what_is_no_distribution_is_refused(text):
    with pytest.raises(ConfigError, match="lr is "):
        parse_distribution("lr", text)


def test_a_grid_is_a_list_of_values_of_the_settings_type():
    assert parse_value("algo", "grid:a3c,n-step-q") == ["a3c", "n-step-q"]
    assert parse_value("actors", "grid:1,2,4k") == [1, 2, 4000]
    with pytest.raises(ConfigError, match="actors is 'many'"):
        parse_value("actors", "grid:1,many")
