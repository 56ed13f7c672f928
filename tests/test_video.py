import subprocess

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from a3crs import Agent
from a3crs.errors import ConfigError, RunError
from a3crs.video import Showing, _sized, moments, record


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "cartpole"
    return Agent("CartPole-v1", actors=1).learn(steps=300, out=out, quiet=True)


def frames_of(path):
    """Returns the frames that ffmpeg decodes: (n, height, width, 3), of CartPole's size."""
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 400, 600, 3)


def test_an_mp4_has_every_frame_and_the_score_is_told(cartpole, tmp_path):
    heard = []
    record(cartpole, tmp_path / "a.mp4", Showing(seed=4), heard.append)
    (row,) = heard
    assert row["return"] == row["length_steps"]  # CartPole earns 1 a step
    frames = frames_of(tmp_path / "a.mp4")
    assert len(frames) in (row["length_steps"], row["length_steps"] + 1)
    assert frames[0].std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_gif_has_a_frame_a_step(pong_run, tmp_path):
    agent = Agent.load(pong_run)
    record(agent, tmp_path / "a.gif", Showing(max_steps=30, overlay=True))
    with Image.open(tmp_path / "a.gif") as gif:
        assert 20 < gif.n_frames <= 30  # equal frames in a row are merged
        assert gif.width >= 320
        assert gif.height > gif.width * 210 / 160


@pytest.mark.parametrize(
    ("width", "most", "shown"), [(600, 320, 300), (320, 320, 320), (160, 320, 320), (160, None, 480), (641, 320, 212)]
)
def test_images_are_enlarged_and_shrunk_by_whole_numbers(width, most, shown):
    frame = np.random.default_rng(0).integers(0, 256, (100, width, 3), np.uint8)
    sized = _sized(frame, 480, most)
    assert sized.shape[1] == shown
    assert sized.shape[0] % 2 == 0
    by = width // shown
    assert np.abs(sized[0, 0].astype(float) - frame[: max(by, 1), : max(by, 1)].mean(axis=(0, 1))).max() <= 1


def test_the_frames_are_those_of_the_game_the_agent_plays(pong_run):
    agent = Agent.load(pong_run)
    env = agent.make_env(rendered=True)
    shown = list(moments(agent, env, Showing(seed=2, max_steps=20)))
    env.close()
    assert all(frame.shape == (210, 160, 3) for moment in shown for frame in moment.frames)
    assert sum(len(moment.frames) for moment in shown) >= 20 * 4
    assert len({frame.tobytes() for moment in shown for frame in moment.frames}) > 20
    assert shown[-1].steps == 20


@pytest.mark.parametrize(("name", "sentence"), [("a.avi", "end it in .mp4 or .gif"), ("a", "end it in .mp4 or .gif")])
def test_other_kinds_of_files_are_refused(cartpole, tmp_path, name, sentence):
    with pytest.raises(ConfigError, match=sentence):
        record(cartpole, tmp_path / name, Showing())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(cartpole, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises((ConfigError, RunError), match="file"):
        record(cartpole, tmp_path / "file" / "a.gif", Showing(max_steps=2))


def test_the_command_films_a_run(a3crs, cartpole, tmp_path):
    code, out, err = a3crs("video", cartpole.run.path, "-o", tmp_path / "a.gif", "--greedy", "--overlay")
    assert code == 0, err
    assert out.splitlines()[-1] == str(tmp_path / "a.gif")
    assert out.startswith("episode 1: ")
