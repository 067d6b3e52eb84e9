"""Pipelines as records: which recording goes where, and what is pinned."""

import pytest
from pydantic import ValidationError

from service.domain.pipeline import (
    Message,
    Outputs,
    Pipeline,
    Pipelines,
    Prompt,
    Speech,
    canonical,
    digest,
    from_json,
    to_json,
)


def pipeline(name: str, *match: str) -> Pipeline:
    asked = Prompt(
        name="summary",
        messages=(Message(role="user", content="Fasse zusammen: {{ transcript }} é"),),
        request={"model": "m", "temperature": 0.5, "fallbacks": [{"model": "n"}]},
    )
    return Pipeline(
        name=name,
        match=match,
        transcript={"speaker_labels": True},
        prompts=(asked,),
        attributes={"mood": "answers.summary"},
        outputs=Outputs(captions=("srt",), keep_transcript=False),
    )


def test_the_first_match_wins() -> None:
    pipelines = Pipelines(pipelines=(pipeline("calls", "calls/**", "s3://b/x"), pipeline("rest", "**")))
    found = pipelines.match("Calls/a.mp3", "file:///inbox/Calls/a.mp3")
    assert found is pipelines.get("calls")
    assert pipelines.match("x", "s3://b/x") is pipelines.get("calls")
    assert pipelines.match("x", "s3://c/x") is pipelines.get("rest")


def test_what_nothing_matches_has_no_pipeline() -> None:
    pipelines = Pipelines(pipelines=(pipeline("calls", "calls/*"), pipeline("by-name-only")))
    assert pipelines.match("a.mp3", "file:///a.mp3") is None
    assert pipelines.get("by-name-only") is not None
    assert pipelines.get("none") is None


def test_a_pinned_pipeline_reads_back_equal() -> None:
    whole = pipeline("calls", "**")
    assert from_json(to_json(whole)) == whole
    assert digest(from_json(to_json(whole))) == digest(whole)
    assert "é".encode() in to_json(whole)


def test_a_pipeline_that_was_pinned_before_there_was_more_to_say_is_still_read() -> None:
    whole = pipeline("calls", "**")
    earlier = whole.model_dump(mode="json", exclude={"speech"})
    assert from_json(canonical(earlier)) == whole


def test_the_digest_changes_with_whatever_is_sent_or_kept() -> None:
    whole = pipeline("calls", "**")
    [asked] = whole.prompts
    changes: list[dict[str, object]] = [
        {"transcript": {"speaker_labels": False}},
        {"attributes": {}},
        {"outputs": Outputs()},
        {"speech": Speech(timestamps=True)},
        {"speech": Speech(speakers={"A": "Agent"})},
        {"speech": Speech(fallback_language="de")},
        {"prompts": ()},
        {"prompts": (asked.model_copy(update={"required": False}),)},
        {"prompts": (asked.model_copy(update={"request": {"model": "n"}}),)},
        {"prompts": (asked.model_copy(update={"messages": (Message(role="system", content="x"),)}),)},
    ]
    others = [whole.model_copy(update=change) for change in changes]
    assert len({digest(each) for each in (whole, *others)}) == len(others) + 1


def test_the_digest_does_not_change_with_the_order_of_keys() -> None:
    whole = pipeline("calls", "**")
    turned = whole.model_copy(update={"transcript": {"a": 1, "b": 2}})
    assert digest(turned) == digest(whole.model_copy(update={"transcript": {"b": 2, "a": 1}}))


def test_the_digest_of_all_changes_when_recordings_may_go_elsewhere() -> None:
    one, two = pipeline("one", "a/*"), pipeline("two", "b/*")
    digests = {
        Pipelines(pipelines=(one, two)).digest,
        Pipelines(pipelines=(two, one)).digest,
        Pipelines(pipelines=(one,)).digest,
        Pipelines(pipelines=(one, pipeline("two", "c/*"))).digest,
    }
    assert len(digests) == 4


def test_what_a_newer_version_wrote_is_not_read_as_less() -> None:
    with pytest.raises(ValidationError):
        from_json(to_json(pipeline("calls"))[:-1] + b',"later":1}')


def test_a_prompt_knows_its_model_and_a_pipeline_its_prompts() -> None:
    whole = pipeline("calls")
    found = whole.prompt("summary")
    assert found is not None
    assert found.model == "m"
    assert whole.prompt("none") is None
