"""Each setting: its variable, what it means, its default and how it is read, in groups of what is used together."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import SecretStr

from service.domain.durations import DAY
from service.domain.errors import Problem
from service.domain.objects import ObjectPlace
from service.settings import places, values
from service.settings.fields import ANCHORED, Group, reads, variable
from service.settings.places import Bucket, DynamoTable, Folder, JsonLines, Queue, Sqlite, TomlFile, Topic

HOSTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "us": ("https://api.assemblyai.com", "https://llm-gateway.assemblyai.com"),
        "eu": ("https://api.eu.assemblyai.com", "https://llm-gateway.eu.assemblyai.com"),
    }
)
"""Transcription and LLM Gateway by region (vendor API reference: base URLs)."""


LEAST_LEASE: Final = 1.0
"""Seconds: a submission must end within what is left of a lease, so a shorter one would never let any be made."""


LEAST_URL_LIFETIME: Final = 60.0
LONGEST_URL_LIFETIME: Final = 7 * DAY
"""Seconds: S3 signs no URL for longer than a week."""


class Vendor(Group):
    """AssemblyAI: the key and its region."""

    api_key: Annotated[SecretStr, reads(values.secret)] = variable(
        "ASSEMBLYAI_API_KEY",
        "the key",
        secret=True,
        cure="copy the key from your AssemblyAI dashboard (`afterword demo` needs none)",
    )
    region: Annotated[Literal["us", "eu"], reads(values.one_of("us", "eu"))] = variable(
        "AFTERWORD_REGION", "`us` or `eu`: AssemblyAI's region, picks both hosts below (AWS's is `AWS_REGION`)", "us"
    )
    assemblyai_override: Annotated[str | None, reads(values.origin)] = variable(
        "AFTERWORD_ASSEMBLYAI_URL", "override of the API's scheme and host", shown="by region"
    )
    llm_gateway_override: Annotated[str | None, reads(values.origin)] = variable(
        "AFTERWORD_LLM_GATEWAY_URL", "override of the LLM Gateway's scheme and host", shown="by region"
    )

    @property
    def assemblyai_url(self) -> str:
        return self.assemblyai_override or HOSTS[self.region][0]

    @property
    def llm_gateway_url(self) -> str:
        return self.llm_gateway_override or HOSTS[self.region][1]

    def doubtful(self) -> Sequence[Problem]:
        overrides = {
            "AFTERWORD_ASSEMBLYAI_URL": self.assemblyai_override,
            "AFTERWORD_LLM_GATEWAY_URL": self.llm_gateway_override,
        }
        return [
            Problem(place=name, what="the key would travel in the clear", cure="write an https URL")
            for name, url in overrides.items()
            if url and values.in_the_clear(url)
        ]


class Allowance(Group):
    """What of the account's allowance is ours; apart, since commands tell of it that need no key."""

    llm_share: Annotated[float, reads(values.share)] = variable(
        "AFTERWORD_LLM_SHARE", "this deployment's part of the account's Gateway allowance, above 0 and at most 1", "1"
    )


class Deployment(Group):
    """What every command uses."""

    name: Annotated[str, reads(values.name)] = variable(
        "AFTERWORD_NAME", "names this deployment in events and ids (staging beside production)", "afterword"
    )
    log_format: Annotated[Literal["json", "console", "auto"], reads(values.one_of("json", "console", "auto"))] = (
        variable("AFTERWORD_LOG_FORMAT", "`json`, `console` or `auto` (console on a terminal)", "auto")
    )
    log_level: Annotated[str, reads(values.one_of("debug", "info", "warning", "error", "critical"))] = variable(
        "AFTERWORD_LOG_LEVEL", "`debug`, `info`, `warning`, `error` or `critical`", "info"
    )


class Callbacks(Group):
    """How AssemblyAI calls back. Without a public URL it does not, and the sweeper looks at each job instead."""

    public_url: Annotated[str | None, reads(values.public_url)] = variable(
        "AFTERWORD_PUBLIC_URL",
        "where AssemblyAI reaches this service, e.g. `https://hooks.example.com` (plain http only on loopback); "
        "empty: each job is looked at instead, at 3 s, then at intervals growing to 30 s",
        shown="empty",
    )
    webhook_secrets: Annotated[tuple[SecretStr, ...] | None, reads(values.webhook_secrets)] = variable(
        "AFTERWORD_WEBHOOK_SECRETS",
        "comma-separated; the first signs, all verify (rotation); each at least 32 characters",
        shown="required with a public URL",
        secret=True,
    )

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """The first signs, all verify; empty if there are none."""
        return self.webhook_secrets or ()

    @classmethod
    def incomplete(cls, texts: Mapping[str, str]) -> Sequence[Problem]:
        if "AFTERWORD_PUBLIC_URL" not in texts or "AFTERWORD_WEBHOOK_SECRETS" in texts:
            return ()
        what = "it is not set, and AFTERWORD_PUBLIC_URL asks for callbacks"
        cure = "set a secret of at least 32 characters (`openssl rand -hex 32`), or no public URL"
        return (Problem(place="AFTERWORD_WEBHOOK_SECRETS", what=what, cure=cure),)


class PipelinesPlace(Group):
    place: Annotated[TomlFile | ObjectPlace, reads(places.pipelines), ANCHORED] = variable(
        "AFTERWORD_PIPELINES",
        "path or `s3://bucket/key` of the pipelines file (prompt and schema files beside it); read at start only",
        "pipelines.toml",
    )


class DropsPlace(Group):
    place: Annotated[Folder | Queue, reads(places.drops), ANCHORED] = variable(
        "AFTERWORD_DROPS",
        "where recordings arrive: a folder, or the URL of the SQS queue that gets the bucket's notifications",
        "./inbox",
    )
    settle: Annotated[float, reads(values.duration(zero=True))] = variable(
        "AFTERWORD_SETTLE", "how long a dropped file must rest before it is taken", "2s"
    )


class JobStore(Group):
    place: Annotated[Sqlite | DynamoTable, reads(places.jobs), ANCHORED] = variable(
        "AFTERWORD_JOBS",
        "the job store: `sqlite:///relative`, `sqlite:////absolute` or `dynamodb://table`",
        "sqlite:///afterword.db",
    )
    keep_jobs: Annotated[float, reads(values.duration(DAY))] = variable(
        "AFTERWORD_KEEP_JOBS", "how long finished jobs stay in the store (days)", "90"
    )


class ResultsPlace(Group):
    place: Annotated[Folder | Bucket, reads(places.results), ANCHORED] = variable(
        "AFTERWORD_RESULTS", "where results go: a folder or `s3://bucket/prefix`", "./results"
    )


class EventsPlace(Group):
    place: Annotated[JsonLines | Topic, reads(places.events), ANCHORED] = variable(
        "AFTERWORD_EVENTS",
        "where events go: a `.jsonl` file that they are appended to, or the ARN of an SNS topic (standard or FIFO)",
        "./events.jsonl",
    )


class Listener(Group):
    """The public listener."""

    host: Annotated[str, reads(values.host)] = variable("AFTERWORD_HOST", "the public listener's address", "0.0.0.0")  # noqa: S104 (balancers reach it)
    port: Annotated[int, reads(values.whole(0, 65535))] = variable(
        "AFTERWORD_PORT", "the public listener's port", "8080"
    )


class Ops(Group):
    """The private listener."""

    host: Annotated[str, reads(values.host)] = variable(
        "AFTERWORD_OPS_HOST", "the private listener's address: metrics, jobs API, console", "127.0.0.1"
    )
    port: Annotated[int, reads(values.whole(0, 65535))] = variable(
        "AFTERWORD_OPS_PORT", "the private listener's port", "9090"
    )
    token: Annotated[SecretStr | None, reads(values.secret)] = variable(
        "AFTERWORD_OPS_TOKEN",
        "the private listener's bearer token; required beyond loopback",
        shown="none",
        secret=True,
    )

    @classmethod
    def incomplete(cls, texts: Mapping[str, str]) -> Sequence[Problem]:
        host = texts.get("AFTERWORD_OPS_HOST", "127.0.0.1")
        if values.loopback(host.strip("[]")) or "AFTERWORD_OPS_TOKEN" in texts:
            return ()
        what = "it is not set, and AFTERWORD_OPS_HOST listens beyond loopback"
        cure = "set a token (`openssl rand -hex 32`), or AFTERWORD_OPS_HOST=127.0.0.1"
        return (Problem(place="AFTERWORD_OPS_TOKEN", what=what, cure=cure),)


class Work(Group):
    """How the work is done. All durations in seconds."""

    audio: Annotated[Literal["presign", "upload"], reads(values.one_of("presign", "upload"))] = variable(
        "AFTERWORD_AUDIO", "how AssemblyAI gets S3 audio: `presign` or `upload` (files are always uploaded)", "presign"
    )
    url_lifetime: Annotated[float, reads(values.duration(least=LEAST_URL_LIFETIME, most=LONGEST_URL_LIFETIME))] = (
        variable(
            "AFTERWORD_URL_LIFETIME",
            "how long AssemblyAI may fetch S3 audio by the URL it is given (`presign`); it queues before it fetches",
            "6h",
        )
    )
    reconcile_after: Annotated[float, reads(values.duration())] = variable(
        "AFTERWORD_RECONCILE_AFTER",
        "how long a job may wait for its callback before the sweeper asks AssemblyAI "
        "(then doubling up to 1 h; `failed` after 24 h)",
        "600",
    )
    adopt_within: Annotated[float, reads(values.duration())] = variable(
        "AFTERWORD_ADOPT_WITHIN",
        "how long a submission whose answer we never saw is looked for before it is sent again",
        "180",
    )
    give_up_after: Annotated[float, reads(values.duration())] = variable(
        "AFTERWORD_GIVE_UP_AFTER", "how long AssemblyAI's trouble may last before a job fails", "6h"
    )
    shutdown_grace: Annotated[float, reads(values.duration(zero=True))] = variable(
        "AFTERWORD_SHUTDOWN_GRACE", "time to finish or hand back after SIGTERM", "25"
    )
    lease: Annotated[float, reads(values.duration(least=LEAST_LEASE))] = variable(
        "AFTERWORD_LEASE", "how long a worker owns a job without renewing (seconds)", "30"
    )
    concurrency: Annotated[int, reads(values.whole(1, 10_000))] = variable(
        "AFTERWORD_CONCURRENCY", "jobs analyzed at once in this process", "64"
    )
