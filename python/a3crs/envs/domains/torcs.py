"""Row of TORCS, whose code is in the folder `a3crs.envs.torcs`."""

from a3crs.envs.domain import Default, Domain, named

ENV_ID = "a3crs/TORCS-v0"

TORCS = Domain(
    name="TORCS",
    about="the racing game from Debian, [P] section 5.2",
    matches=named("TORCS", ENV_ID),
    entry_point="a3crs.envs.torcs:torcs_family",
    install="sudo apt-get install torcs torcs-data xvfb xdotool",
    defaults={
        "actors": Default(4, "each game takes 160 to 245 MB of memory"),
        "reward_scale": Default(0.02, "chosen for TORCS, see its README", discrete_only=True),
        "reward_clip": Default(
            0.0, "rewards stay raw: clipped, all speeds would be worth the same", discrete_only=True
        ),
    },
    threaded=("a3crs.envs.torcs.",),
)
