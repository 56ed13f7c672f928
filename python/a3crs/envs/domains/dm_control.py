"""Row of dm_control's tasks, which `a3crs.envs.mujoco` registers with Gymnasium."""

from a3crs.envs.domain import Domain

PREFIX = "dm_control/"

DM_CONTROL = Domain(
    name="dm_control",
    about="DeepMind's tasks on MuJoCo: dm_control/cheetah-run-v0",
    matches=lambda name: name.startswith(PREFIX),
    entry_point="a3crs.envs.gym:dm_control_family",
    names=lambda: (),  # known only once dm_control is installed
    install="pip install 'a3crs[dm-control]'",
)
