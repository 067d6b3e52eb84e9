"""A large recording goes through the whole service, watcher and hashing included, in the memory of a few pieces."""

from pathlib import Path

from tests.longrun.upload import MOST, passed

SIZE = 256_000_000


def test_a_large_recording_moves_the_memory_by_no_more_than_20_megabytes(tmp_path: Path, standin: str) -> None:
    passage = passed(tmp_path, standin, SIZE)
    assert passage.uploaded == SIZE
    assert passage.moved <= MOST
