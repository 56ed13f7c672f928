from pathlib import Path

from a3crs.wording import episode_line, evaluation_lines, result_lines

SUMMARY = {"frames": 4, "episodes": 1, "updates": 1, "refused_updates": 1, "secs": 2.0, "env_restarts": 0}
SUMMARY |= {"return_mean_100": None, "return_best_100": None}


def test_one_of_a_thing_is_singular():
    lines = result_lines(Path("run"), SUMMARY)
    assert lines[0] == "4 frames, 1 episode, 1 update in 2 s (2 frames/s)"
    assert lines[1] == "1 update refused: the gradients were not finite"
    assert episode_line({"episode": 0, "return": 1.0, "length_steps": 1}) == "episode 1: 1 in 1 step"


def test_environments_that_were_restarted_are_counted():
    lines = result_lines(Path("run"), SUMMARY | {"env_restarts": 2, "refused_updates": 0})
    assert lines[1] == f"2 environment restarts: see {Path('run') / 'restarts.jsonl'}"


def test_more_or_none_of_a_thing_are_plural():
    lines = result_lines(Path("run"), SUMMARY | {"frames": 1000, "episodes": 0, "updates": 1200})
    assert lines[0] == "1,000 frames, 0 episodes, 1,200 updates in 2 s (500 frames/s)"


def test_an_evaluation_is_two_lines_and_a_third_where_a_reference_is_known():
    row = {"episodes": 1, "frames": 400, "policy": "greedy", "mean": 2.0, "median": 2.0, "stderr": None}
    assert evaluation_lines(row | {"human_normalised": None}) == [
        "1 episode at 400 frames, greedy policy",
        "mean 2.0 (standard error -), median 2.0",
    ]
    assert evaluation_lines(row | {"human_normalised": 12.34})[2] == "human-normalised 12.3 %"
