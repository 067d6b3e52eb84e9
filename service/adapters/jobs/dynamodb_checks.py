"""Whether a table is the one that we need: asked at the start, and by who checks the settings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.adapters.aws import Aws, AwsError
from service.adapters.credentials import lacking
from service.adapters.jobs.dynamodb_schema import EXPIRES_AT, INDEXES, PK, SK, Index, keys
from service.domain.errors import Problem

PLACE: Final = "AFTERWORD_JOBS"
CURE: Final = "deploy the stack that makes it, or name the table that it made"
MISSING: Final = "ResourceNotFoundException"


async def table_problems(aws: Aws, table: str) -> Sequence[Problem]:
    """Why the service cannot work on this table; empty when it can. Raises AwsError where AWS does not tell."""
    try:
        answer = await aws.call("dynamodb", "describe_table", TableName=table)
    except AwsError as error:
        if error.code == MISSING:
            return [problem(f"there is no DynamoDB table {table} in this region and account", CURE)]
        if (missing := lacking(error)) is not None:
            return [problem(*missing)]
        if error.denied:
            cure = "allow it on that table, or mend the credentials"
            return [problem(f"AWS does not allow dynamodb:DescribeTable on {table} ({error.code})", cure)]
        raise
    return found_wanting(answer["Table"])


async def lifetime_problems(aws: Aws, table: str) -> Sequence[Problem]:
    """Why what ended may stay for ever; nothing that keeps the service from working. Raises AwsError."""
    cure = f"enable it on the attribute `{EXPIRES_AT}`"
    try:
        answer = await aws.call("dynamodb", "describe_time_to_live", TableName=table)
    except AwsError as error:
        if error.denied:
            what = f"AWS does not allow dynamodb:DescribeTimeToLive on {table} ({error.code})"
            return [problem(what, "allow it, so that it can be seen whether old jobs are forgotten")]
        raise
    said = answer.get("TimeToLiveDescription", {})
    if said.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        return [problem(f"the table {table} has no time to live: finished jobs are never forgotten", cure)]
    if said.get("AttributeName") != EXPIRES_AT:
        what = f"the table {table} takes its time to live from `{said.get('AttributeName')}`, where nothing of ours is"
        return [problem(what, cure)]
    return []


def found_wanting(described: Mapping[str, Any]) -> Sequence[Problem]:
    """What a described table lacks."""
    table = described["TableName"]
    if schema(described["KeySchema"]) != schema(keys(PK, SK)):
        return [problem(f"the table {table} has other keys than `{PK}` and `{SK}`", CURE)]
    found = {each["IndexName"]: each for each in described.get("GlobalSecondaryIndexes", [])}
    return [each for index in INDEXES for each in index_problems(table, index, found.get(index.name))]


def index_problems(table: str, index: Index, found: Mapping[str, Any] | None) -> Sequence[Problem]:
    if found is None:
        return [problem(f"the table {table} has no index `{index.name}`", CURE)]
    if schema(found["KeySchema"]) != schema(keys(index.hash_key, index.range_key)):
        what = (
            f"the index `{index.name}` of the table {table} has other keys than `{index.hash_key}`, `{index.range_key}`"
        )
        return [problem(what, CURE)]
    projection = found["Projection"]
    carried = set(projection.get("NonKeyAttributes", []))
    missing = sorted(set(index.carried) - carried) if projection["ProjectionType"] != "ALL" else []
    if missing:
        return [problem(f"the index `{index.name}` of the table {table} does not carry {', '.join(missing)}", CURE)]
    return []


def schema(elements: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    return {each["KeyType"]: each["AttributeName"] for each in elements}


def problem(what: str, cure: str) -> Problem:
    return Problem(place=PLACE, what=what, cure=cure)
