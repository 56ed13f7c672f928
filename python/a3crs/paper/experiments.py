"""Table of the paper's experiments, one entry for each of its tables and figures. A new experiment is a new entry.

Sections and figures are those of Mnih et al. 2016, arXiv 1602.01783v2.
"""

from dataclasses import replace

from a3crs.errors import ConfigError, did_you_mean
from a3crs.paper import measures
from a3crs.paper.definition import Experiment
from a3crs.published.atari57 import references

FIVE_GAMES = ("BeamRider", "Breakout", "Pong", "Qbert", "SpaceInvaders")
SEVEN_GAMES = ("BeamRider", "Breakout", "Enduro", "Pong", "Qbert", "Seaquest", "SpaceInvaders")
OPTIMIZERS_GAMES = ("BeamRider", "Breakout", "Seaquest", "SpaceInvaders")
METHODS = ("one-step-q", "one-step-sarsa", "n-step-q", "a3c")
TASKS: tuple[str, ...] = (
    "cartpole-balance",
    "cartpole-swingup",
    "pendulum-swingup",
    "point_mass-easy",
    "reacher-easy",
    "cheetah-run",
)
TASKS += ("hopper-hop", "walker-walk", "ball_in_cup-catch", "finger-spin", "manipulator-bring_ball")

SIXTEEN = {"actors": 16}
UP_TO_SIXTEEN = {"actors": [1, 2, 4, 8, 16]}
RATES = {"lr": "loguniform:1e-4:1e-2"}  # section 5.1
DAY = 320_000_000  # the authors' one-day runs; the paper does not give the length of the figures' runs
LENGTH = "The paper does not say how long these runs were: 320M frames, its one-day runs, are taken for its size."
TRAINING = "Scores are returns of training episodes; the paper does not say how its own were measured."
STARTS = (
    "Games start with up to 30 no-ops; the paper's tables have starts where a human had played to, which were never "
    "published."
)
CONTINUOUS = {
    "net": "lstm",
    "gaussian": "spherical",
    "t_max": "episode",
    "normalize_obs": False,
    "reward_scale": 1.0,
    "lambda": 1.0,
    "bound_coef": 0.0,
    "max_grad_norm": 40.0,
    "rms_eps": 0.1,
}
RACES = [{"car": car, "opponents": opponents} for car in ("slow", "fast") for opponents in (0, 4)]

OVER_FRAMES = Experiment(
    name="fig3",
    asks="Do more actor-learners need less data?",
    caption="Score over frames by the number of threads, mean of the best 3 of 50 learning rates.",
    games=FIVE_GAMES,
    methods=("one-step-q", "n-step-q", "a3c"),
    settings=UP_TO_SIXTEEN | RATES,
    frames=DAY,
    draws=50,
    best=3,
    deviations=(LENGTH, TRAINING),
    shown_by=measures.curves("frames"),
)
OVER_HOURS = replace(
    OVER_FRAMES,
    name="fig4",
    asks="Do more actor-learners need less time?",
    caption=OVER_FRAMES.caption.replace("frames", "hours"),
    shown_by=measures.curves("hours"),
)
OVER_GAMES = Experiment(
    name="tab1",
    asks="How good is A3C on 57 games?",
    caption="Mean and median human-normalised scores over 57 games, one learning rate, the final parameters.",
    games=tuple(references()),
    methods=("a3c",),
    settings=SIXTEEN | {"net": ["ff", "lstm"]},
    frames=1_000_000_000,  # the paper's four days; one day is 320M
    evaluated=True,
    deviations=(
        STARTS,
        "The paper gives no t_max for these runs: 5 is that of the others, an e-mail of its authors names 20.",
    ),
    shown_by=measures.over_games,
)

EVERY = (
    Experiment(
        name="fig1",
        asks="How fast do the four methods learn, next to DQN on a GPU?",
        caption="Score over hours, 16 threads, mean of the best 5 of 50 learning rates; DQN: mean of 5 seeds.",
        games=FIVE_GAMES,
        methods=METHODS,
        settings=SIXTEEN | RATES,
        frames=DAY,
        draws=50,
        best=5,
        deviations=(LENGTH, TRAINING),
        shown_by=measures.curves("hours", also=("dqn",)),
    ),
    Experiment(
        name="fig2",
        asks="How much does A3C depend on the learning rate?",
        caption="The scores of A3C with 50 learning rates and initialisations drawn at random.",
        games=FIVE_GAMES,
        methods=("a3c",),
        settings=SIXTEEN | RATES,
        frames=DAY,
        draws=50,
        deviations=(LENGTH, TRAINING),
        shown_by=measures.over_learning_rates,
    ),
    OVER_FRAMES,
    OVER_HOURS,
    Experiment(
        name="figS5",
        asks="Which optimizer is the most robust?",
        caption="The scores of 50 random learning rates and initialisations, best first, for each optimizer.",
        games=OPTIMIZERS_GAMES,
        methods=("n-step-q", "a3c"),
        settings=SIXTEEN | {"optimizer": ["momentum-sgd", "rmsprop", "shared-rmsprop"]} | RATES,
        frames=DAY,
        draws=50,
        deviations=(LENGTH, TRAINING, "The paper gives no momentum for SGD: 0.9 is taken."),
        shown_by=measures.ranks,
    ),
    Experiment(
        name="figS6",
        asks="How well do the methods drive in TORCS?",
        caption="Score over hours for two cars, with and without bots, mean of the best 5 of 50 learning rates.",
        games=("TORCS",),
        methods=METHODS,
        settings=SIXTEEN | {"env_kwargs": RACES} | RATES,
        frames=720_000_000,  # 47 hours, the length of the figure's axis, at the speed of figures 3 and 4
        draws=50,
        best=5,
        deviations=(
            TRAINING,
            "The paper names no track, cars, actions, episodes or scale of the reward: scores are not comparable.",
        ),
        shown_by=measures.curves("hours", also=("human",)),
    ),
    Experiment(
        name="figS8",
        asks="Does A3C learn continuous control?",
        caption="Score over hours of MuJoCo's tasks, the best 5 experiments of each.",
        games=tuple(f"dm_control/{task}-v0" for task in TASKS),
        methods=("a3c",),
        settings=SIXTEEN | CONTINUOUS | {"lr": "loguniform:1e-5:1e-1"},  # section 9
        frames=10_000_000,  # the paper says "less than 24 hours" and no number
        draws=50,
        best=5,
        deviations=(
            TRAINING,
            "The paper's tasks were never published: dm_control's nearest relatives have other bodies and rewards, so "
            "none of its curves is drawn.",
            "The paper does not say how many threads or draws: 16 and 50 are those of its other figures.",
        ),
        shown_by=measures.curves("hours"),
    ),
    replace(
        OVER_FRAMES,
        name="figS9",
        asks="Do more actor-learners with one-step Sarsa need less data?",
        methods=("one-step-sarsa",),
    ),
    replace(
        OVER_HOURS,
        name="figS10",
        asks="Do more actor-learners with one-step Sarsa need less time?",
        methods=("one-step-sarsa",),
    ),
    Experiment(
        name="figS11",
        asks="How much do the other three methods depend on the learning rate?",
        caption="The scores of 50 learning rates and initialisations drawn at random.",
        games=FIVE_GAMES,
        methods=METHODS[:3],
        settings=SIXTEEN | RATES,
        frames=DAY,
        draws=50,
        deviations=(LENGTH, TRAINING),
        shown_by=measures.over_learning_rates,
    ),
    OVER_GAMES,
    Experiment(
        name="tab2",
        asks="How many times sooner do more actor-learners reach a score?",
        caption="Time of one thread to a fixed reference score over that of so many, mean of seven games.",
        games=SEVEN_GAMES,
        methods=METHODS,
        settings=UP_TO_SIXTEEN | RATES,
        frames=DAY,
        draws=50,
        best=3,
        deviations=(
            LENGTH,
            TRAINING,
            "The paper does not give its reference scores. Ours is, for each game and method, half of the way from the "
            "first mean of 100 episodes to the highest that every number of actors has reached in one of its runs.",
            "The time is a mean over those of the best draws that have reached it.",
        ),
        shown_by=measures.speed_ups,
    ),
    replace(
        OVER_GAMES,
        name="tabS3",
        asks="What does A3C score in each of 57 games?",
        caption="Raw scores, one learning rate, the final parameters.",
        shown_by=measures.by_game,
    ),
)
EXPERIMENTS = {each.name: each for each in EVERY}


def experiment(name: str) -> Experiment:
    """Returns the experiment of this name, `fig2` or `tabS3`, in any case; raises ConfigError where there is none."""
    known = {each.lower(): each for each in EXPERIMENTS}
    if name.lower() not in known:
        raise ConfigError(
            f"There is no experiment {name!r}{did_you_mean(name, EXPERIMENTS)}: {', '.join(EXPERIMENTS)}."
        )
    return EXPERIMENTS[known[name.lower()]]
