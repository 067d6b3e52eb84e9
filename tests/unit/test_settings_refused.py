"""Each broken setting is one problem with its place and its cure."""

import re
from collections.abc import Mapping

import pytest

from service.domain.errors import Refused
from service.settings.load import Settings
from tests.unit.settings_samples import BASE, KEY, SECRET, SIGNED

SQS = "https://sqs.eu-west-1.amazonaws.com"
SNS = "arn:aws:sns:eu-west-1:123456789012"

BROKEN: list[tuple[Mapping[str, str], str, str]] = [
    ({"ASSEMBLYAI_API_KEY": ""}, "ASSEMBLYAI_API_KEY", "not set; copy the key from your AssemblyAI dashboard"),
    ({"ASSEMBLYAI_API_KEY": "my key"}, "ASSEMBLYAI_API_KEY", "blanks .*; copy it anew"),
    ({"ASSEMBLYAI_API_KEY_FILE": "/x"}, "ASSEMBLYAI_API_KEY", "so is ASSEMBLYAI_API_KEY_FILE; set only one"),
    ({"AFTERWORD_NAME": "My Deployment"}, "AFTERWORD_NAME", "no name; use at most 64"),
    ({"AFTERWORD_NAME": "x" * 65}, "AFTERWORD_NAME", "no name; use at most 64"),
    ({"AFTERWORD_REGION": "uss"}, "AFTERWORD_REGION", "none of us, eu; did you mean `us`"),
    ({"AFTERWORD_ASSEMBLYAI_URL": "api.assemblyai.com"}, "AFTERWORD_ASSEMBLYAI_URL", "no http.*; write it like https"),
    ({"AFTERWORD_ASSEMBLYAI_URL": "https://a.b/v2"}, "AFTERWORD_ASSEMBLYAI_URL", "path; write the scheme and host"),
    ({"AFTERWORD_LLM_GATEWAY_URL": "https://a:b@c"}, "AFTERWORD_LLM_GATEWAY_URL", "password; leave them out"),
    ({"AFTERWORD_LLM_GATEWAY_URL": "https://[::1"}, "AFTERWORD_LLM_GATEWAY_URL", "no URL; write it like"),
    ({"AFTERWORD_LLM_SHARE": "0"}, "AFTERWORD_LLM_SHARE", "no share .*; write a number above 0"),
    ({"AFTERWORD_LLM_SHARE": "nan"}, "AFTERWORD_LLM_SHARE", "no share .*; write a number above 0"),
    (
        {**SIGNED, "AFTERWORD_PUBLIC_URL": "http://example.com"},
        "AFTERWORD_PUBLIC_URL",
        "not https; write it like https",
    ),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b/?x=1"}, "AFTERWORD_PUBLIC_URL", "query or fragment; leave it out"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b/#"}, "AFTERWORD_PUBLIC_URL", "query or fragment; leave it out"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a.b:99999"}, "AFTERWORD_PUBLIC_URL", "no URL; write it like"),
    ({**SIGNED, "AFTERWORD_PUBLIC_URL": "https://a. b"}, "AFTERWORD_PUBLIC_URL", "blanks .*; write it like"),
    ({"AFTERWORD_PUBLIC_URL": "https://a.b"}, "AFTERWORD_WEBHOOK_SECRETS", "not set, .*; set a secret of at least 32"),
    ({"AFTERWORD_WEBHOOK_SECRETS": f"{SECRET},short"}, "AFTERWORD_WEBHOOK_SECRETS", "secret 2 of 2 has 5 .*openssl"),
    ({"AFTERWORD_WEBHOOK_SECRETS": ","}, "AFTERWORD_WEBHOOK_SECRETS", "no secret; make one with `openssl"),
    ({"AFTERWORD_PIPELINES": "s3://b/p.toml"}, "AFTERWORD_PIPELINES", "no bucket .*; write it like s3://"),
    ({"AFTERWORD_PIPELINES": "s3://My_Config/p.toml"}, "AFTERWORD_PIPELINES", "no bucket .*; write it like s3://"),
    ({"AFTERWORD_PIPELINES": "s3://my-config"}, "AFTERWORD_PIPELINES", "names no object; write it like s3://"),
    ({"AFTERWORD_PIPELINES": "s3://my-config/release/"}, "AFTERWORD_PIPELINES", "names no object; write it like s3://"),
    ({"AFTERWORD_DROPS": f"{SQS}/1/q"}, "AFTERWORD_DROPS", "no URL of an SQS queue; write a folder"),
    ({"AFTERWORD_DROPS": f"{SQS}/123456789012/q/"}, "AFTERWORD_DROPS", "no URL of an SQS queue; write a folder"),
    ({"AFTERWORD_DROPS": f"{SQS}/123456789012/{'q' * 81}"}, "AFTERWORD_DROPS", "no URL of an SQS queue; write a"),
    ({"AFTERWORD_DROPS": f"{SQS}/123456789012/q?Action=x"}, "AFTERWORD_DROPS", "query or fragment; leave it out"),
    ({"AFTERWORD_DROPS": "arn:aws:sqs:eu-west-1:123456789012:q"}, "AFTERWORD_DROPS", "an ARN; write the queue's URL"),
    ({"AFTERWORD_DROPS": "s3://bucket"}, "AFTERWORD_DROPS", "no kind that is known; write a folder"),
    ({"AFTERWORD_JOBS": "dynamodb://"}, "AFTERWORD_JOBS", "no table's name; write `dynamodb://` and the name"),
    ({"AFTERWORD_JOBS": "dynamodb://ab"}, "AFTERWORD_JOBS", "no table's name; write `dynamodb://` and the name"),
    ({"AFTERWORD_JOBS": "dynamodb://jobs/x"}, "AFTERWORD_JOBS", "no table's name; write `dynamodb://` and the name"),
    ({"AFTERWORD_JOBS": "mysql://jobs"}, "AFTERWORD_JOBS", "no job store .* or `dynamodb://table`"),
    ({"AFTERWORD_JOBS": "sqlite://a.db"}, "AFTERWORD_JOBS", "no job store .*; write `sqlite:///"),
    ({"AFTERWORD_JOBS": "sqlite:///"}, "AFTERWORD_JOBS", "no job store .*; write `sqlite:///"),
    ({"AFTERWORD_JOBS": "sqlite:///:memory:"}, "AFTERWORD_JOBS", "lost with the process; write `sqlite:///"),
    ({"AFTERWORD_RESULTS": "s3://b/p"}, "AFTERWORD_RESULTS", "no bucket .*; write it like s3://"),
    ({"AFTERWORD_RESULTS": "s3://"}, "AFTERWORD_RESULTS", "no bucket .*; write it like s3://"),
    ({"AFTERWORD_RESULTS": f"s3://my-results/{'p' * 201}"}, "AFTERWORD_RESULTS", "longer than 200 bytes; write"),
    ({"AFTERWORD_RESULTS": "ftp://b/p"}, "AFTERWORD_RESULTS", "no kind that is known; write a folder"),
    ({"AFTERWORD_RESULTS": "./inbox/"}, "AFTERWORD_RESULTS", "where recordings arrive .*; name another folder"),
    ({"AFTERWORD_EVENTS": "arn:aws:sns:eu-west-1:1:t"}, "AFTERWORD_EVENTS", "no ARN of an SNS topic; write"),
    ({"AFTERWORD_EVENTS": f"{SNS}:{'t' * 257}"}, "AFTERWORD_EVENTS", "no ARN of an SNS topic; write"),
    ({"AFTERWORD_EVENTS": f"{SNS}:t:{'0' * 36}"}, "AFTERWORD_EVENTS", "no ARN of an SNS topic; write"),
    ({"AFTERWORD_EVENTS": "arn:aws:sqs:eu-west-1:123456789012:q"}, "AFTERWORD_EVENTS", "no ARN of an SNS topic; write"),
    ({"AFTERWORD_EVENTS": "https://sns.eu-west-1.amazonaws.com"}, "AFTERWORD_EVENTS", "no .jsonl file; write a file"),
    ({"AFTERWORD_EVENTS": "events.json"}, "AFTERWORD_EVENTS", "no .jsonl file; write a file"),
    ({"AFTERWORD_HOST": "http://0.0.0.0"}, "AFTERWORD_HOST", "no host .*; write an address"),
    ({"AFTERWORD_PORT": "65536"}, "AFTERWORD_PORT", "no whole number from 0 to 65535; write one"),
    ({"AFTERWORD_PORT": "\uff19"}, "AFTERWORD_PORT", "no whole number from 0 to 65535; write one"),
    ({"AFTERWORD_OPS_PORT": "8080"}, "AFTERWORD_OPS_PORT", "both listeners .*; give one of them another"),
    ({"AFTERWORD_OPS_HOST": "0.0.0.0"}, "AFTERWORD_OPS_TOKEN", "beyond loopback; set a token"),
    ({"AFTERWORD_OPS_TOKEN": "a\nb"}, "AFTERWORD_OPS_TOKEN", "blanks .*; copy it anew"),
    ({"AFTERWORD_OPS_TOKEN_FILE": "/none/there"}, "AFTERWORD_OPS_TOKEN_FILE", "No such file .*; name a file"),
    ({"AFTERWORD_AUDIO": "stream"}, "AFTERWORD_AUDIO", "none of presign, upload"),
    ({"AFTERWORD_URL_LIFETIME": "59s"}, "AFTERWORD_URL_LIFETIME", "shorter than 60 s; write at least 60s"),
    ({"AFTERWORD_URL_LIFETIME": "8d"}, "AFTERWORD_URL_LIFETIME", "longer than 604800 s; write at most 604800s"),
    ({"AFTERWORD_LEASE": "30 sec"}, "AFTERWORD_LEASE", "not a duration; write a duration such as 30s"),
    ({"AFTERWORD_LEASE": "0"}, "AFTERWORD_LEASE", "zero; write a longer one"),
    ({"AFTERWORD_LEASE": "0.5"}, "AFTERWORD_LEASE", "shorter than 1 s; write at least 1s"),
    ({"AFTERWORD_LEASE": "-5"}, "AFTERWORD_LEASE", "not a duration"),
    ({"AFTERWORD_KEEP_JOBS": "9999d"}, "AFTERWORD_KEEP_JOBS", "longer than ten years; write a duration such as 90d"),
    ({"AFTERWORD_CONCURRENCY": "0"}, "AFTERWORD_CONCURRENCY", "from 1 to 10000; write one"),
    ({"AFTERWORD_LOG_FORMAT": "jsn"}, "AFTERWORD_LOG_FORMAT", "did you mean `json`"),
    ({"AFTERWORD_LOG_LEVEL": "loud"}, "AFTERWORD_LOG_LEVEL", "none of debug, info"),
    ({"AFTERWORD_DROPS": "a\0b"}, "AFTERWORD_DROPS", "NUL .*; write a plain path"),
    ({"AFTERWORD_DROPS": "~nobody-of-this-name/x"}, "AFTERWORD_DROPS", "home folder .*; write the whole path"),
]


@pytest.mark.parametrize(("environ", "place", "words"), BROKEN, ids=lambda value: str(value)[:60])
def test_a_broken_setting_is_one_problem_with_its_place_and_cure(
    environ: Mapping[str, str], place: str, words: str
) -> None:
    with pytest.raises(Refused) as caught:
        Settings.load({"ASSEMBLYAI_API_KEY": KEY, **environ}, base=BASE)
    [problem] = caught.value.problems
    assert problem.place == place
    assert re.search(words, f"{problem.what}; {problem.cure}"), problem
    assert "\n" not in str(problem)
