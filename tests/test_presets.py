"""Presets: rows of defaults, the choice among them, and the order of a domain's, a preset's and the usual defaults."""

import json
from dataclasses import fields

import pytest

from a3crs import presets
from a3crs.checks import choices
from a3crs.cli import run
from a3crs.config import RunConfig, TrainConfig
from a3crs.described import described_default, preset_lines, shown
from a3crs.envs import Mode, resolve
from a3crs.errors import ConfigError
from a3crs.preparation import prepare
from a3crs.presets import AUTO, NAMES, PAPER, TABLE, Preset, Value, chosen, may_set
from a3crs.setting import Kind, default_of, public_name

FIELDS = {public_name(f): f for f in fields(RunConfig)}
ROWS = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)

DISCRETE = (Kind.GYMNASIUM, Kind.VECTORS)
CONTINUOUS = (*DISCRETE, Kind.CONTINUOUS, Kind.CLIPPED)
GAME = (Kind.ATARI, Kind.IMAGES)


def row(name, algos, values, *, kinds=(), others=(), is_automatic=True, is_whole=False):
    """Returns a preset with the values, each from a test."""
    found = {setting: Value(value, "a test") for setting, value in values.items()}
    sets = map(frozenset, (algos, kinds, others))
    return Preset(name, "a test", *sets, found, is_automatic, is_whole)


@pytest.fixture
def table(monkeypatch):
    """Replaces the presets: `table(row, ...)`; a row that is completed with has the name of a real one."""

    def replace(*rows):
        monkeypatch.setattr(presets, "TABLE", rows)
        monkeypatch.setattr("a3crs.described.TABLE", rows)

    return replace


@ROWS
def test_a_row_sets_settings_that_exist_to_values_that_they_accept(row):
    assert row.values.keys() <= FIELDS.keys() - {"env", "algo", "preset"}
    values = {name: value.value for name, value in row.values.items()}
    for algo in row.algos:
        config = RunConfig.from_mapping({"env": "Pong", "algo": algo, "preset": row.name} | values)
        assert {name: getattr(config, FIELDS[name].name) for name in values} == values


@ROWS
def test_a_row_says_what_it_is_for_and_each_value_has_a_source(row):
    assert row.about
    assert row.values
    assert all(value.source for value in row.values.values())
    assert row.algos
    assert row.algos <= set(choices("algos"))
    assert not row.kinds & row.others
    assert row.fits(min(row.algos), row.kinds)


def test_the_names_are_words_of_the_setting_and_no_two_are_the_same():
    assert (AUTO, PAPER, *(row.name for row in TABLE)) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    for name in NAMES:
        assert TrainConfig(env="Pong", preset=name).preset == name


@pytest.mark.parametrize(
    ("algo", "kinds", "name"),
    [
        ("ppo", GAME, "ppo-images"),
        ("ppo", CONTINUOUS, "ppo-continuous"),
        ("ppo", DISCRETE, "ppo-vectors"),
        ("a2c", DISCRETE, "a2c-vectors"),
        ("a3c", DISCRETE, "a3c-vectors"),
        ("n-step-q", DISCRETE, "q-vectors"),
        ("a3c", GAME, None),
        ("a3c", CONTINUOUS, None),
    ],
)
def test_auto_chooses_by_method_and_kind_of_environment(algo, kinds, name):
    found = chosen(AUTO, algo, kinds)
    assert (found and found.name) == name
    assert TrainConfig(env="Own", algo=algo).complete("Own", kinds).preset == (name or PAPER)


def test_auto_chooses_the_first_row_that_fits_and_is_automatic(table):
    asked = row("asked", ["a3c"], {"gamma": 0.1}, is_automatic=False)
    first, second = row("first", ["a3c"], {"gamma": 0.2}), row("second", ["a3c"], {"gamma": 0.3})
    table(asked, first, second)
    assert chosen(AUTO, "a3c", ()) is first
    assert chosen("asked", "a3c", ()) is asked
    assert chosen(AUTO, "ppo", ()) is None


@pytest.mark.parametrize("kinds", [DISCRETE, CONTINUOUS, GAME], ids=["discrete", "continuous", "game"])
@pytest.mark.parametrize("algo", choices("algos"))
def test_paper_leaves_everything_to_the_settings_own_defaults(algo, kinds):
    config = TrainConfig(env="Own", algo=algo, preset=PAPER).complete("Own", kinds)
    read = [f for f in fields(RunConfig) if f.metadata["only"] is None and public_name(f) not in ("env", "algo")]
    assert {f.name: getattr(config, f.name) for f in read if f.name != "preset"} == {
        f.name: default_of(f, kinds) for f in read if f.name != "preset"
    }


@ROWS
def test_a_row_is_the_default_where_it_fits_and_gives_way_to_what_was_given(row):
    asked = {} if row.is_automatic else {"preset": row.name}
    for algo in row.algos:
        config = TrainConfig(env="Own", algo=algo, **asked).complete("Own", row.kinds)
        values = {name: value.value for name, value in row.values.items()}
        assert {name: getattr(config, FIELDS[name].name) for name in values} == values
        given = TrainConfig(env="Own", algo=algo, preset=row.name, max_grad_norm=7).complete("Own", row.kinds)
        assert given == config.changed(max_grad_norm=7.0)


def test_a_list_of_a_preset_is_not_shared_between_runs(table):
    table(row(TABLE[0].name, ["a3c"], {"hidden": [8, 8]}))
    TrainConfig(env="Own").complete("Own", ()).hidden.append(9)
    assert TrainConfig(env="Own").complete("Own", ()).hidden == [8, 8]


@pytest.mark.parametrize(
    ("settings", "kinds", "sentence"),
    [
        ({"preset": "ppo-images"}, GAME, "which is for ppo on images, but this is a3c on Own: leave it out."),
        (
            {"preset": "ppo-images", "algo": "ppo"},
            DISCRETE,
            "which is for ppo on images, but this is ppo on Own: leave it out.",
        ),
    ],
)
def test_a_preset_that_does_not_fit_is_refused_in_one_sentence(settings, kinds, sentence):
    with pytest.raises(ConfigError) as refusal:
        TrainConfig(env="Own", **settings).complete("Own", kinds)
    assert str(refusal.value) == f"preset is {settings['preset']!r}, {sentence}"


def test_a_preset_that_there_is_none_of_is_refused():
    with pytest.raises(ConfigError, match=f"preset is 'fast', but it must be one of {', '.join(NAMES)}"):
        TrainConfig(env="Pong", preset="fast")


def test_a_setting_that_counts_with_a_presets_choice_is_accepted_before_the_environment_is_known(table):
    table(row(TABLE[0].name, ["ppo"], {"optimizer": "shared-adam"}, kinds=[Kind.VECTORS]))
    assert may_set("ppo") == {"optimizer"}
    given = TrainConfig(env="Own", algo="ppo", adam_eps=1e-7)
    assert given.complete("Own", DISCRETE).adam_eps == 1e-7
    with pytest.raises(ConfigError, match="adam_eps is 1e-07, but optimizer shared-rmsprop does not use it"):
        given.complete("Own", GAME)
    with pytest.raises(ConfigError, match="adam_eps is 1e-07, but optimizer shared-rmsprop does not use it"):
        TrainConfig(env="Own", algo="a3c", adam_eps=1e-7)
    with pytest.raises(ConfigError, match="adam_eps is 1e-07, but optimizer rmsprop does not use it"):
        TrainConfig(env="Own", algo="ppo", optimizer="rmsprop", adam_eps=1e-7)


def test_adam_of_ppo_can_be_set_before_its_environment_is_known():
    config = prepare(TrainConfig(env="CartPole-v1", algo="ppo", adam_eps=1e-7)).config
    assert (config.optimizer, config.adam_eps) == ("shared-adam", 1e-7)


def test_a_domain_knows_its_environments_and_a_preset_its_method(table):
    table(
        row(
            TABLE[0].name,
            ["ppo"],
            {"actors": 2, "reward_clip": 3.0, "t_max": 9, "lr": 0.5, "hidden": [8]},
            is_whole=True,
        )
    )
    domains = {"actors": 4, "reward_clip": 5.0, "t_max": 7, "lr": 0.25, "hidden": [4], "gamma": 0.5}
    config = TrainConfig(env="Own", algo="ppo").complete("Own", (), domains)
    assert [FIELDS[name].metadata["group"] for name in ("actors", "reward_clip")] == ["Run", "Environment"]
    assert (config.actors, config.reward_clip) == (4, 5.0)
    assert (config.t_max, config.lr, config.hidden) == (9, 0.5, [8])
    assert config.gamma == 0.5  # the preset says nothing of it
    given = TrainConfig(env="Own", algo="ppo", actors=1, lr=0.125).complete("Own", (), domains)
    assert (given.actors, given.lr) == (1, 0.125)


def test_a_domain_comes_before_a_preset_for_the_papers_methods(table):
    table(row(TABLE[0].name, ["a3c"], {"t_max": 9, "lr": 0.5}))
    config = TrainConfig(env="Own").complete("Own", (), {"t_max": 7})
    assert (config.t_max, config.lr) == (7, 0.5)


def test_environments_are_found_before_a_preset_is_chosen():
    assert resolve(TrainConfig(env="CartPole-v1", algo="ppo"), Mode.TRAINING).spec.obs.len == 4


@pytest.mark.parametrize(("asked", "found"), [([], "a3c-vectors"), (["--preset", "paper"], "paper")])
def test_a_run_keeps_the_name_of_its_preset(asked, found, tmp_path):
    words = ["train", "--env", "CartPole-v1", "--steps", "100", "--actors", "1", "--env-workers", "thread", "--quiet"]
    assert run([*words, *asked, "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["preset"] == found
    rows = next((row.values for row in TABLE if row.name == found), {}).items()
    values = [(name, value) for name, value in rows if name not in ("actors", "total_steps")]  # which were given
    assert {name: config[name] for name, _ in values} == {name: value.value for name, value in values}
    again = TrainConfig.from_mapping(config)  # a run's config.json is a file of settings
    assert prepare(again).config.to_mapping() == config


def test_the_command_line_refuses_a_preset_that_does_not_fit(a3crs, tmp_path):
    code, out, err = a3crs("train", "--env", "CartPole-v1", "--preset", "ppo-images", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err == (
        "a3crs: error: preset is 'ppo-images', which is for ppo on images, but this is a3c on CartPole-v1: "
        "leave it out.\n"
    )


def test_the_list_of_presets_has_every_value_and_source(a3crs):
    code, out, _ = a3crs("list", "presets")
    assert (code, out) == (0, "\n".join(preset_lines()) + "\n")
    for block, row in zip(out.split("\n\n")[1:], TABLE, strict=True):
        head, made_for, *lines = block.splitlines()
        assert head.startswith(f"{row.name}: {row.about}")
        assert all(algo in made_for for algo in row.algos)
        assert [line.split(maxsplit=1)[0] for line in lines] == list(row.values)
        for line, value in zip(lines, row.values.values(), strict=True):
            assert line.endswith(value.source)
            assert f" {shown(value.value)} " in line


def test_the_list_says_where_a_preset_counts_and_that_it_is_not_automatic(table):
    table(row("own", ["ppo", "a2c"], {"gamma": 0.5}, others=[Kind.CONTINUOUS], is_automatic=False))
    assert preset_lines()[-3:] == [
        "own: a test; only with --preset own",
        "  methods: a2c, ppo; environments: not continuous",
        "    gamma  0.5  a test",
    ]


@pytest.mark.parametrize(
    ("rows", "name", "text"),
    [
        ([], "gamma", "0.99"),
        ([], "hidden", ""),
        ([row("one", ["ppo"], {"hidden": [8, 4]})], "hidden", "empty; presets: one 8,4"),
        ([row("one", ["ppo"], {"gamma": 0.99})], "gamma", "0.99"),
        ([row("one", ["ppo"], {"gamma": 0.5})], "gamma", "0.99; presets: one 0.5"),
        # All presets of a method agree.
        ([row("one", ["ppo"], {"gamma": 0.5}), row("two", ["ppo"], {"gamma": 0.5})], "gamma", "0.99; presets: ppo 0.5"),
        # One of the method's presets says nothing.
        (
            [row("one", ["ppo"], {"gamma": 0.5}), row("two", ["ppo"], {"gamma": 0.5}), row("three", ["ppo"], {})],
            "gamma",
            "0.99; presets: one/two 0.5",
        ),
        (
            [row("one", ["ppo"], {"gamma": 0.5}), row("two", ["ppo"], {"gamma": 0.25})],
            "gamma",
            "0.99; presets: one 0.5, two 0.25",
        ),
        # One value of several methods.
        (
            [row(name, [algo], {"gamma": 0.5}) for name, algo in (("one", "ppo"), ("two", "ppo"), ("three", "a2c"))],
            "gamma",
            "0.99; presets: ppo/three 0.5",
        ),
        # The default of that kind already.
        (
            [row("one", ["a2c"], {"normalize_obs": True}, kinds=[Kind.VECTORS])],
            "normalize_obs",
            "no, vectors yes",
        ),
        # Images may come with continuous actions too, whose default it is not.
        (
            [row("one", ["ppo"], {"lambda": 1.0}, kinds=[Kind.IMAGES])],
            "lambda",
            "1, continuous 0.9; presets: one 1",
        ),
        (
            [row("one", ["ppo"], {"lambda": 1.0}, kinds=[Kind.IMAGES], others=[Kind.CONTINUOUS])],
            "lambda",
            "1, continuous 0.9",
        ),
        # Only where it is asked for: it does not speak for its method.
        (
            [row("one", ["ppo"], {"gamma": 0.5}, is_automatic=False), row("two", ["ppo"], {"gamma": 0.5})],
            "gamma",
            "0.99; presets: one/two 0.5",
        ),
    ],
)
def test_a_described_default_has_the_presets_that_change_it(rows, name, text, table):
    table(*rows)
    assert described_default(FIELDS[name]) == text
