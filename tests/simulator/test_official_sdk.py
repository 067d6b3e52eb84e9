"""The official SDK, unchanged, is the judge of the stand-in."""

from collections.abc import Iterator
from pathlib import Path

import assemblyai
import pytest

from tests.simulator.conftest import Receiver, until
from tests.standin import KEY, script, set_faults, totals, write_script

# The SDK still speaks pydantic 1 to pydantic 2; these are the only warnings that it is allowed.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The `(copy|dict|parse_obj|__fields__)` (method|attribute) is deprecated:"
    "pydantic.warnings.PydanticDeprecatedSince20"
)
TEXTS = (
    "Hello, my kettle leaks from the base.",
    "I am sorry. We will send a new one on Thursday.",
    "Thank you, Martin.",
)


@pytest.fixture
def client(url: str) -> Iterator[assemblyai.Client]:
    settings = assemblyai.Settings(api_key=KEY, base_url=url, llm_gateway_base_url=url, polling_interval=0.02)
    found = assemblyai.Client(settings=settings)
    yield found
    found.http_client.close()


@pytest.fixture
def transcriber(client: assemblyai.Client) -> assemblyai.Transcriber:
    return assemblyai.Transcriber(client=client)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_script(tmp_path / "call.mp3", *TEXTS, duration=7.3)


@pytest.fixture
def transcript(transcriber: assemblyai.Transcriber, recording: Path) -> assemblyai.Transcript:
    return transcriber.transcribe(str(recording), assemblyai.TranscriptionConfig(speaker_labels=True))


@pytest.fixture
def everywhere(url: str) -> Iterator[None]:
    """Some of the SDK's functions take no client and use its global settings."""
    before = assemblyai.settings.api_key, assemblyai.settings.base_url
    assemblyai.settings.api_key, assemblyai.settings.base_url = KEY, url
    yield
    assemblyai.settings.api_key, assemblyai.settings.base_url = before


def test_it_uploads_and_transcribes_by_polling(transcript: assemblyai.Transcript) -> None:
    assert transcript.status == assemblyai.TranscriptStatus.completed
    assert transcript.text == " ".join(TEXTS)
    assert transcript.audio_duration == 8
    assert transcript.utterances is not None
    assert [utterance.speaker for utterance in transcript.utterances] == ["A", "B", "A"]
    assert transcript.words is not None
    assert transcript.words[0].text == "Hello,"


def test_a_url_is_transcribed_too(
    transcriber: assemblyai.Transcriber, files: str, pages: dict[str, tuple[int, str, bytes]]
) -> None:
    pages["/a.mp3"] = (200, "audio/mpeg", script("From afar."))
    assert transcriber.transcribe(f"{files}/a.mp3").text == "From afar."


def test_submit_brings_a_webhook_with_the_header(
    transcriber: assemblyai.Transcriber, recording: Path, receiver: Receiver
) -> None:
    config = assemblyai.TranscriptionConfig().set_webhook(
        f"{receiver.url}/callbacks/7?x=1", "X-Afterword-Token", "s" * 64
    )
    submitted = transcriber.submit(str(recording), config)
    callback = receiver.wait(1)[0]
    assert callback.path == "/callbacks/7?x=1"
    assert callback.headers["x-afterword-token"] == "s" * 64
    assert callback.body == {"transcript_id": submitted.id, "status": "completed"}


def test_it_lists_page_by_page(transcriber: assemblyai.Transcriber, recording: Path) -> None:
    upload_url = transcriber.upload_file(str(recording))
    ids = [transcriber.submit(upload_url).id for _ in range(5)]
    first = transcriber.list_transcripts(assemblyai.ListTranscriptParameters(limit=3))
    assert [item.id for item in first.transcripts] == ids[:1:-1]
    older = assemblyai.ListTranscriptParameters(limit=3, before_id=first.page_details.before_id_of_prev_url)
    second = transcriber.list_transcripts(older)
    assert [item.id for item in second.transcripts] == ids[1::-1]
    assert second.page_details.prev_url is None


def test_sentences_and_paragraphs(transcript: assemblyai.Transcript) -> None:
    sentences = [sentence.text for sentence in transcript.get_sentences()]
    assert sentences == [TEXTS[0], "I am sorry.", "We will send a new one on Thursday.", TEXTS[2]]
    assert " ".join(paragraph.text for paragraph in transcript.get_paragraphs()) == transcript.text


def test_captions(transcript: assemblyai.Transcript) -> None:
    srt = transcript.export_subtitles_srt(chars_per_caption=20)
    assert srt.startswith("1\n00:00:00,000 --> 00:00:0")
    assert all(len(line) <= 20 for line in srt.splitlines() if "-->" not in line)
    assert transcript.export_subtitles_vtt().startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_words_are_found(transcript: assemblyai.Transcript) -> None:
    matches = transcript.word_search(["kettle", "new one", "giraffe"])
    assert [(match.text, match.count, match.indexes) for match in matches] == [("kettle", 1, [2]), ("new one", 1, [14])]


@pytest.mark.usefixtures("everywhere")
def test_deleting_leaves_a_completed_shell(transcript: assemblyai.Transcript) -> None:
    assert transcript.id is not None
    deleted = assemblyai.Transcript.delete_by_id(transcript.id)
    assert deleted.text == "Deleted by user."
    found = assemblyai.Transcript.get_by_id(transcript.id)
    assert found.status == assemblyai.TranscriptStatus.completed
    assert found.text == "Deleted by user."
    assert found.audio_url == "http://deleted_by_user"
    assert found.words is None


def test_redacted_audio_is_waited_for(transcriber: assemblyai.Transcriber, recording: Path, tmp_path: Path) -> None:
    policies = [assemblyai.PIIRedactionPolicy.person_name]
    config = assemblyai.TranscriptionConfig().set_redact_pii(policies=policies, redact_audio=True)
    transcript = transcriber.transcribe(str(recording), config)
    transcript.save_redacted_audio(str(tmp_path / "redacted.mp3"))
    assert (tmp_path / "redacted.mp3").read_bytes() == recording.read_bytes()


def test_the_gateway_fills_in_the_transcript(
    client: assemblyai.Client, transcript: assemblyai.Transcript, url: str
) -> None:
    answer = assemblyai.LLMGateway(client=client).chat.completions.create(
        model="claude-sonnet-4-6",
        messages=[{"role": "user", "content": "What will be sent? List the action items.\n\n{{ transcript }}"}],
        transcript_id=transcript.id,
        max_tokens=200,
    )
    content = answer.choices[0].message.content
    assert content == "[stand-in extract] We will send a new one on Thursday."
    assert answer.choices[0].finish_reason == "end_turn"
    assert answer.usage.prompt_tokens == answer.usage.input_tokens
    assert totals(url)["asks_billed"] == 1


def test_the_gateway_streams(client: assemblyai.Client) -> None:
    chunks = assemblyai.LLMGateway(client=client).chat.completions.create(
        model="gpt-5-mini",
        messages=[{"role": "user", "content": "Summarize.\n\n" + "It was a long day and much was said about it. " * 5}],
        stream=True,
        stream_options={"include_usage": True},
    )
    said, usage = "", None
    for chunk in chunks:
        said += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert said.startswith("[stand-in extract] It was a long day")
    assert usage is not None


def test_models_understanding_and_its_check(client: assemblyai.Client, transcript: assemblyai.Transcript) -> None:
    gateway = assemblyai.LLMGateway(client=client)
    models = gateway.models.list().data
    assert "claude-sonnet-4-6" in {model.id for model in models}
    request = {"summarization": {"summary_type": "bullets"}, "action_items": {}, "speaker_identification": {
        "speaker_type": "name", "known_values": ["Ann", "Martin"]}}  # fmt: skip
    gateway.understanding.validate(request=request, transcript_id=transcript.id)
    response = gateway.understanding.create(transcript_id=transcript.id, request=request).speech_understanding[
        "response"
    ]
    assert response["summarization"]["status"] == "success"
    assert response["speaker_identification"]["mapping"] == {"A": "Ann", "B": "Martin"}
    assert [item["action_item"] for item in response["action_items"]["items"]] == [TEXTS[1]]


def test_a_bad_key_is_401_on_both_apis(url: str) -> None:
    settings = assemblyai.Settings(api_key="wrong", base_url=url, llm_gateway_base_url=url)
    client = assemblyai.Client(settings=settings)
    with pytest.raises(assemblyai.TranscriptError, match="Authentication error, API token missing/invalid") as refused:
        assemblyai.Transcriber(client=client).submit("https://example.com/a.mp3")
    assert refused.value.status_code == 401
    with pytest.raises(assemblyai.LLMGatewayError, match="Authentication error") as closed:
        assemblyai.LLMGateway(client=client).chat.completions.create(model="gpt-5", messages=[])
    assert closed.value.status_code == 401
    client.http_client.close()


@pytest.mark.usefixtures("everywhere")
def test_an_unknown_id_is_400() -> None:
    with pytest.raises(assemblyai.TranscriptError, match="transcript id not found") as refused:
        assemblyai.Transcript.get_by_id("00000000-0000-4000-8000-000000000000")
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"model": "no-such-model"}, "model no-such-model is not supported"),
        ({"model": "claude-sonnet-5", "response_format": {"type": "json_schema"}}, "does not support response_format"),
        ({"model": "gpt-5", "messages": []}, "one of messages or prompt required"),
    ],
)
def test_what_the_gateway_refuses(client: assemblyai.Client, asked: dict[str, object], told: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], **asked}
    with pytest.raises(assemblyai.LLMGatewayError, match=told) as refused:
        assemblyai.LLMGateway(client=client).chat.completions.create(**body)
    assert refused.value.status_code == 400
    assert refused.value.request_id


def test_429_carries_retry_after(client: assemblyai.Client, url: str) -> None:
    set_faults(url, {"on": "ask", "do": "status", "status": 429, "retry_after": 7})
    gateway = assemblyai.LLMGateway(client=client)
    with pytest.raises(assemblyai.LLMGatewayError, match="too many requests") as refused:
        gateway.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello"}])
    assert refused.value.status_code == 429
    assert client.last_response is not None
    assert client.last_response.headers["retry-after"] == "7"


def test_a_failed_job_is_no_exception(transcriber: assemblyai.Transcriber, url: str, recording: Path) -> None:
    set_faults(url, {"do": "fail"})
    transcript = transcriber.transcribe(str(recording))
    assert transcript.status == assemblyai.TranscriptStatus.error
    assert transcript.error == "Server error, developers have been alerted"
    until(lambda: totals(url)["transcripts_billed"] == 0)
