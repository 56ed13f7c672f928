import pytest

from a3crs.errors import ConfigError
from a3crs.parse import parse_assignment, parse_count, parse_kwargs, read_settings


def test_toml_and_json_files_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text('env = "Pong"\nlr = 0.001\nlambda = 0.9\n')
    (tmp_path / "a.json").write_text('{"env": "Pong", "lr": 0.001, "lambda": 0.9}')
    assert read_settings(tmp_path / "a.toml") == read_settings(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.toml", "lr = ", "is not valid TOML"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[1]", "must hold names with values"),
        ("a.json", None, "cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_settings_file_is_named(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=sentence) as refusal:
        read_settings(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("80000000", 80_000_000),
        ("80_000_000", 80_000_000),
        ("10M", 10**7),
        ("2.5M", 2_500_000),
        ("1e6", 10**6),
        ("4k", 4000),
        ("4K", 4000),
        ("1G", 10**9),
        ("0.5k", 500),
    ],
)
def test_counts_are_read_as_people_write_them(text, count):
    assert parse_count(text, what="--frames") == count


@pytest.mark.parametrize("text", ["", "M", "ten", "1.5", "1.0001k", "nan", "inf", "1MM", "0x10"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ConfigError, match=r"--frames is .*, but it must be a whole number"):
        parse_count(text, what="--frames")


def test_assignments_are_typed_as_their_settings():
    pairs = [parse_assignment(text) for text in ("lr=1e-3", "t-max = 20", "optimizer=rmsprop", "total_steps=1M")]
    assert pairs == [("lr", 1e-3), ("t_max", 20), ("optimizer", "rmsprop"), ("total_steps", 10**6)]


def test_a_number_may_have_a_word_in_its_place():
    texts = ("t_max=episode", "t_max=1e2", "reward_scale=running", "reward_scale=0.1", "normalize_obs=false")
    pairs = [parse_assignment(text) for text in texts]
    expected = [("t_max", "episode"), ("t_max", 100), ("reward_scale", "running"), ("reward_scale", 0.1)]
    assert pairs == [*expected, ("normalize_obs", False)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "t_max=episodes",
            "t_max is 'episodes', but it must be a whole number, like 80000000, 80M, 4k or 1e6 or episode.",
        ),
        ("reward_scale=run", "reward_scale is 'run', but it must be a number or running."),
    ],
)
def test_another_word_is_refused_with_the_one_that_is_meant(text, sentence):
    with pytest.raises(ConfigError) as refusal:
        parse_assignment(text)
    assert str(refusal.value) == sentence


def test_assignments_hold_switches_and_names_with_values():
    pairs = [parse_assignment(text) for text in ("grayscale=true", 'env_kwargs={"a": 1}', "resize=84x84")]
    assert pairs == [("grayscale", True), ("env_kwargs", {"a": 1}), ("resize", "84x84")]


def test_arguments_of_an_environment_are_json_where_they_can_be_else_text():
    given = ["goal=0.4", "is_slippery=false", "map_name=8x8", 'desc=["SF", "HG"]', "seed=null", "note=a=b"]
    assert parse_kwargs(given) == {
        "goal": 0.4,
        "is_slippery": False,
        "map_name": "8x8",
        "desc": ["SF", "HG"],
        "seed": None,
        "note": "a=b",
    }


@pytest.mark.parametrize("text", ["goal", "=1", "my goal=1", "1=1"])
def test_an_argument_without_a_name_or_value_is_refused(text):
    with pytest.raises(ConfigError, match="--env-kwargs takes name=value"):
        parse_kwargs([text])


@pytest.mark.parametrize("text", ["lr", "lr=fast", "t_maxx=5", "=3"])
def test_a_wrong_assignment_is_refused(text):
    with pytest.raises(ConfigError):
        parse_assignment(text)
