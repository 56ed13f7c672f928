"""Row of CarRacing, whose code is in `a3crs.envs.racing`. CarRacing-v3 is Gymnasium's own."""

from a3crs.envs.domain import Default, Domain, named

ENV_ID = "a3crs/CarRacing-v0"

RACING = Domain(
    name="CarRacing",
    about="Gymnasium's track and car seen and driven as in TORCS, where that cannot be installed",
    matches=named("CarRacing", ENV_ID),
    entry_point="a3crs.envs.racing:racing_family",
    install="pip install 'a3crs[racing]'",
    defaults={
        "reward_scale": Default(0.1, "chosen for CarRacing", discrete_only=True),
        "reward_clip": Default(0.0, "rewards stay raw", discrete_only=True),
    },
)
