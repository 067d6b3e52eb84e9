"""Staging beside production: one bucket, one account at the vendor, and neither touches what is the other's."""

from functools import partial
from pathlib import Path

import httpx2
import pytest

from service.stages import submit
from tests.cloud import Cloud, queue_arn
from tests.emulator import ACCOUNT, REGION, Emulator
from tests.premises import PIPELINES, eventually, until
from tests.standin import KEY, ledger, set_faults, totals

pytestmark = pytest.mark.anyio

EVERYTHING = PIPELINES.replace("**/*.wav", "**/*")
NAMES = ("production", "staging")
FILES = 6
"""Transcript, text, three answers and the result."""
DELETED = "deleted_by_user"
KEYS = ("a.wav", "b.wav", "deep/in/c.wav")


class Street:
    """A bucket whose topic tells two deployments of every object, each with its results in that bucket."""

    def __init__(self, folder: Path, standin: str, emulator: Emulator) -> None:
        self.bucket = emulator.name("shared")
        emulator.client("s3").create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        houses = []
        for name, callbacks in zip(NAMES, (True, False), strict=True):
            (folder / name).mkdir()
            more = {"AFTERWORD_NAME": name, "AFTERWORD_RESULTS": f"s3://{self.bucket}/{name}"}
            houses.append(
                Cloud(folder / name, standin, emulator, name=name, bucket=self.bucket, callbacks=callbacks, **more)
            )
        self.production, self.staging = houses
        self.production.pipelines(EVERYTHING)
        self.staging.pipelines(f"{EVERYTHING}\n[pipelines.outputs]\nkeep_transcript = false\n")
        self._announce(emulator)

    def _announce(self, emulator: Emulator) -> None:
        """As S3 has it where one bucket has two listeners: by way of a topic."""
        sns, name = emulator.client("sns"), emulator.name("announced")
        sns.create_topic(Name=name)
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
        for house in (self.production, self.staging):
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(house.queue_url))
        told = {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
        emulator.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"TopicConfigurations": [told]}
        )


async def test_two_deployments_on_one_bucket_and_one_account_leave_each_others_alone(
    tmp_path: Path, standin: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "UNASKED_LOOK", 0.3)
    street = Street(tmp_path, standin, emulator)
    # Of the first submissions nobody sees the answer: each has to find its own among both's.
    set_faults(standin, {"on": "submit", "do": "lose_answer", "times": 4})
    for key in KEYS:
        street.production.put(key, f"This is {key}.")
    async with street.production.serving(), street.staging.serving():
        events = {house: await house.heard(len(KEYS)) for house in (street.production, street.staging)}

        theirs = {house: {event["data"]["transcript"]["id"] for event in events[house]} for house in events}
        await eventually(lambda: deleted(standin) >= theirs[street.staging])
        for house in events:
            await until(partial(settled, house))
    for name, house in zip(NAMES, theirs, strict=True):
        assert {event["source"] for event in house.events()} == {f"/{name}/calls"}
        assert len(house.deliveries) == len(KEYS)
        # What either wrote into the bucket was announced to both, and is nobody's recording.
        assert set(await house.rows()) == set(KEYS)
        assert len(house.keys(f"{name}/calls")) == len(KEYS) * FILES
    assert not theirs[street.production] & theirs[street.staging]
    assert deleted(standin) == theirs[street.staging]
    assert totals(standin)["submissions"] == totals(standin)["transcripts_billed"] == 2 * len(KEYS)


async def settled(house: Cloud) -> bool:
    return house.waiting() == (0, 0) and all(row.ended for row in (await house.rows()).values())


def deleted(standin: str) -> set[str]:
    """The transcripts that are deleted at the vendor."""
    with httpx2.Client(base_url=standin, headers={"authorization": KEY}) as client:
        made = [each["transcript_id"] for each in ledger(standin)["submissions"]]
        return {each for each in made if client.get(f"/v2/transcript/{each}").json()["audio_url"].endswith(DELETED)}
