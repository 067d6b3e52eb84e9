"""The DynamoDB table as a value: its keys, its indexes, and what the service must be allowed to do with it.

The service never makes the table; the stack does. What the stack makes is compared with this in a test, and what a
service finds is compared with it at the start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PK: Final = "pk"
SK: Final = "sk"
EXPIRES_AT: Final = "expires_at"
"""The attribute of the table's time to live (epoch seconds), on what may be forgotten and on nothing else."""


@dataclass(frozen=True, kw_only=True)
class Index:
    """A global secondary index. `carried` are the attributes beside the keys; without any it holds keys only."""

    name: str
    hash_key: str
    range_key: str
    carried: Sequence[str] = ()


DUE: Final = Index(
    name="due",
    hash_key="due_shard",
    range_key="ready_at",
    carried=("status", "schema", "due_at", "claimable_at", "parked"),
)
"""What has not ended, by lane and shard (`fresh#0`), the longest due first."""

LISTED: Final = Index(name="listed", hash_key="listed_shard", range_key="created", carried=("lane", "ended_at"))
"""Every row, by where it stands and shard (`active#0`, `failed#0`), in the order of creation (`TIME#ID`)."""

ENDED: Final = Index(name="ended", hash_key="listed_shard", range_key="ended_at")
"""What has ended, by how and shard, in the order of its end."""

INDEXES: Final = (DUE, LISTED, ENDED)

KEY_TYPES: Final[Mapping[str, str]] = {
    PK: "S",
    SK: "S",
    DUE.hash_key: "S",
    DUE.range_key: "N",
    LISTED.hash_key: "S",
    LISTED.range_key: "S",
    ENDED.range_key: "N",
}

ACTIONS: Final = (
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
"""What the service does with the table; `dynamodb:Query` on its indexes too (`…:table/NAME/index/*`)."""


def definition(table: str) -> Mapping[str, object]:
    """The table as CreateTable takes it, and as a stack's template spells it. Time to live is not part of either."""
    return {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in KEY_TYPES.items()],
        "KeySchema": keys(PK, SK),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": keys(index.hash_key, index.range_key),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.carried)}
                if index.carried
                else {"ProjectionType": "KEYS_ONLY"},
            }
            for index in INDEXES
        ],
    }


def keys(hash_key: str, range_key: str) -> Sequence[Mapping[str, str]]:
    """A key schema."""
    return [{"AttributeName": hash_key, "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]
