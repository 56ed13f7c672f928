"""Videos of an agent's play: mp4 at the environment's own speed, or gif with one frame a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from a3crs.agent import Agent
from a3crs.errors import ConfigError
from a3crs.files import replacing
from a3crs.rundir.names import step_name

if TYPE_CHECKING:  # Gymnasium is imported when an environment is made
    from a3crs.envs.play import Frame

LEAST_WIDTH = {".mp4": 480, ".gif": 320}  # pixels; smaller images are enlarged by a whole number
STRIP = 36  # pixels: height of the text above an image
MISSING = "Videos need imageio-ffmpeg and Pillow: install them with pip install 'a3crs[video]'."

Write = Callable[["Frame"], None]


@dataclass(frozen=True, kw_only=True)
class Showing:
    """Options of a video: whole episodes, the i-th from seed + i, each up to `max_steps` where that is given."""

    episodes: int = 1
    seed: int = 0
    greedy: bool = False
    overlay: bool = False  # score and V(s) above the image
    max_steps: int | None = None
    most_width: int | None = None  # pixels; larger images are shrunk by a whole number

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f"episodes is {self.episodes}, but it must be at least 1.")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, but it must be at least 0.")


@dataclass(frozen=True)
class Moment:
    """Step of an episode: the frames since the last step, and the state of the episode after them."""

    frames: "list[Frame]"
    episode: int
    seed: int
    steps: int
    score: float
    value: float  # V of the state in which the agent acted
    over: bool


def default_path(agent: Agent) -> Path:
    """Returns a path in the agent's run, named after its steps; in the working directory for an agent without a run."""
    return Path(step_name(agent.steps, "mp4")) if agent.run is None else agent.run.video(agent.steps)


def record(
    agent: Agent, path: Path, how: Showing, on_episode: Callable[[dict[str, Any]], None] = lambda row: None
) -> None:
    """Plays episodes with the agent and writes the environment's images to `path`, an .mp4 or a .gif file.

    `on_episode` is called with each episode's row as it ends, like an evaluation's. Raises ConfigError for another
    suffix, where a package is missing, and for environments that do not render; RunError where the file cannot be
    written.
    """
    kind = path.suffix.lower()
    if kind not in LEAST_WIDTH:
        raise ConfigError(f"{path} has no suffix that tells what to write: end it in {' or '.join(LEAST_WIDTH)}.")
    env = agent.make_env(rendered=True)
    try:
        fps = env.metadata["render_fps"]
        file = partial(_mp4, fps=fps) if kind == ".mp4" else partial(_gif, fps=fps / agent.env_spec.frames_per_step)
        with replacing(path) as temporary, file(temporary) as write:
            for moment in moments(agent, env, how):
                for frame in moment.frames if kind == ".mp4" else [_pooled(moment.frames)]:
                    sized = _sized(frame, LEAST_WIDTH[kind], how.most_width)
                    write(_under_strip(sized, moment) if how.overlay else sized)
                if moment.over:
                    row = {"episode": moment.episode, "seed": moment.seed, "return": moment.score}
                    on_episode(row | {"length_steps": moment.steps})
    finally:
        env.close()


def moments(agent: Agent, env: Any, how: Showing) -> Iterator[Moment]:
    """Plays the agent step by step; with the same seeds, the episodes are those of an evaluation."""
    for episode in range(how.episodes):
        seed = how.seed + episode
        agent.set_random_seed(seed)
        obs, _ = env.reset(seed=seed)
        state, score, steps, over = None, 0.0, 0, False
        while not over and steps != how.max_steps:
            value = agent.value(obs, state)
            action, state = agent.predict(obs, state, deterministic=how.greedy)
            obs, reward, terminated, truncated, _ = env.step(action)
            score, steps, over = score + reward, steps + 1, terminated or truncated
            yield Moment(env.render(), episode, seed, steps, score, value, over)


def _pooled(frames: "list[Frame]") -> "Frame":
    """Returns the maximum of the last two frames, as in Atari preprocessing: flickering objects are in one of them."""
    return frames[-1] if len(frames) == 1 else np.maximum(frames[-2], frames[-1])


def _sized(frame: "Frame", least_width: int, most_width: int | None) -> "Frame":
    """Returns the frame, enlarged or shrunk by a whole number to the wanted width."""
    width = frame.shape[1]
    if most_width is not None and width > most_width:
        by = -(-width // most_width)
        blocks = frame[: len(frame) // by * by, : width // by * by].reshape(len(frame) // by, by, width // by, by, 3)
        frame = blocks.mean(axis=(1, 3)).astype(np.uint8)
    elif width < least_width:
        by = -(-min(least_width, most_width or least_width) // width)
        frame = frame.repeat(by, axis=0).repeat(by, axis=1)
    return frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2]  # codecs need even sides


def _under_strip(frame: "Frame", moment: Moment) -> "Frame":
    """Returns the frame below a strip with score and value."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (frame.shape[1], STRIP), "black")
    text = f"score {moment.score:g}    V(s) {moment.value:.2f}"
    ImageDraw.Draw(image).text((10, STRIP / 2), text, "white", ImageFont.load_default(STRIP / 2), anchor="lm")
    return np.concatenate([np.asarray(image), frame])


@contextmanager
def _mp4(path: Path, fps: float) -> Iterator[Write]:
    try:
        from imageio_ffmpeg import write_frames
    except ImportError as e:
        raise ConfigError(MISSING) from e
    writer: Any = None

    def write(frame: "Frame") -> None:
        nonlocal writer
        if writer is None:
            height, width = frame.shape[:2]
            options = ["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"]
            writer = write_frames(
                str(path), (width, height), fps=fps, quality=None, macro_block_size=2, output_params=options
            )
            writer.send(None)
        writer.send(np.ascontiguousarray(frame))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _gif(path: Path, fps: float) -> Iterator[Write]:
    try:
        from PIL import Image
    except ImportError as e:
        raise ConfigError(MISSING) from e
    images: list[Image.Image] = []
    # 256 colours are enough for a game's image. Without dithering, unchanged areas compress to nothing.
    yield lambda frame: images.append(Image.fromarray(frame).quantize(dither=Image.Dither.NONE))
    first, *others = images
    first.save(path, save_all=True, append_images=others, duration=max(20, round(1000 / fps)), loop=0)
