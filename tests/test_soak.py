import os
from dataclasses import replace

import pytest
from tests.soak import Sample, sample, verdict


def samples(count=200, **slopes):
    flat = {"rss_mb": 100.0, "open_files": 6, "threads": 18, "processes": 1}
    return [
        Sample(secs=i, **{name: value + slopes.get(name, 0) * i // 10 for name, value in flat.items()})
        for i in range(count)
    ]


def test_what_stays_flat_has_not_grown():
    assert verdict(samples()) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rss_mb", "resident memory grew from 104.0 to 117.0 MB"),
        ("open_files", "open_files grew from 8 to 21"),
        ("threads", "threads grew from 20 to 33"),
        ("processes", "processes grew from 3 to 16"),
    ],
)
def test_what_grows_is_named(name, sentence):
    assert verdict(samples(**{name: 1})) == sentence


def test_a_checkpoint_that_is_being_written_is_no_leak():
    writing = samples()
    writing[-3:] = [replace(last, open_files=7, threads=19) for last in writing[-3:]]
    assert verdict(writing) is None


def test_one_file_that_stays_open_is_a_leak():
    begun, ended = samples()[:150], [replace(last, open_files=7) for last in samples()[150:]]
    assert verdict(begun + ended) == "open_files grew from 6 to 7"


def test_the_start_of_a_run_is_not_judged():
    begun = [Sample(secs=0, rss_mb=10, open_files=99, threads=99, processes=9)] * 20
    assert verdict(begun + samples(180)) is None


def test_too_few_samples_are_no_proof():
    with pytest.raises(ValueError, match="are too few"):
        verdict(samples(10))


def test_a_process_and_its_children_are_counted():
    held = sample(os.getpid(), 1.0)
    assert held.rss_mb > 10
    assert held.threads >= 1
    assert held.open_files >= 3
    assert held.processes >= 1
