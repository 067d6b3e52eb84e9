"""What a failed transcript's own words call for: the table of the vendor's API reference."""

import pytest

from service.domain.vendor_errors import Remedy, after_error


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Server error, developers have been alerted", Remedy.RESUBMIT),
        ("server error, developers have been alerted.", Remedy.RESUBMIT),
        ("Internal Server Error", Remedy.RESUBMIT),
        ("Download error, unable to download https://h/k. Please make sure the file exists", Remedy.FRESH_URL),
        ("Download error to https://h/k, 403 Client Error: Forbidden for url: https://h/k", Remedy.FRESH_URL),
        ("  download error, unable to access file at https://h/k", Remedy.FRESH_URL),
        ("language_detection cannot be performed on files with no spoken audio.", Remedy.NO_SPEECH),
        ("File does not appear to contain audio. File type is text/html (…).", Remedy.FINAL),
        ("Transcoding failed. File type application/json", Remedy.FINAL),
        ("Audio duration is too short.", Remedy.FINAL),
        ("Audio duration is too long", Remedy.FINAL),
        ("0.4 is below the requested confidence threshold value 0.8", Remedy.LANGUAGE),
        ("Audio speech threshold 0.9461 is below the requested speech threshold value 1.0", Remedy.FINAL),
        ("A transcript about a server error", Remedy.FINAL),
        ("", Remedy.FINAL),
    ],
)
def test_each_documented_failure_has_its_remedy(text: str, remedy: Remedy) -> None:
    assert after_error(text) is remedy
