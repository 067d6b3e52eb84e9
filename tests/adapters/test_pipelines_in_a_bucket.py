"""The pipelines file in a bucket: prompt files beside it, nothing outside, and each trouble with its cure."""

from collections.abc import Callable

import pytest

from service.adapters.aws import Aws
from service.adapters.pipelines import InBucket
from service.domain.errors import Problem, Refused
from service.domain.objects import ObjectPlace
from service.domain.pipelines.file import LARGEST, load_from
from service.settings.load import Settings
from service.wiring import read_pipelines
from tests.emulator import REGION, Emulator, Faulty

KEY = "deploys/4f2a/pipelines.toml"
FILE = """[[pipelines]]
name = "calls"
match = ["**/*.mp3"]
[[pipelines.prompts]]
name = "summary"
model = "m"
max_tokens = 7
prompt_file = "{file}"
"""

Put = Callable[[str, str | bytes], None]


@pytest.fixture
def bucket(emulator: Emulator) -> str:
    name = emulator.name("config")
    emulator.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def put(emulator: Emulator, bucket: str) -> Put:
    def stored(key: str, body: str | bytes) -> None:
        content = body if isinstance(body, bytes) else body.encode()
        emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=content)

    return stored


def refused(aws: Aws, bucket: str, key: str = KEY) -> Problem:
    with pytest.raises(Refused) as told:
        load_from(InBucket(aws, ObjectPlace(bucket=bucket, key=key)))
    (problem,) = told.value.problems
    return problem


@pytest.mark.parametrize("key", [KEY, "pipelines.toml"])
def test_the_file_and_the_prompt_files_beside_it_are_read(bucket: str, put: Put, key: str) -> None:
    put(key, FILE.format(file="./prompts/ü b.md"))
    put(key.removesuffix("pipelines.toml") + "prompts/ü b.md", "Über {{ transcript }}")
    settings = Settings.load({"ASSEMBLYAI_API_KEY": "k", "AFTERWORD_PIPELINES": f"s3://{bucket}/{key}"})
    (pipeline,) = read_pipelines(settings).pipelines.pipelines
    assert pipeline.prompts[0].messages[0].content == "Über {{ transcript }}"


def test_a_schema_is_read_beside_the_file_and_its_flaws_are_told(aws: Aws, bucket: str, put: Put) -> None:
    put(KEY, FILE.format(file="a.md") + 'schema = "schemas/a.json"')
    put("deploys/4f2a/a.md", "{{ transcript }}")
    put("deploys/4f2a/schemas/a.json", '{"type": "object", "properties": {"mood": {"type": "string"}}}')
    found = load_from(InBucket(aws, ObjectPlace(bucket=bucket, key=KEY)))
    assert "response_format" in found.pipelines.pipelines[0].prompts[0].request
    put("deploys/4f2a/schemas/a.json", '{"type": "object"}')
    problem = refused(aws, bucket)
    assert problem.place.startswith(f"s3://{bucket}/{KEY}:9 ")
    assert "(in schemas/a.json, `#`)" in problem.what


def test_a_problem_names_the_object_and_the_line(aws: Aws, bucket: str, put: Put) -> None:
    put(KEY, FILE.format(file="a.md").replace("max_tokens", "max_tokns"))
    put("deploys/4f2a/a.md", "{{ transcript }}")
    with pytest.raises(Refused) as told:
        load_from(InBucket(aws, ObjectPlace(bucket=bucket, key=KEY)))
    assert f"s3://{bucket}/{KEY}:7 " in str(told.value)


@pytest.mark.parametrize("file", ["../a.md", "b/../../a.md", "/deploys/a.md", "s3://other/a.md", "b//a.md"])
def test_nothing_outside_of_its_own_prefix_is_read(aws: Aws, bucket: str, put: Put, file: str) -> None:
    put(KEY, FILE.format(file=file))
    for key in ("deploys/a.md", "deploys/4f2a/../a.md", "deploys/4f2a//deploys/a.md", "deploys/4f2a/b//a.md"):
        put(key, "{{ transcript }}")
    problem = refused(aws, bucket)
    assert "lies outside the folder of the pipelines file" in problem.what
    assert problem.place.startswith(f"s3://{bucket}/{KEY}:8 ")


def test_what_is_missing_or_no_text_is_told_with_its_cure(aws: Aws, bucket: str, put: Put, emulator: Emulator) -> None:
    missing = refused(aws, bucket)
    assert str(missing) == (
        f"s3://{bucket}/{KEY}: there is no such object; put it there, or name it in AFTERWORD_PIPELINES"
    )
    assert "there is no such bucket" in refused(aws, emulator.name("nowhere")).what
    put(KEY, FILE.format(file="a.md"))
    beside = refused(aws, bucket)
    assert beside.place.startswith(f"s3://{bucket}/{KEY}:8 ")
    assert (beside.what, beside.cure) == ("`a.md`: there is no such object", "put it beside the pipelines file")
    put("deploys/4f2a/a.md", b"\xff")
    assert "byte 1 is not UTF-8" in refused(aws, bucket).what
    put(KEY, b"#" * (LARGEST + 1))
    assert "larger than 1024 KiB" in refused(aws, bucket).what


@pytest.mark.parametrize(
    ("code", "status", "cure"),
    [
        ("AccessDenied", 403, "allow s3:GetObject on it, and s3:ListBucket"),
        ("SignatureDoesNotMatch", 403, "mend the AWS credentials"),
        ("SlowDown", 503, "then try again"),
        ("TeaPot", 418, "name another one in AFTERWORD_PIPELINES"),
    ],
)
def test_a_refusal_of_amazons_is_one_sentence(faulty: Faulty, bucket: str, code: str, status: int, cure: str) -> None:
    faulty.rules({"service": "s3", "operation": "GetObject", "error": {"code": code, "status": status}})
    aws = Aws(attempts=1)
    problem = refused(aws, bucket)
    aws.close()
    assert problem.place == f"s3://{bucket}/{KEY}"
    assert code in problem.what
    assert cure in problem.cure


def test_credentials_that_have_expired_are_called_so(faulty: Faulty, bucket: str) -> None:
    faulty.rules({"service": "s3", "operation": "GetObject", "error": {"code": "ExpiredToken", "status": 400}})
    aws = Aws(attempts=1)
    problem = refused(aws, bucket)
    aws.close()
    assert (problem.what, problem.cure) == ("the AWS credentials have expired", "fetch new ones")
