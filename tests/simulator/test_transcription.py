"""`/v2` as the vendor API reference tells it."""

import itertools
import struct
from pathlib import Path

import httpx2
import pytest

from service.simulator.options import Options
from tests.simulator.conftest import Vendor, until, vendor_at
from tests.standin import KEY, ledger, reset, running, script, set_faults, totals

Pages = dict[str, tuple[int, str, bytes]]
UNKNOWN = "Transcript lookup error, transcript id not found"


@pytest.mark.parametrize("given", [{}, {"authorization": "wrong"}, {"authorization": f"Bearer {KEY}"}])
def test_only_the_raw_key_opens_v2(url: str, given: dict[str, str]) -> None:
    answer = httpx2.get(f"{url}/v2/transcript", headers=given)
    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication error, API token missing/invalid"})


def test_without_a_set_key_any_key_will_do_but_not_none() -> None:
    with running(Options()) as url:
        assert httpx2.get(f"{url}/v2/transcript", headers={"authorization": "any"}).status_code == 200
        assert httpx2.get(f"{url}/v2/transcript").status_code == 401


def test_submitting_answers_200_queued_and_echoes_the_request(vendor: Vendor) -> None:
    body = {"audio_url": vendor.upload(script("Hi.")), "language_code": "en", "redact_pii": True, "made_up": 1}
    answer = vendor.http.post("/v2/transcript", json=body)
    found = answer.json()
    assert answer.status_code == 200
    assert (found["status"], found["language_code"], found["redact_pii"]) == ("queued", "en_us", True)
    assert found["text"] is None
    assert "made_up" not in found
    assert len(found) >= 80
    assert ledger(str(vendor.http.base_url).rstrip("/"))["unknown_keys"] == {"made_up": 1}


def test_the_statuses_follow_each_other() -> None:
    with running(Options(api_key=KEY, queue_seconds=0.15, process_seconds=0.15)) as url:
        vendor, seen = vendor_at(url), list[str]()
        transcript_id = vendor.submit(script("Hi."))
        while not seen or seen[-1] != "completed":
            status = vendor.read(transcript_id)["status"]
            if status not in seen:
                seen.append(status)
        assert seen == ["queued", "processing", "completed"]
        vendor.http.close()


def test_more_than_the_account_may_have_at_once_wait_throttled_and_in_order() -> None:
    with running(Options(api_key=KEY, queue_seconds=0.0, process_seconds=0.2, parallel_jobs=1)) as url:
        vendor = vendor_at(url)
        first, second = vendor.submit(script("One.")), vendor.submit(script("Two."))
        until(lambda: vendor.read(second)["throttled"])
        assert vendor.read(second)["status"] == "queued"
        until(lambda: vendor.read(second)["status"] == "completed")
        assert vendor.read(first)["status"] == "completed"
        vendor.http.close()


def test_without_speaker_labels_nobody_is_named(vendor: Vendor) -> None:
    found = vendor.transcribe(script("Hello there.", "Hi."))
    assert found["utterances"] is None
    assert {word["speaker"] for word in found["words"]} == {None}
    assert found["text"] == "Hello there. Hi."


def test_channels_are_named_by_number_and_billed_each(vendor: Vendor, url: str) -> None:
    found = vendor.transcribe(script("Hello there.", "Hi.", duration=9.1), multichannel=True, speaker_labels=True)
    assert found["speaker_labels"] is False
    assert [utterance["channel"] for utterance in found["utterances"]] == ["1", "2"]
    assert {word["channel"] for word in found["words"]} == {"1", "2"}
    assert (found["audio_channels"], found["audio_duration"]) == (2, 10)
    assert totals(url)["audio_seconds"] == 20


def test_words_carry_even_times_within_the_recording(vendor: Vendor) -> None:
    words = vendor.transcribe(script("one two three four", duration=4.0))["words"]
    assert (words[0]["start"], words[-1]["end"]) == (0, 4000)
    assert all(before["end"] <= after["start"] for before, after in itertools.pairwise(words))
    assert all(isinstance(word["start"], int) for word in words)


def test_plain_text_after_the_header_is_heard_with_its_speakers(vendor: Vendor) -> None:
    found = vendor.transcribe(b"AFTERWORD-SCRIPT\nA: Good day.\nB: Bye.\n", speaker_labels=True)
    assert [(one["speaker"], one["text"]) for one in found["utterances"]] == [("A", "Good day."), ("B", "Bye.")]
    assert vendor.transcribe(b"AFTERWORD-SCRIPT\nJust some words")["text"] == "Just some words"


def test_detected_language_comes_with_its_confidence(vendor: Vendor) -> None:
    found = vendor.transcribe(script("Guten Tag.", language="de"), language_detection=True)
    assert (found["language_code"], found["language_confidence"]) == ("de", 0.98)


def test_redaction_hides_digits_everywhere(vendor: Vendor) -> None:
    found = vendor.transcribe(script("Call 555 now."), redact_pii=True, redact_pii_return_unredacted=True)
    assert (found["text"], found["words"][1]["text"]) == ("Call ### now.", "###")
    assert found["unredacted_text"] == "Call 555 now."


def test_what_a_script_calls_private_is_hidden_by_its_policy_and_what_a_request_lists_too(vendor: Vendor) -> None:
    recording = script("I am Ann Miller.", "Hello Ann, of Pellwick!", private={"person_name": ["Ann Miller", "Ann"]})
    asked = {
        "redact_pii": True,
        "redact_pii_policies": ["person_name"],
        "redact_static_entities": {"COMPANY": ["Pellwick"]},
        "redact_pii_return_unredacted": True,
        "speaker_labels": True,
        "entity_detection": True,
    }
    found = vendor.transcribe(recording, **asked)
    assert found["text"] == "I am ### ######. Hello ###, of ########!"
    assert [each["text"] for each in found["utterances"]] == ["I am ### ######.", "Hello ###, of ########!"]
    assert found["unredacted_text"] == "I am Ann Miller. Hello Ann, of Pellwick!"
    assert found["unredacted_words"][2]["text"] == "Ann"
    assert found["unredacted_utterances"][1]["text"] == "Hello Ann, of Pellwick!"
    assert {each["text"] for each in found["entities"]} == {"Ann", "Ann Miller"}
    named = vendor.transcribe(recording, **asked, redact_pii_sub="entity_name")
    assert named["text"] == "I am [PERSON_NAME] [PERSON_NAME]. Hello [PERSON_NAME], of [COMPANY]!"
    captions = vendor.http.get(f"/v2/transcript/{found['id']}/srt").text
    assert "Ann" not in captions


def test_silence_completes_empty_and_is_billed(vendor: Vendor, url: str) -> None:
    found = vendor.transcribe(script(duration=3.0))
    assert (found["status"], found["text"], found["words"]) == ("completed", "", [])
    assert totals(url)["audio_seconds"] == 3


NO_SPEECH = "language_detection cannot be performed on files with no spoken audio."


@pytest.mark.parametrize(
    ("audio", "parameters", "told"),
    [
        (script(), {"language_detection": True}, NO_SPEECH),
        (script("Hi.", duration=0.1), {}, "Audio duration is too short."),
        (script("Hi.", duration=36_001), {}, "Audio duration is too long."),
        (script("Hi."), {"speech_threshold": 1.1}, "Audio speech threshold 1.0000 is below the requested"),
        (
            script("Hi."),
            {"language_detection": True, "language_confidence_threshold": 0.99},
            "below the requested confidence threshold value",
        ),
        (b'{"audio": 1}', {}, "Transcoding failed. File type application/json"),
        (b"/tmp/call.mp3", {}, "Transcoding failed. File type text/plain"),
        (b"<!DOCTYPE html><p>No", {}, "File does not appear to contain audio. File type is text/html (HTML document)."),
        (b"fLaC" + bytes(14) + struct.pack(">Q", 16_000 << 44 | 800) + bytes(9), {}, "Audio duration is too short."),
    ],
)
def test_what_cannot_be_heard_ends_in_the_vendors_words(
    vendor: Vendor, url: str, audio: bytes, parameters: dict[str, object], told: str
) -> None:
    found = vendor.transcribe(audio, **parameters)
    assert found["status"] == "error"
    assert told in found["error"]
    assert totals(url)["transcripts_billed"] == 0


def test_no_speech_can_fall_back_to_an_empty_transcript(vendor: Vendor) -> None:
    options = {"on_no_speech_detected": "fallback", "fallback_language": "en"}
    found = vendor.transcribe(script(), language_detection=True, language_detection_options=options)
    assert (found["status"], found["text"]) == ("completed", "")
    assert found["metadata"]["warnings"]


def test_an_unknown_recording_says_how_to_get_ears(vendor: Vendor) -> None:
    noise = (
        b"RIFF" + struct.pack("<I", 36 + 32_000) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    )
    found = vendor.transcribe(noise + b"data" + struct.pack("<I", 32_000) + bytes(32_000))
    if found["status"] == "error":
        assert "pip install 'afterword[recogniser]'" in found["error"]
    else:
        assert found["audio_duration"] == 1


def test_a_bundled_recording_is_known_by_its_bytes(vendor: Vendor) -> None:
    folder = Options().recordings
    path = next(path for path in Path(folder).rglob("*") if path.suffix in {".mp3", ".flac"})
    found = vendor.transcribe(path.read_bytes(), speaker_labels=True)
    assert found["status"] == "completed"
    assert found["utterances"]


def test_audio_is_fetched_from_where_it_lies(vendor: Vendor, files: str, pages: Pages, url: str) -> None:
    pages["/a.wav?X-Amz-Signature=1"] = (200, "audio/wav", script("From afar."))
    found = vendor.transcribe(f"{files}/a.wav?X-Amz-Signature=1")
    assert found["text"] == "From afar."
    assert ledger(url)["submissions"][0]["audio_sha256"] is not None


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/gone", "Download error to {url}, 404 Client Error: Not Found for url: {url}"),
        ("/page", "File does not appear to contain audio. File type is text/html (HTML document)."),
        ("/text", "File does not appear to contain audio. File type is text/plain (ASCII text)."),
    ],
)
def test_what_is_no_audio_behind_a_url_is_told(vendor: Vendor, files: str, pages: Pages, path: str, told: str) -> None:
    pages["/page"] = (200, "text/html", b"<html><body>Sign in</body></html>")
    pages["/text"] = (200, "text/plain", b"nothing to hear")
    found = vendor.transcribe(files + path)
    assert found["error"] == told.format(url=files + path)


def test_a_host_that_does_not_answer_is_a_download_error(vendor: Vendor) -> None:
    found = vendor.transcribe("http://127.0.0.1:9/a.mp3")
    assert found["error"].startswith("Download error, unable to download http://127.0.0.1:9/a.mp3. Please make sure")


def test_a_download_larger_than_allowed_is_a_download_error(files: str, pages: Pages) -> None:
    pages["/big"] = (200, "audio/wav", script("x" * 5000))
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0, max_download_bytes=1000)) as url:
        vendor = vendor_at(url)
        assert vendor.transcribe(f"{files}/big")["error"].startswith("Download error, unable to download")
        vendor.http.close()


def test_uploads_are_bounded_and_never_empty() -> None:
    with running(Options(api_key=KEY, max_upload_bytes=100)) as url:
        vendor = vendor_at(url)
        assert vendor.http.post("/v2/upload", content=b"x" * 101).status_code == 413
        assert vendor.http.post("/v2/upload", content=b"").status_code == 400
        vendor.http.close()


def test_kept_uploads_are_bounded_on_disk() -> None:
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0, kept_upload_bytes=300)) as url:
        vendor = vendor_at(url)
        old, new = vendor.upload(script("o" * 200)), vendor.upload(script("n" * 200))
        assert vendor.transcribe(new)["status"] == "completed"
        assert "Download error" in vendor.transcribe(old)["error"]
        vendor.http.close()


def test_an_uploads_url_is_of_use_to_the_vendor_alone(vendor: Vendor) -> None:
    assert httpx2.get(vendor.upload(script("Hi."))).status_code == 403


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "Invalid endpoint schema"),
        ({"audio_url": 7}, "Invalid endpoint schema"),
        ({"audio_url": "ftp://x/a"}, "Invalid endpoint schema"),
        ({"webhook_url": "nowhere"}, "Invalid endpoint schema"),
        ({"speaker_labels": "yes"}, "Invalid endpoint schema"),
        ({"speech_model": "nano"}, "Invalid endpoint schema"),
        (
            {"speech_models": []},
            '"speech_models" must be a non-empty list containing one or more of: "universal-3-pro"',
        ),
        ({"speech_models": ["whisper"]}, '"speech_models" must be a non-empty list'),
        ({"speaker_options": {}, "speakers_expected": 2}, "Both speaker_options and speakers_expected"),
        ({"redact_pii_return_unredacted": True}, "`redact_pii_return_unredacted` can only be set to True if"),
        ({"auto_chapters": True, "summarization": True}, "Only one of the following models can be enabled"),
        (
            {"speech_understanding": {"request": {"speaker_identification": {}}}},
            "speaker_labels or multichannel required",
        ),
    ],
)
def test_a_bad_request_is_400_and_makes_nothing(vendor: Vendor, url: str, body: dict[str, object], told: str) -> None:
    full = {"audio_url": "https://example.com/a.mp3", **body} if body else body
    answer = vendor.http.post("/v2/transcript", json=full)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(told)
    assert ledger(url)["submissions"] == []


@pytest.mark.parametrize("body", [b"not json", b"[1]"])
def test_a_body_that_is_no_json_object_is_400(vendor: Vendor, body: bytes) -> None:
    assert vendor.http.post("/v2/transcript", content=body).status_code == 400


@pytest.mark.parametrize("path", ["", "/sentences", "/srt", "/redacted-audio", "/word-search?words=a"])
def test_an_unknown_id_is_400_everywhere(vendor: Vendor, path: str) -> None:
    answer = vendor.http.get(f"/v2/transcript/not-an-id{path}")
    assert (answer.status_code, answer.json()) == (400, {"error": UNKNOWN})


def test_parts_are_400_before_completion_and_404_if_there_is_no_such(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "stuck", "times": 1})
    assert vendor.http.get(f"/v2/transcript/{vendor.submit(script('Hi.'))}/srt").status_code == 400
    done = vendor.transcribe(script("Hi."))["id"]
    assert vendor.http.get(f"/v2/transcript/{done}/poem").status_code == 404
    assert vendor.http.get(f"/v2/transcript/{done}/srt?chars_per_caption=0").status_code == 400
    assert vendor.http.get(f"/v2/transcript/{done}/word-search").status_code == 400
    assert vendor.http.get(f"/v2/transcript/{done}/redacted-audio").status_code == 400
    assert vendor.http.get("/v3/nothing").status_code == 404


def test_a_running_transcript_cannot_be_deleted_and_goes_on(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "take", "seconds": 0.3})
    transcript_id = vendor.submit(script("Hi."))
    refused = vendor.http.delete(f"/v2/transcript/{transcript_id}")
    assert (refused.status_code, refused.json()) == (400, {"error": UNKNOWN})
    until(lambda: vendor.read(transcript_id)["status"] == "completed")


def test_deleting_twice_is_200_and_takes_the_upload_along(vendor: Vendor) -> None:
    audio_url = vendor.upload(script("Hi."))
    transcript_id = vendor.transcribe(audio_url)["id"]
    for _ in range(2):
        assert vendor.http.delete(f"/v2/transcript/{transcript_id}").json()["text"] == "Deleted by user."
    assert vendor.read(transcript_id)["confidence"] is None
    assert vendor.transcribe(audio_url)["error"].startswith("Download error")


def test_the_list_is_filtered_and_paged_both_ways(vendor: Vendor) -> None:
    audio_url = vendor.upload(script("Hi."))
    done = [vendor.transcribe(audio_url)["id"] for _ in range(3)]
    failed = vendor.transcribe("http://127.0.0.1:9/x")["id"]

    def ids(**query: str) -> list[str]:
        return [item["id"] for item in vendor.http.get("/v2/transcript", params=query).json()["transcripts"]]

    assert ids() == [failed, *done[::-1]]
    assert ids(status="error") == [failed]
    assert ids(after_id=done[0], limit="2") == [done[2], done[1]]
    assert ids(before_id=done[2], limit="1") == [done[1]]
    assert ids(created_on="2001-01-01") == []
    newest = vendor.http.get("/v2/transcript", params={"limit": "1"}).json()
    assert newest["transcripts"][0]["completed"] is None
    assert newest["transcripts"][0]["error"].startswith("Download error")
    assert newest["page_details"]["next_url"] is None
    older = httpx2.get(newest["page_details"]["prev_url"], headers={"authorization": KEY}).json()
    assert older["transcripts"][0]["id"] == done[2]
    assert older["transcripts"][0]["error"] == ""
    assert "webhook_url" not in older["transcripts"][0]
    assert older["page_details"]["next_url"] is not None


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"status": "done"}, {"before_id": "unknown"}])
def test_a_bad_page_is_400(vendor: Vendor, query: dict[str, str]) -> None:
    assert vendor.http.get("/v2/transcript", params=query).status_code == 400


def test_after_must_be_newer_than_before(vendor: Vendor) -> None:
    old, new = vendor.submit(script("Hi.")), vendor.submit(script("Ho."))
    answer = vendor.http.get("/v2/transcript", params={"after_id": old, "before_id": new})
    assert answer.json() == {"error": "'after_id' must be a newer transcript than 'before_id'"}


def test_redacted_audio_is_202_until_it_is_ready_and_its_link_takes_only_get() -> None:
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0, redacted_audio_seconds=0.3)) as url:
        vendor = vendor_at(url)
        found = vendor.transcribe(script("Hi."), redact_pii=True, redact_pii_audio=True)
        path = f"/v2/transcript/{found['id']}/redacted-audio"
        assert vendor.http.get(path).status_code == 202
        until(lambda: vendor.http.get(path).status_code == 200)
        link = vendor.http.get(path).json()["redacted_audio_url"]
        assert httpx2.get(link).content == script("Hi.")
        assert httpx2.head(link).status_code == 403
        assert httpx2.get(link.partition("?")[0]).status_code == 403
        assert vendor.http.get(path).json()["redacted_audio_url"] != link
        vendor.http.close()


def test_inline_understanding_is_in_the_transcript(vendor: Vendor) -> None:
    asked = {"request": {"summarization": {"summary_type": "paragraph"}, "translation": {"target_languages": ["de"]}}}
    found = vendor.transcribe(script("It is late.", "So it is."), speaker_labels=True, speech_understanding=asked)
    response = found["speech_understanding"]["response"]
    assert response["summarization"]["summary"][0]["text"] == "It is late. So it is."
    assert response["translation"]["status"] == "success"
    assert found["translated_texts"] == {"de": "[de] It is late. So it is."}


def test_speakers_that_are_identified_are_shown_by_their_names(vendor: Vendor) -> None:
    asked = {"request": {"speaker_identification": {"speaker_type": "role", "known_values": ["Agent", "Customer"]}}}
    found = vendor.transcribe(script("Hello.", "Hi."), speaker_labels=True, speech_understanding=asked)
    assert [each["speaker"] for each in found["utterances"]] == ["Agent", "Customer"]
    mapping = found["speech_understanding"]["response"]["speaker_identification"]["mapping"]
    assert mapping == {"A": "Agent", "B": "Customer"}


def test_a_reset_forgets_everything_even_what_was_still_to_come(vendor: Vendor, url: str) -> None:
    set_faults(url, {"do": "take", "seconds": 0.1})
    transcript_id = vendor.submit(script("Hi."))
    reset(url)
    assert vendor.http.get(f"/v2/transcript/{transcript_id}").status_code == 400
    assert vendor.transcribe(script("Ho."))["text"] == "Ho."
    assert totals(url)["transcripts_billed"] == 1


def test_an_upload_that_is_gone_before_it_is_heard_ends_in_an_error() -> None:
    with running(Options(api_key=KEY, queue_seconds=0, process_seconds=0.2, kept_upload_bytes=300)) as url:
        vendor = vendor_at(url)
        transcript_id = vendor.submit(script("o" * 200))
        until(lambda: ledger(url)["submissions"][0]["audio_sha256"] is not None)
        vendor.upload(script("n" * 200))
        until(lambda: vendor.read(transcript_id)["status"] == "error")
        assert vendor.read(transcript_id)["error"].startswith("Download error, unable to access file at ")
        vendor.http.close()
