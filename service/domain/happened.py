"""The names of what is logged: `noun.past`. Operators search and alarm by them, so a name never changes meaning."""

from typing import Final

SERVICE_STARTED: Final = "service.started"
SERVICE_STOPPING: Final = "service.stopping"
SERVICE_STOPPED: Final = "service.stopped"
SERVICE_HEARTBEAT: Final = "service.heartbeat"
"""One a minute, whatever happens; its fields are what alarms are made of."""
SETTING_DOUBTED: Final = "setting.doubted"

CATALOGUE_HEARD: Final = "catalogue.heard"
CATALOGUE_UNHEARD: Final = "catalogue.unheard"
MODEL_DOUBTED: Final = "model.doubted"
MODEL_CLEARED: Final = "model.cleared"

DROP_RECEIVED: Final = "drop.received"
DROP_KNOWN: Final = "drop.known"
DROP_UNMATCHED: Final = "drop.unmatched"
DROP_IGNORED: Final = "drop.ignored"
DROP_UNREADABLE: Final = "drop.unreadable"
DROP_WITHDRAWN: Final = "drop.withdrawn"
DROPS_WATCHED: Final = "drops.watched"
DROPS_FAILED: Final = "drops.failed"

JOB_SUBMITTED: Final = "job.submitted"
JOB_ADOPTED: Final = "job.adopted"
JOB_RESUBMITTED: Final = "job.resubmitted"
JOB_TRANSCRIBED: Final = "job.transcribed"
JOB_WAITING: Final = "job.waiting"
JOB_DECIDED: Final = "job.decided"
JOB_PUBLISHED: Final = "job.published"
JOB_RETRIED: Final = "job.retried"
JOB_PARKED: Final = "job.parked"
JOB_LEASE_LOST: Final = "job.lease_lost"
JOB_CRASHED: Final = "job.crashed"
JOB_HANDED_BACK: Final = "job.handed_back"

AUDIO_KEPT: Final = "audio.kept"
AUDIO_MISSED: Final = "audio.missed"

ANSWER_STORED: Final = "answer.stored"
ANSWER_REUSED: Final = "answer.reused"
PROMPTS_PARTED: Final = "prompts.parted"
"""What could have shared a request is asked one by one, because that request was refused."""
ANSWER_FAILED: Final = "answer.failed"
MODEL_PASSED_OVER: Final = "model.passed_over"
"""A prompt is asked without this model: it was refused, has no room, or gave no valid answer."""

CALLBACK_RECEIVED: Final = "callback.received"
CALLBACK_REFUSED: Final = "callback.refused"
CALLBACK_MISPLACED: Final = "callback.misplaced"
CALLBACK_LOST: Final = "callback.lost"
CALLBACK_UNSTORED: Final = "callback.unstored"

ACCOUNT_PARKED: Final = "account.parked"
ACCOUNT_RESUMED: Final = "account.resumed"

PIPELINE_LIMITED: Final = "pipeline.limited"
PIPELINE_FREED: Final = "pipeline.freed"

STORE_FAILED: Final = "store.failed"
STORE_RECOVERED: Final = "store.recovered"

CLOCK_DRIFTED: Final = "clock.drifted"
CLOCK_CORRECTED: Final = "clock.corrected"

LIBRARY_WARNED: Final = "library.warned"
THREAD_FAILED: Final = "thread.failed"
ERROR_UNRAISABLE: Final = "error.unraisable"
OPERATION_FAILED: Final = "operation.failed"
