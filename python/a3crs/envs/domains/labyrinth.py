"""Row of Labyrinth, whose code is in the folder `a3crs.envs.labyrinth`."""

from a3crs.envs.domain import Default, Domain, named

ENV_ID = "a3crs/Labyrinth-v0"

LABYRINTH = Domain(
    name="Labyrinth",
    about="random mazes on ViZDoom, [P] section 5.4",
    matches=named("Labyrinth", ENV_ID),
    entry_point="a3crs.envs.labyrinth:labyrinth_family",
    install="pip install 'a3crs[labyrinth]'",
    defaults={
        "t_max": Default(20, "chosen for Labyrinth, not in the paper"),
        "reward_clip": Default(0.0, "rewards stay raw, because a portal is worth ten apples"),
    },
    threaded=("a3crs.envs.labyrinth.",),
)
