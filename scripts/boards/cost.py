"""What does it cost?"""

from __future__ import annotations

from boards.parts import Board, Panel, Query, Row, Variable

__all__ = ["COST"]

_GPUS = "count(count by (gpu_uuid) (nv_gpu_utilization{@}))"
_TOKENS = "sum(rate(gemma4_generation_tokens_total{@}[R]))"
_WATTS = "sum(max by (gpu_uuid) (nv_gpu_power_usage{@}))"
_JOULES = "sum(max by (gpu_uuid) (rate(nv_energy_consumption{@}[R])))"
_NO_GPU = "needs a GPU and requests"
_MILLIONS_AN_HOUR = f"({_TOKENS} * 3600 / 1e6 > 0)"
_MADE = "gemma4_generation_tokens_total{@}"


def _now(
    title: str, what: str, expr: str, unit: str, *, width: int = 4, decimals: int = 2
) -> Panel:
    return Panel(
        title, what, (Query(expr, "now"),), unit, kind="stat", width=width, height=5,
        decimals=decimals, empty=_NO_GPU,
    )  # fmt: skip


def _by_key(title: str, what: str, counter: str) -> Panel:
    expr = f"sum by (key) (increase({counter}{{@}}[$__range]))"
    return Panel(
        title, what, (Query(expr, "{{key}}", instant=True),), "short", kind="bargauge",
        width=12, height=7,
    )  # fmt: skip


_PRICE = Row(
    "Price of a million generated tokens, now",
    (
        _now(
            "Money",
            "GPUs times the price at the top, divided by the tokens of an hour at the present "
            "rate. It falls when the server is busier: idle GPUs cost too.",
            f"$price * {_GPUS} / {_MILLIONS_AN_HOUR}",
            "currencyUSD",
        ),
        _now(
            "GPU hours",
            "Hours of one GPU for a million generated tokens at the present rate.",
            f"{_GPUS} / {_MILLIONS_AN_HOUR}",
            "h",
        ),
        _now(
            "Energy",
            "Of the GPUs alone; the machine and its cooling come on top.",
            f"{_JOULES} / 3.6e6 / ({_TOKENS} / 1e6 > 0)",
            "kwatth",
        ),
        _now(
            "Tokens of a GPU",
            "Generated tokens per second for each GPU.",
            f"{_TOKENS} / ({_GPUS} > 0)",
            "suffix: tokens/s",
            decimals=0,
        ),
        _now("GPUs", "That the servers of the chosen jobs see.", _GPUS, "none", decimals=0),
        _now("Power", "Of all GPUs.", _WATTS, "watt", decimals=0),
        Panel(
            "Money for a million generated tokens",
            "High at night and low at the peak: the GPUs cost the same. Without requests there "
            "is no value.",
            (Query(f"$price * {_GPUS} / {_MILLIONS_AN_HOUR}", "$ for a million"),),
            "currencyUSD",
            low=None,
            log=True,
            empty=_NO_GPU,
        ),
        Panel(
            "Energy for a million generated tokens",
            "Of the GPUs alone.",
            (Query(f"{_JOULES} / 3.6e6 / ({_TOKENS} / 1e6 > 0)", "kWh for a million"),),
            "kwatth",
            low=None,
            log=True,
            empty=_NO_GPU,
        ),
        Panel(
            "Money in an hour",
            "All GPUs, whether they work or not, and the share that works.",
            (
                Query(f"$price * {_GPUS}", "all GPUs"),
                Query(
                    "$price * sum(max by (gpu_uuid) (nv_gpu_utilization{@}))", "GPUs at work"
                ),
            ),
            "currencyUSD",
            empty="needs a GPU",
        ),
    ),
)  # fmt: skip

_WHO = Row(
    "Who uses it",
    (
        _by_key(
            "Generated tokens by key (chosen time)",
            "By the name of the API key. anonymous: the gateway asks for no key.",
            "gemma4_gateway_completion_tokens_total",
        ),
        _by_key(
            "Tokens of prompts by key (chosen time)",
            "Those that came from the cache are counted too.",
            "gemma4_gateway_prompt_tokens_total",
        ),
        Panel(
            "Generated tokens by key",
            "Over time.",
            (
                Query(
                    "sum by (key) (rate(gemma4_gateway_completion_tokens_total{@}[R]))", "{{key}}"
                ),
            ),
            "suffix: tokens/s",
            stacked=True,
            width=12,
        ),
        Panel(
            "Tokens of prompts by key",
            "Over time.",
            (Query("sum by (key) (rate(gemma4_gateway_prompt_tokens_total{@}[R]))", "{{key}}"),),
            "suffix: tokens/s",
            stacked=True,
            width=12,
        ),
    ),
)

_USE = Row(
    "Is what is paid for used?",
    (
        Panel(
            "Generated tokens by replica",
            "Replicas that do much less than the others could be fewer.",
            (Query(f"sum by (instance) (rate({_MADE}[R]))", "{{instance}}"),),
            "suffix: tokens/s",
            stacked=True,
        ),
        Panel(
            "Slots in use",
            "Mean of all replicas. Under 30 % for hours: fewer replicas would do.",
            (
                Query(
                    "sum(avg_over_time(gemma4_num_requests_running{@}[R]))"
                    " / (sum(avg_over_time(gemma4_slots{@}[R])) > 0)",
                    "in use",
                ),
            ),
            "percentunit",
            high=1,
        ),
        Panel(
            "GPUs at work",
            "Share of time in which a GPU ran anything: 100 % may still be a batch of one.",
            (Query("max by (gpu_uuid) (nv_gpu_utilization{@})", "{{gpu_uuid}}"),),
            "percentunit",
            high=1,
            empty="no GPU",
        ),
        Panel(
            "Prompt tokens that cost nothing",
            "From the prefix cache, beside those that were computed.",
            (
                Query("sum(rate(gemma4_prefix_cache_hits_total{@}[R]))", "from the cache"),
                Query(
                    "sum(rate(gemma4_prefix_cache_queries_total{@}[R]))"
                    " - sum(rate(gemma4_prefix_cache_hits_total{@}[R]))",
                    "computed",
                ),
            ),
            "suffix: tokens/s",
            stacked=True,
            width=12,
        ),
        Panel(
            "Tokens made in the chosen time",
            "By replica.",
            (
                Query(
                    f"sum by (instance) (increase({_MADE}[$__range]))",
                    "{{instance}}",
                    instant=True,
                ),
            ),
            "short",
            kind="bargauge",
            width=12,
        ),
    ),
)

COST = Board(
    uid="gemma4-cost",
    question="What does it cost?",
    what="Money, energy and GPU hours of a million tokens, who uses them, and what lies idle.",
    rows=(_PRICE, _WHO, _USE),
    variables=(Variable("price", "$ for a GPU hour", "What one GPU costs you.", "2.50"),),
)
