"""Row of Gymnasium's ids, also those that other packages register; `a3crs.envs.gym` makes the environments."""

from collections.abc import Iterable

from a3crs.envs.domain import Domain


def _names() -> Iterable[str]:
    from a3crs.envs.gym import gym_ids

    return gym_ids()


GYMNASIUM = Domain(
    name="Gymnasium",
    about="any id: CartPole-v1, HalfCheetah-v5, or package:MyEnv-v0, which imports the package first",
    matches=lambda name: True,  # the entry point asks Gymnasium's registry
    entry_point="a3crs.envs.gym:registered_family",
    names=_names,
    threaded=("gymnasium.envs.classic_control.", "gymnasium.envs.toy_text.", "gymnasium.envs.mujoco."),
)
