"""Are users happy?"""

from __future__ import annotations

from boards.parts import Board, Panel, Query, Row, Step, Variable, quantile

__all__ = ["USERS"]

_ANSWERS = 'route=~"chat|completions|responses|messages"'
_ALL = f"gemma4_gateway_requests_total{{@,{_ANSWERS}}}"
_TRIED = f'gemma4_gateway_requests_total{{@,{_ANSWERS},status=~"2..|5.."}}'
"""What the alerts count: the caller's own mistakes and limits (4xx) are left out."""
_BAD = f'gemma4_gateway_requests_total{{@,{_ANSWERS},status=~"5.."}}'
_TTFT = "gemma4_time_to_first_token_seconds"
_ITL = "gemma4_inter_token_latency_seconds"
_E2E = "gemma4_e2e_request_latency_seconds"
_RANKS = ((0.5, "half are faster (p50)"), (0.95, "95 % are faster"), (0.99, "99 % are faster"))


def _bad_share(window: str) -> str:
    bad, everything = (f"sum(increase({name}[{window}]))" for name in (_BAD, _TRIED))
    return f"({bad} or vector(0)) / ({everything} > 0)"


def _over_range(q: float, histogram: str) -> str:
    found = f"sum by (le) (increase({histogram}_bucket{{@}}[$__range]))"
    return f"histogram_quantile({q}, {found}) >= 0"


def _ranks(title: str, what: str, histogram: str) -> Panel:
    queries = tuple(Query(quantile(q, histogram), legend) for q, legend in _RANKS)
    return Panel(title, what, queries, "s")


def _heat(title: str, histogram: str) -> Panel:
    return Panel(
        title,
        "Each column is a moment, each row a range of times; the darker, the more requests. Two "
        "dark bands are two kinds of requests, which a quantile hides.",
        (Query(f"sum by (le) (increase({histogram}_bucket{{@}}[R]))", "{{le}}"),),
        "s",
        kind="heatmap",
        low=None,
    )


_GLANCE = Row(
    "At a glance (all of the chosen time)",
    (
        Panel(
            "Availability",
            "Share of requests for answers that did not end with 5xx. What ended with 4xx is not "
            "counted: mistakes, limits of a key, and 429 when all slots and queues are full. See "
            "the errors below for these.",
            (Query(f"1 - {_bad_share('$__range')}", "available", instant=True),),
            "percentunit", kind="stat", width=4, height=5, high=1, decimals=2,
            steps=(Step(None, "red"), Step(0.99, "orange"), Step(0.999, "green")),
        ),
        Panel(
            "Error budget left",
            "Of the failures that the target at the top allows in the chosen time: 100 % is "
            "untouched, below 0 the target is missed. Choose 30 days to see the month.",
            (Query(f"1 - {_bad_share('$__range')} / (1 - $slo / 100)", "left", instant=True),),
            "percentunit", kind="stat", width=4, height=5, low=None, decimals=0,
            steps=(Step(None, "red"), Step(0.1, "orange"), Step(0.5, "green")),
        ),
        Panel(
            "First token in time",
            "Share of answers whose first token came within the limit at the top of the page.",
            (
                Query(
                    f'sum(increase({_TTFT}_bucket{{@,le="$ttft"}}[$__range]))'
                    f" / (sum(increase({_TTFT}_count{{@}}[$__range])) > 0)",
                    "in time", instant=True,
                ),
            ),
            "percentunit", kind="stat", width=4, height=5, high=1, decimals=1,
            steps=(Step(None, "red"), Step(0.9, "orange"), Step(0.95, "green")),
        ),
        Panel(
            "Time to first token, p95",
            "95 % of the answers began within this time. It is the wait that a user feels.",
            (Query(_over_range(0.95, _TTFT), "p95", instant=True),),
            "s", kind="stat", width=4, height=5,
            steps=(Step(None, "green"), Step(1, "orange"), Step(2.5, "red")),
        ),
        Panel(
            "Between two tokens, p95",
            "95 % of the tokens came within this time after the one before. 0.1 s is 10 tokens a "
            "second, about as fast as people read.",
            (Query(_over_range(0.95, _ITL), "p95", instant=True),),
            "s", kind="stat", width=4, height=5,
            steps=(Step(None, "green"), Step(0.1, "orange"), Step(0.25, "red")),
        ),
        Panel(
            "Generated tokens",
            "All tokens of answers per second, now.",
            (Query("sum(rate(gemma4_generation_tokens_total{@}[R]))", "tokens/s"),),
            "suffix: tokens/s", kind="stat", width=4, height=5, decimals=0,
        ),
    ),
)  # fmt: skip

_SPEED = Row(
    "How fast",
    (
        _ranks(
            "Time to first token",
            "From the arrival of a request at Triton to its first token: waiting for a slot, and "
            "reading the prompt. If it grows, look at `What limits?`.",
            _TTFT,
        ),
        _ranks(
            "Time between tokens",
            "How fluently an answer runs. It grows with the number of requests that run at once.",
            _ITL,
        ),
        _ranks(
            "Whole answer",
            "From the arrival of a request to the end of its answer. Long answers take long: "
            "compare with the lengths below.",
            _E2E,
        ),
        _heat("Time to first token, all of them", _TTFT),
        _heat("Time between tokens, all of them", _ITL),
        _heat("Whole answer, all of them", _E2E),
    ),
)

_WORK = Row(
    "How much, and what went wrong",
    (
        Panel(
            "Requests by status",
            "Requests at the gateway by the HTTP status they got. 499: the client left before "
            "the end.",
            (Query(f"sum by (status) (rate({_ALL}[R]))", "{{status}}"),),
            "reqps", stacked=True,
        ),
        Panel(
            "Errors at the gateway",
            "Share of requests. 4xx are mistakes or limits of the caller; 429 is a limit of a "
            "key, or overload; 5xx are ours and count against availability.",
            (
                Query(
                    "sum by (status) (rate(gemma4_gateway_requests_total"
                    f'{{@,{_ANSWERS},status=~"4..|5.."}}[R])) / on () group_left ()'
                    f" (sum(rate({_ALL}[R])) > 0)",
                    "{{status}}",
                ),
            ),
            "percentunit", stacked=True, high=1, empty="no errors in this time",
        ),
        Panel(
            "Errors of the models, by code",
            "Every error that Triton's models gave, by the code that docs/errors.md explains.",
            (Query("sum by (code) (rate(gemma4_request_failure_total{@}[R]))", "{{code}}"),),
            "reqps", stacked=True, empty="no errors in this time",
        ),
        Panel(
            "Tokens",
            "Generated: what users get. Prompts: what the engine reads, cached tokens included.",
            (
                Query("sum(rate(gemma4_generation_tokens_total{@}[R]))", "generated"),
                Query("sum(rate(gemma4_prompt_tokens_total{@}[R]))", "of prompts"),
            ),
            "suffix: tokens/s",
        ),
        Panel(
            "How answers end",
            "stop: the model was done; length: max_tokens or the end of the context; "
            "tool_calls: it asked for a tool. Much `length` may mean limits that are too low.",
            (
                Query(
                    "sum by (finished_reason) (rate(gemma4_request_success_total{@}[R]))",
                    "{{finished_reason}}",
                ),
            ),
            "reqps", stacked=True,
        ),
        Panel(
            "Lengths",
            "Longer prompts make the first token later, longer answers the last.",
            (
                Query(quantile(0.5, "gemma4_request_prompt_tokens"), "prompt p50"),
                Query(quantile(0.95, "gemma4_request_prompt_tokens"), "prompt p95"),
                Query(quantile(0.5, "gemma4_request_generation_tokens"), "answer p50"),
                Query(quantile(0.95, "gemma4_request_generation_tokens"), "answer p95"),
            ),
            "suffix: tokens",
        ),
        Panel(
            "Availability over time",
            "The share above, moment by moment; the dashed line is the target.",
            (
                Query(f"1 - {_bad_share('$__rate_interval')}", "available"),
                Query("vector($slo / 100)", "target"),
            ),
            "percentunit", low=None, high=1, width=12, dashed=("target",), decimals=2,
        ),
        Panel(
            "First token, as the gateway sees it",
            "The gateway's p95 beside Triton's. What the gateway has more is its own work, the "
            "network, and waiting for a back end. For answers that are not streamed, the "
            "gateway's first token is the end of the answer.",
            (
                Query(quantile(0.95, "gemma4_gateway_ttft_seconds"), "gateway p95"),
                Query(quantile(0.95, _TTFT), "Triton p95"),
            ),
            "s", width=12,
        ),
    ),
)  # fmt: skip

USERS = Board(
    uid="gemma4-users",
    question="Are users happy?",
    what="Availability, speed, errors and amount of work, as those who call see them.",
    rows=(_GLANCE, _SPEED, _WORK),
    variables=(
        Variable("slo", "Target, %", "Availability that is promised.", "99.9"),
        Variable(
            "ttft", "First token within, s", "A limit that users should not notice.", "2.5",
            choices=("0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0"),
        ),
    ),
)  # fmt: skip
