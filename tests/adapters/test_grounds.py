"""What a folder holds, found without opening anything."""

import os
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.drops.grounds import Branch, Found, Grounds, Left, waiting
from service.adapters.drops.names import printable, unwanted
from service.domain.identity import file_uri

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255).filter(
    lambda name: len(name.encode()) <= 255 and name not in {".", ".."}
)


@settings(deadline=None, max_examples=60)
@given(name=NAMES, folder=NAMES)
def test_a_file_of_any_name_is_found_under_exactly_that_name(name: str, folder: str) -> None:
    key = f"{folder}/{name}"
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, folder, name)
        path.parent.mkdir()
        path.write_bytes(b"sound")
        grounds = Grounds(Path(root))
        met = list(grounds.walk())
        refused = unwanted(key)
        if refused is None:
            assert [each.key for each in met if isinstance(each, Found)] == [key]
            assert met == [grounds.look(key)]
        else:
            assert met == [Left(*refused)]
        assert grounds.key(str(grounds.path(key))) == key
        assert unquote(urlsplit(file_uri(str(path))).path) == str(path)


@pytest.mark.parametrize(
    ("key", "refused"),
    [
        ("calls/one.mp3", None),
        ("calls/.one.mp3", ("calls/.one.mp3", "hidden")),
        (".trash/one.mp3", (".trash", "hidden")),
        ("one.mp3.PART", ("one.mp3.PART", "temporary")),
        ("one.mp3.download/one.mp3", ("one.mp3.download", "temporary")),
        ("~$minutes.docx", ("~$minutes.docx", "temporary")),
        ("calls/Desktop.ini", ("calls/Desktop.ini", "the operating system's own")),
        ("tmp/part.mp3", None),
        ("~one.mp3", None),
        ("\udcff.mp3", ("\udcff.mp3", "its name is not UTF-8")),
    ],
)
def test_names_tell_what_is_no_recording(key: str, refused: tuple[str, str] | None) -> None:
    assert unwanted(key) == refused


def test_any_key_can_be_logged() -> None:
    assert printable("caf\udce9/\U0001f389\n") == "caf\\xe9/\U0001f389\n"


def test_nothing_is_found_through_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "one.mp3").write_bytes(b"sound")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "link").symlink_to(tmp_path / "outside")
    assert Grounds(inbox).look("link/one.mp3") is None
    assert Grounds(inbox).look("missing.mp3") is None
    assert Grounds(inbox).look("link/one.mp3/deeper") is None


def test_links_inside_are_told_apart_by_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "one.mp3").write_bytes(b"sound")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "one.mp3", "pipe"):
        (tmp_path / f"to {name}").symlink_to(name)
    grounds = Grounds(tmp_path)
    assert isinstance(grounds.look("to one.mp3"), Found)
    assert grounds.look("to folder") == Left("to folder", "a link to a folder")
    assert grounds.look("to pipe") == Left("to pipe", "not a regular file")
    assert grounds.look("folder") == Branch("folder")


def test_a_path_outside_has_no_key(tmp_path: Path) -> None:
    grounds = Grounds(tmp_path)
    assert grounds.key(str(tmp_path)) == ""
    assert grounds.key(f"{tmp_path}2/one.mp3") is None


def test_a_name_too_long_to_stand_anywhere_is_told_as_unreadable(tmp_path: Path) -> None:
    assert Grounds(tmp_path).look("x" * 300) == Left("x" * 300, "File name too long", unreadable=True)


def test_what_waits_is_counted_with_its_size_and_without_our_own_files(tmp_path: Path) -> None:
    contents = {"a.mp3": b"12345", "b/c.wav": b"123", "empty": b"", ".hidden": b"1", "results/x": b"1"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert sorted(waiting(tmp_path, [tmp_path / "results"])) == [("a.mp3", 5), ("b/c.wav", 3)]
    assert list(waiting(tmp_path / "missing")) == []


def test_a_wide_and_deep_folder_is_walked_with_few_open_files(tmp_path: Path) -> None:
    deep = tmp_path
    for level in range(60):
        deep = deep / f"level{level}"
        deep.mkdir()
        (deep / "one.mp3").write_bytes(b"sound")
        (deep.parent / f"side{level}").mkdir()
    walk = Grounds(tmp_path).walk()
    assert isinstance(next(walk), Found)
    walk.close()
    assert len(list(Grounds(tmp_path).walk())) == 60
