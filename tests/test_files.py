import os
from pathlib import Path

import pytest

from a3crs.errors import RunError
from a3crs.files import replacing


def test_a_file_appears_when_the_block_has_ended_well(tmp_path):
    path = tmp_path / "new" / "page.html"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".html"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_of_a_link_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "page.html", tmp_path / "page.html"
    target.write_text("before")
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("after")
    assert (link.is_symlink(), target.read_text()) == (True, "after")


def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    with pytest.raises(RunError, match="it is a device or a pipe"), replacing(pipe):
        pass
    assert pipe.is_fifo()


def test_an_error_about_another_file_is_not_about_this_one(tmp_path):
    def fail(temporary):
        (tmp_path / "gone").read_text()

    with pytest.raises(FileNotFoundError, match="gone"), replacing(tmp_path / "page.html") as temporary:
        fail(temporary)


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before")

    def fail(temporary):
        temporary.write_text("half")
        raise LookupError

    with pytest.raises(LookupError), replacing(path) as temporary:
        fail(temporary)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("file/page.html", r"file is a file, not a folder\.$"),
        ("file/a/page.html", "Not a directory"),
        ("folder", "it is a folder, so name a file in it"),
        ("", "it is a folder"),
    ],
)
def test_where_no_file_can_be_a_sentence_says_why(tmp_path, monkeypatch, name, sentence):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=sentence), replacing(Path(name)) as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
