"""The command killed while it sends recordings on, the service while it asks: begun again, nothing is asked twice.

With a hundred recordings: `python -m tests.longrun.reanalysis`.
"""

from pathlib import Path

from tests.longrun.reanalysis import kept


def test_killed_and_begun_again_each_recording_is_asked_once_whatever_the_vendor_deleted(
    tmp_path: Path, standin: str
) -> None:
    found = kept(tmp_path, standin, 12)
    assert found.sound, found
