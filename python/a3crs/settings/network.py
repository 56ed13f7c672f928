"""Settings of the network, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass, field

from a3crs.checks import choices, in_catalogue, in_range, one_of
from a3crs.complete import CompleteSettings
from a3crs.setting import Only, about, setting

GROUP = "Network"
RECURRENT = Only("net", frozenset({"lstm", "nature-lstm"}))


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(CompleteSettings):
    """The settings that `--help` shows as Network."""

    net: str = setting(
        "ff",
        f"network: {', '.join(choices('nets'))}",
        "[P] section 8: 16@8x8/4, 32@4x4/2, 256, policy and value heads",
        in_catalogue("nets"),
        group=GROUP,
    )
    hidden: list[int] = field(
        default_factory=list,
        metadata=about(
            "units of each fully connected layer before the LSTM or the heads, like 64,64; empty is the net's own",
            "[P] sections 8 and 9: 200 for vectors, 256 for images (nature 512)",
            in_range(1, 65_536),
            group=GROUP,
        ),
    )
    activation: str = setting(
        "relu",
        "activation behind convolutions and hidden layers: relu or tanh",
        "[P] section 8: rectifiers; tanh is usual for vectors elsewhere",
        one_of("relu", "tanh"),
        group=GROUP,
    )
    cells: int = setting(
        0,
        "cells of the LSTM, a multiple of 16; 0 is the net's own",
        "[P] sections 8 and 9: 256 for images, 128 for vectors and for continuous actions",
        in_range(0, 65_536),
        RECURRENT,
        group=GROUP,
    )
    init: str = setting(
        "torch",
        "initial parameters: torch, uniform by the number of inputs, or orthogonal",
        "[P] has Torch's; orthogonal is usual for ppo and a2c",
        one_of("torch", "orthogonal"),
        group=GROUP,
    )
