"""Atari 2600 games through ALE's C++ vector environment, one game per actor.

`ALEInterface.act` holds the interpreter's lock during emulation, so actor threads on it would not scale.
`AtariVectorEnv(num_envs=1, num_threads=1)` emulates, pools, resizes and stacks in C++ with the lock released; the core
adds the paper's rules on top (`rust/core/src/env/atari.rs`). Two protocols:

- `atari2016` (default), the setting of Mnih et al. 2015 and 2016: action repeat 4, maximum of the last 2 frames,
  84x84 luminance, stack of 4, minimal action set, no sticky actions, up to 30 no-ops at the start of a game and after
  a lost life, a lost life is terminal in training only, games end after 108,000 frames (30 minutes), no FIRE on reset.
- `ale-v5`, the setting of Machado et al. 2018: the same images, but sticky actions (0.25), all 18 actions, no no-ops
  and no life-loss terminal.

Deviations from the paper's emulator (DeepMind's alewrap), all of them ALE's C++ or forced by it:

- the screen is resized with area averaging; alewrap interpolates bilinearly;
- no-ops at the start of a game are uniform on 0..30, in alewrap on 1..30;
- no-ops after a lost life come in whole action repeats, 4 x (1..7) = 4..28 frames, in alewrap 1..30 frames. Their
  rewards count in the game's score but reach no learner;
- an action's repeat runs on through the frame on which a life is lost; alewrap breaks it there;
- the frame that ends a game is not captured: its observation repeats the pooled screen before it (nobody acts on it,
  and only a game cut at 108,000 frames bootstraps from it).
"""

import random
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ale_py import ALEInterface, _ale_py, roms  # type: ignore[attr-defined]  # the module in C++, which the stubs leave out
from ale_py.registration import rom_id_to_name
from ale_py.vector_env import AtariVectorEnv
from gymnasium import spaces

from a3crs import _core
from a3crs.config import RunConfig
from a3crs.envs.family import EnvFamily
from a3crs.envs.gym import gym_ids
from a3crs.envs.play import Frame, PlayEnv
from a3crs.envs.spec import Discrete, EnvSpec, ImageObs, Mode, Observation
from a3crs.errors import ConfigError, EnvError
from a3crs.published.games import spelling_key

FRAMES_PER_STEP = 4
STACK, SCREEN, _ = _core.ATARI_SHAPE
CHECKED_STEPS = 20
MAX_GAME_FRAMES = 108_000  # Table S3: 30 minutes of emulator time

# ALE prints a message and ends the process when it loads one of these: they have no one-player mode.
MULTIPLAYER_ONLY = frozenset({"combat", "joust", "maze_craze", "warlords"})

_FULL_STRENGTH = [1.0]  # paddle strength; anything else is for continuous actions


@dataclass(frozen=True)
class AtariProtocol:
    """Rules a game is played by.

    Sticky actions draw random numbers at each step: what came since a seed has to be played again to get to the same
    place, so seeds come more often. Without, only the starts of games draw.
    """

    sticky_prob: float  # probability, each frame, that the emulator repeats the action before
    full_action_space: bool
    max_noop_frames: int
    life_loss_is_terminal: bool  # in training


# A seed reloads the game, which takes 80 ms.
RESEED_STEPS = 50_000
STICKY_RESEED_STEPS = 16_000

PROTOCOLS = {
    "atari2016": AtariProtocol(0.0, full_action_space=False, max_noop_frames=30, life_loss_is_terminal=True),
    "ale-v5": AtariProtocol(0.25, full_action_space=True, max_noop_frames=0, life_loss_is_terminal=False),
}


def emulator(game: str, protocol: AtariProtocol, *, size: tuple[int, int], **look: Any) -> Any:
    """Returns ALE's C++ object for one game; `size`, height and width, and `look` say what is seen of it.

    Not `AtariVectorEnv`, because the step is the hot path and its own builds arrays nobody needs. Untyped, because its
    stub asks for arrays where the C++ takes any sequence, and lists are faster.
    """
    return AtariVectorEnv(
        game,
        num_envs=1,
        num_threads=1,
        max_num_frames_per_episode=MAX_GAME_FRAMES,
        repeat_action_probability=protocol.sticky_prob,
        full_action_space=protocol.full_action_space,
        img_height=size[0],
        img_width=size[1],
        noop_max=protocol.max_noop_frames + 1,  # ALE draws from 0..noop_max-1
        # ALE's own episodic_life restarts the whole game at each lost life: the later lives would never be
        # seen, and no score of a whole game would exist. Lives are therefore followed by the core's `Game`.
        episodic_life=False,
        reward_clipping=False,
        use_fire_reset=False,
        **look,
    ).ale


class Noops:
    """Random numbers of no-ops after lost lives, in whole action repeats.

    They depend on the last seed and the number of games since, on nothing else.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rng = random.Random()
        self._seed, self._game = 0, 0

    def new_game(self, seed: int | None) -> None:
        """Starts the numbers of a game."""
        self._seed, self._game = (self._seed, self._game + 1) if seed is None else (seed, 0)
        self._rng.seed((self._seed << 32) + self._game)

    def draw(self) -> int:
        """Draws the number of no-ops after a lost life."""
        return self._rng.randint(1, self._most)


class AtariGame:
    """One game on one emulator, speaking the `Env` protocol; observations are uint8 of shape (4, 84, 84).

    The rules are the core's (`rust/core/src/env/atari.rs`), and actors play `core` itself. With `native` it steps ALE
    through its C interface, without the interpreter's lock, otherwise as Python does.
    """

    def __init__(self, game: str, protocol: AtariProtocol, mode: Mode, *, native: bool = False) -> None:
        ale = emulator(game, protocol, size=(SCREEN, SCREEN), stack_num=STACK, frameskip=FRAMES_PER_STEP)
        interface = (bytes(ale.handle()), _ale_py.VectorXLAStep(), _ale_py.VectorXLAReset()) if native else None
        noops = Noops(protocol.max_noop_frames // FRAMES_PER_STEP)
        cuts_at_life_loss = protocol.life_loss_is_terminal and mode is Mode.TRAINING
        self.num_actions = len(ale.get_action_set())
        self.core = _core.Game(ale, interface, noops, self.num_actions, cuts_at_life_loss)

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Goes on after a lost life, else starts a new game.

        A seed makes the emulator and the no-ops repeatable; it reloads the game (80 ms), so it is not meant for every
        reset. The emulator takes it modulo 2^31, which is what ALE holds.
        """
        obs = np.empty(_core.ATARI_SHAPE, np.uint8)
        self.core.reset(seed, obs)
        return obs, {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Repeats the action for 4 frames; the reward is the raw sum of their rewards."""
        obs = np.empty(_core.ATARI_SHAPE, np.uint8)
        reward, terminated, truncated, whole = self.core.step(action, obs)
        info = {} if whole is None else {"episode": {"r": whole[0], "l": whole[1]}}
        return obs, reward, terminated, truncated, info


class AtariScreen:
    """Screen of a game as a person sees it: each of its 60 frames a second, in colours.

    It plays the game once more, on an emulator of its own, from the same seed with the same actions: one emulator shows
    either what the agent sees or this.
    """

    fps = 60.0

    def __init__(self, game: str, protocol: AtariProtocol) -> None:
        ale = ALEInterface()
        path = roms.get_rom_path(game)
        assert path is not None  # it is one of `games()`
        ale.loadROM(path)
        self._ale = emulator(
            game, protocol, size=ale.getScreenDims(), stack_num=1, frameskip=1, maxpool=False, grayscale=False
        )

    def reset(self, seed: int | None) -> list[Frame]:
        """Starts a game; returns its first frame."""
        obs, _ = self._ale.reset([0], [-1 if seed is None else seed % 2**31])
        return [obs[0, 0].copy()]

    def step(self, action: int) -> list[Frame]:
        """Repeats an action; returns the frames, fewer where the game is over."""
        frames: list[Frame] = []
        over = False
        while len(frames) < FRAMES_PER_STEP and not over:
            self._ale.send([action], _FULL_STRENGTH)
            obs, _, terminated, truncated, _ = self._ale.recv()
            frames.append(obs[0, 0].copy())
            over = terminated.item() or truncated.item()
        return frames

    def close(self) -> None:
        """Does nothing: ALE has nothing to be let go of."""


def game_of(name: str) -> str | None:
    """Returns ALE's name for any way people write a game: `Pong`, `ALE/Pong-v5`, `PongNoFrameskip-v4`, `ms_pacman`.

    The name picks the game only; the rules it is played by are the protocol's. None where no game has that name.
    """
    return _games_by_key().get(spelling_key(name))


def games() -> list[str]:
    """Returns ALE's names of the games that can be played, sorted."""
    return sorted(set(roms.get_all_rom_ids()) - MULTIPLAYER_ONLY)


def display_name(game: str) -> str:
    """Returns the name in Gymnasium's ids and in run directories: `MontezumaRevenge` for `montezuma_revenge`."""
    return rom_id_to_name(game)


def atari_family(game: str, protocol: str, mode: Mode) -> EnvFamily:
    """Returns the family of one game under one protocol; starts the emulator to learn the number of actions."""
    if game in MULTIPLAYER_ONLY:
        raise ConfigError(f"{display_name(game)} needs two players; a3crs plays one-player games only.")
    if protocol not in PROTOCOLS:
        raise ConfigError(f"There is no protocol {protocol!r}: choose {' or '.join(map(repr, PROTOCOLS))}.")
    rules = PROTOCOLS[protocol]
    spec = EnvSpec(
        name=display_name(game),
        obs=ImageObs(STACK, SCREEN, SCREEN),
        actions=Discrete(AtariGame(game, rules, mode).num_actions),
        frames_per_step=FRAMES_PER_STEP,
        own_thread=True,
        reseed_steps=STICKY_RESEED_STEPS if rules.sticky_prob else RESEED_STEPS,
        random_steps=rules.sticky_prob > 0,
        game=game,
    )
    native = _native_is_equal(game, rules)

    def play(rendered: bool) -> PlayEnv:
        env = AtariGame(game, rules, Mode.EVALUATION)
        screen = AtariScreen(game, rules) if rendered else None
        return PlayEnv(spec, env, env.step, spaces.Discrete(env.num_actions), screen)

    return EnvFamily(spec, lambda actor: AtariGame(game, rules, mode, native=native), int, play)


def named_family(config: RunConfig, mode: Mode) -> EnvFamily | None:
    """Returns the family of the game `config.env`; None for other names and for ids of Gymnasium's.

    Blackjack-v1 is Gymnasium's, Blackjack is Atari's.
    """
    game = game_of(config.env)
    if game is None or config.env in gym_ids():
        return None
    return atari_family(game, config.protocol, mode)


def _native_is_equal(game: str, rules: AtariProtocol) -> bool:
    """Returns true where ALE's C interface shows the game as Python's does; says so on standard error if not."""
    try:
        native, python = (AtariGame(game, rules, Mode.EVALUATION, native=n) for n in (True, False))
        difference = native.core.differs(python.core, CHECKED_STEPS)
    except (AttributeError, EnvError, TypeError, ValueError) as e:  # an ale-py without the interface, or with another
        difference = str(e)
    if difference:
        print(f"a3crs: games are played through Python, a little slower: {difference}.", file=sys.stderr)
    return not difference


@cache
def _games_by_key() -> dict[str, str]:
    return {spelling_key(game): game for game in roms.get_all_rom_ids()}
