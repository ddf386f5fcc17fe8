"""The codes of errors: what a program reads to decide what to do. Standard library only.

A code keeps its name and its meaning forever. The message beside it is for a person, and may
change at any time.
"""

from __future__ import annotations

from gemma4_runtime.enums import StrEnum

__all__ = ["Code", "Status"]


class Status(StrEnum):
    """What went wrong, in gRPC's names."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


_INVALID, _UNAVAILABLE = Status.INVALID_ARGUMENT, Status.UNAVAILABLE


class Code(StrEnum):
    """What went wrong, as finely as a client could act on it. ``status`` is the status that the
    server sends with it, ``help`` says what it means and what to do, and ``details`` names the
    values that the server sends along, where it has them."""

    status: Status
    help: str
    details: tuple[str, ...]

    def __new__(cls, value: str, status: Status, help: str, *details: str) -> Code:
        member = str.__new__(cls, value)
        member._value_ = value
        member.status = status
        member.help = help
        member.details = details
        return member

    # fmt: off
    PROMPT_TOO_LONG = (
        "prompt_too_long", _INVALID,
        "The prompt has more tokens than the engine takes. Shorten it. `limit` is in tokens; "
        "`bytes` stands for `tokens` when the text was too long to be tokenized.",
        "tokens", "bytes", "limit",
    )
    TOO_MANY_TOKENS = (
        "too_many_tokens", _INVALID,
        "Prompt and `max_tokens` together are more than the engine holds. Ask for at most `limit` "
        "tokens.",
        "limit",
    )
    INPUT_TOO_LARGE = (
        "input_too_large", _INVALID,
        "The input has more bytes, items or values than the server reads. Send less.",
        "size", "limit",
    )
    INPUT_TOO_COMPLEX = (
        "input_too_complex", _INVALID,
        "The input would take too much time or memory. Simplify it.",
        "size", "limit",
    )
    MISSING_INPUT = (
        "missing_input", _INVALID,
        "An input or a part of one is missing. Send it.",
    )
    UNKNOWN_INPUT = (
        "unknown_input", _INVALID,
        "There is no such input or field. Leave it out.",
    )
    CONFLICTING_INPUTS = (
        "conflicting_inputs", _INVALID,
        "Two inputs cannot be sent together, or one needs another. `other` names it.",
        "other",
    )
    RESERVED_INPUT = (
        "reserved_input", _INVALID,
        "Only the server may set this. Leave it out.",
    )
    WRONG_TYPE = (
        "wrong_type", _INVALID,
        "The value has another type or shape than the input takes.",
    )
    OUT_OF_RANGE = (
        "out_of_range", _INVALID,
        "The number is outside its range. `least` and `most` are allowed, `above` is not.",
        "least", "most", "above",
    )
    INVALID_VALUE = (
        "invalid_value", _INVALID,
        "The value has the right type and is not one that the input takes.",
    )
    INVALID_TEXT = (
        "invalid_text", _INVALID,
        "The text is not valid UTF-8, or has a character that no text may have.",
    )
    INVALID_JSON = (
        "invalid_json", _INVALID,
        "The text is not JSON.",
    )
    INVALID_CONVERSATION = (
        "invalid_conversation", _INVALID,
        "The messages are not in an order that the model can answer, or tool calls and their "
        "answers do not belong together.",
    )
    INVALID_SCHEMA = (
        "invalid_schema", _INVALID,
        "The JSON schema is not one, or a reference in it leads nowhere.",
    )
    INVALID_REGEX = (
        "invalid_regex", _INVALID,
        "The regular expression is not one.",
    )
    INVALID_GRAMMAR = (
        "invalid_grammar", _INVALID,
        "The grammar is not one.",
    )
    GUIDE_UNSUPPORTED = (
        "guide_unsupported", _INVALID,
        "The schema, regular expression or grammar is right, but the engine cannot enforce it. "
        "Leave the part out that the message names, and check the answer.",
    )
    OPTION_UNSUPPORTED = (
        "option_unsupported", _INVALID,
        "This engine cannot do it. Leave the option out, or ask another engine.",
    )
    CONTENT_UNSUPPORTED = (
        "content_unsupported", _INVALID,
        "The server takes text and calls of functions, no other content.",
    )
    TEMPLATE_REFUSED = (
        "template_refused", _INVALID,
        "The chat template refuses the messages, or fails on them.",
    )
    DUPLICATE_REQUEST = (
        "duplicate_request", _INVALID,
        "The same prepared request runs already.",
    )
    FEED_FULL = (
        "feed_full", _INVALID,
        "As many polls of this feed wait as may. Wait for an answer to one.",
        "limit",
    )

    QUEUE_FULL = (
        "queue_full", _UNAVAILABLE,
        "All slots run and the queue is full. Retry later, or use another server.",
        "slots", "max_queued",
    )
    TOO_MANY_FEEDS = (
        "too_many_feeds", _UNAVAILABLE,
        "As many clients poll feeds as may. Retry later.",
        "limit",
    )
    MACHINE_OVERLOADED = (
        "machine_overloaded", _UNAVAILABLE,
        "The machine has no process or no time to prepare the request. Retry later.",
    )
    DRAINING = (
        "draining", _UNAVAILABLE,
        "The server takes no new requests, because it is about to stop. Use another server.",
    )
    SERVER_STOPPED = (
        "server_stopped", _UNAVAILABLE,
        "The server stopped before the answer was whole. Use another server.",
    )
    QUALITY_GATE_FAILED = (
        "quality_gate_failed", _UNAVAILABLE,
        "The server takes no requests, because its engine does not give the answers that were "
        "recorded when it was built. Use another server.",
    )
    ENGINE_NOT_READY = (
        "engine_not_ready", _UNAVAILABLE,
        "The engine is still loading. Retry later.",
    )
    ENGINE_RESTARTING = (
        "engine_restarting", _UNAVAILABLE,
        "The engine was lost before this request came, and starts again. Retry later.",
    )
    PREPARATION_RESTARTING = (
        "preparation_restarting", _UNAVAILABLE,
        "The process that prepares requests starts again. Retry later.",
    )

    DEADLINE_EXCEEDED = (
        "deadline_exceeded", Status.DEADLINE_EXCEEDED,
        "The time allowed is over. Allow more, or ask for fewer tokens.",
    )

    CLIENT_CANCELLED = (
        "client_cancelled", Status.CANCELLED,
        "The client cancelled or left.",
    )
    ENGINE_CANCELLED = (
        "engine_cancelled", Status.CANCELLED,
        "The engine ended the request without having been asked to.",
    )

    ENGINE_LOST = (
        "engine_lost", Status.INTERNAL,
        "The engine was lost while the request ran, and starts again. The request may be what it "
        "died of.",
    )
    ENGINE_FAILED = (
        "engine_failed", Status.INTERNAL,
        "The engine failed on this request.",
    )
    GUIDE_NOT_KEPT = (
        "guide_not_kept", Status.INTERNAL,
        "The answer does not keep to its guide, so it is not delivered as if it did.",
    )
    DELIVERY_FAILED = (
        "delivery_failed", Status.INTERNAL,
        "A part of the answer could not be sent.",
    )
    TRITON_FAILED = (
        "triton_failed", Status.INTERNAL,
        "Triton itself failed a step. The message is Triton's own.",
    )
    SERVER_FAILED = (
        "server_failed", Status.INTERNAL,
        "The server met something that it does not know. Its log says what.",
    )
    # fmt: on
