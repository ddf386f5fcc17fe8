"""What broke?"""

from __future__ import annotations

from boards.parts import Board, Panel, Query, Row, Step

__all__ = ["BROKE"]

_GOOD_IS_1 = (Step(None, "red"), Step(1, "green"))
_GOOD_IS_0 = (Step(None, "green"), Step(1, "red"))


def _events(title: str, what: str, *queries: tuple[str, str], empty: str) -> Panel:
    """Count things that should not happen, for each step of the graph."""
    found = tuple(Query(expr, legend) for expr, legend in queries)
    return Panel(title, what, found, "none", stacked=True, empty=empty, decimals=0)


def _more(counter: str, by: str = "") -> str:
    return f"sum by ({by}) (increase({counter}{{@}}[R]))"


_NOW = Row(
    "Now",
    (
        Panel(
            "Scraped",
            "Whether Prometheus reaches each server and gateway. DOWN: it ended, hangs, or the "
            "network is cut.",
            (Query("min by (job, instance) (up{@})", "{{job}} {{instance}}"),),
            "none", kind="stat", width=8, height=5, high=1, steps=_GOOD_IS_1,
            words=((0, "DOWN"), (1, "up")), empty="Prometheus knows no such job",
        ),
        Panel(
            "Back ends that take requests",
            "Of those that the gateways know: the worst gateway's view. None: every request gets "
            "503.",
            (
                Query(
                    "min(sum by (instance) (gemma4_gateway_backend_ready{@}))"
                    " / max(count by (instance) (gemma4_gateway_backend_ready{@}))",
                    "ready",
                ),
            ),
            "percentunit", kind="stat", width=4, height=5, high=1, decimals=0,
            steps=(Step(None, "red"), Step(0.5, "orange"), Step(1, "green")),
            empty="no gateway, or it knows no back end",
        ),
        Panel(
            "Engine's last sign of life",
            "The oldest of all engines. Each tells its numbers once a second; an engine that "
            "says nothing for long is frozen, and `gemma4 serve` starts it again.",
            (Query("max(time() - gemma4_last_update_timestamp_seconds{@})", "ago"),),
            "s", kind="stat", width=4, height=5, empty="no server",
            steps=(Step(None, "green"), Step(15, "orange"), Step(60, "red")),
        ),
        Panel(
            "Answers are right",
            "The quality gate asks questions whose answers are known. FAILED: the engine runs, "
            "but its answers changed; look before users do.",
            (Query("min(gemma4_quality_gate_ok{@})", "gate"),),
            "none", kind="stat", width=4, height=5, high=1, steps=_GOOD_IS_1,
            words=((0, "FAILED"), (1, "ok")), empty="has not run, or is off",
        ),
        Panel(
            "Certificate ends in",
            "The gateway's own certificate. After its end no client connects.",
            (
                Query(
                    "min(gemma4_gateway_tls_certificate_not_after_seconds{@}) - time()", "left"
                ),
            ),
            "s", kind="stat", width=4, height=5, low=None, empty="no TLS at the gateway",
            steps=(Step(None, "red"), Step(259200, "orange"), Step(1814400, "green")),
        ),
    ),
)  # fmt: skip

_LIVES = Row(
    "Servers",
    (
        Panel(
            "Up",
            "Lines that fall to 0 were not reached.",
            (Query("min by (job, instance) (up{@})", "{{job}} {{instance}}"),),
            "none", high=1,
        ),
        _events(
            "Engine starts after a loss",
            "By reason: crashed, frozen, stuck ... The engine's log says more. Too many in a "
            "short time end `gemma4 serve`.",
            (_more("gemma4_engine_restarts_total", "instance, reason"), "{{reason}} {{instance}}"),
            empty="none in this time",
        ),
        Panel(
            "Engine's last sign of life",
            "A line that climbs is an engine that hangs.",
            (Query("time() - gemma4_last_update_timestamp_seconds{@}", "{{instance}}"),),
            "s", steps=(Step(None, "transparent"), Step(15, "orange"), Step(60, "red")),
            empty="no server",
        ),
        Panel(
            "Back ends that take requests, by gateway",
            "The dashed line is how many the gateways know.",
            (
                Query("sum by (instance) (gemma4_gateway_backend_ready{@})", "{{instance}}"),
                Query("max(count by (instance) (gemma4_gateway_backend_ready{@}))", "known"),
            ),
            "none", dashed=("known",), empty="no gateway, or it knows no back end",
        ),
        _events(
            "Back ends that went away",
            "A gateway takes a back end out when it does not answer or is not ready, and asks "
            "again until it is. One that comes and goes flaps.",
            (_more("gemma4_gateway_backend_ejections", "backend"), "{{backend}}"),
            empty="no gateway, or it knows no back end",
        ),
        Panel(
            "Draining",
            "1: takes no new requests and lets running ones end. For longer than the grace "
            "period: stuck.",
            (
                Query("gemma4_draining{@}", "Triton {{instance}}"),
                Query("gemma4_gateway_draining{@}", "gateway {{instance}}"),
            ),
            "none", high=1, steps=_GOOD_IS_0,
        ),
    ),
)  # fmt: skip

_REFUSED = Row(
    "Requests that failed",
    (
        _events(
            "Refused or failed, by code",
            "By the models. queue_full: overload; draining: a deployment; others are explained "
            "in docs/errors.md.",
            (_more("gemma4_request_failure_total", "status, code"), "{{code}} ({{status}})"),
            empty="none in this time",
        ),
        _events(
            "Refused or failed, by model",
            "Which part said no: preprocessing before the queue, the engine after it.",
            (_more("gemma4_request_failure_total", "step"), "{{step}}"),
            empty="none in this time",
        ),
        _events(
            "Triton's own count of failures",
            "By model and reason; CANCELED is a client that left.",
            (
                _more("nv_inference_request_failure", "model, reason") + " > 0",
                "{{model}} {{reason}}",
            ),
            empty="none in this time",
        ),
        _events(
            "Refused by the gateway's limits",
            "By limit: of a key, or of the whole gateway.",
            (_more("gemma4_gateway_limited_total", "limit"), "{{limit}}"),
            empty="none in this time",
        ),
        _events(
            "Not taken by a back end",
            "The gateway then asks another one.",
            (_more("gemma4_gateway_backend_refusals_total", "backend"), "{{backend}}"),
            empty="none in this time",
        ),
        _events(
            "Clients that left, connections that were cut",
            "Left: the client closed before its answer ended. Cut: the gateway closed a "
            "connection that brought no whole request, by reason.",
            (_more("gemma4_gateway_disconnects_total"), "left"),
            (_more("gemma4_gateway_connections_cut_total", "reason"), "cut: {{reason}}"),
            (_more("gemma4_gateway_evicted_uploads"), "body given up for others"),
            empty="no gateway",
        ),
    ),
)

_REST = Row(
    "Quality, certificate, names, log",
    (
        Panel(
            "Agreement of the quality gate",
            "Share of the known answers that the engine gives. Dashed: passed (1) or not (0).",
            (
                Query("gemma4_quality_gate_agreement{@}", "{{instance}}"),
                Query("min(gemma4_quality_gate_ok{@})", "passed"),
            ),
            "percentunit", high=1, dashed=("passed",), empty="has not run, or is off",
        ),
        Panel(
            "Probabilities of the quality gate",
            "Largest change of a known answer's probability, in nats, since the server's first run "
            "or since the build. On CPUs 0: any change is damage.",
            (Query("gemma4_quality_gate_log_prob_change_nats{@}", "{{instance}}"),),
            "none", empty="has not run, or the engine tells none",
        ),
        _events(
            "Runs of the quality gate",
            "skipped: the server had too much to do.",
            (_more("gemma4_quality_gate_runs_total", "result"), "{{result}}"),
            empty="has not run, or is off",
        ),
        _events(
            "Certificate loaded again",
            "failed: the new file cannot be used, and the old certificate stays.",
            (_more("gemma4_gateway_tls_reloads_total", "result"), "{{result}}"),
            empty="no TLS at the gateway",
        ),
        Panel(
            "Addresses found by DNS",
            "Pods behind each name that the gateway follows.",
            (Query("min by (name) (gemma4_gateway_dns_addresses{@})", "{{name}}"),),
            "none", empty="the gateway follows no name",
        ),
        _events(
            "Lookups without an answer",
            "The gateway keeps the addresses it had.",
            (_more("gemma4_gateway_dns_failures", "name"), "{{name}}"),
            empty="the gateway follows no name",
        ),
        _events(
            "Lines of the log that were dropped",
            "Nobody reads the gateway's log, or its disk is full.",
            (_more("gemma4_gateway_log_lines_dropped", "instance"), "{{instance}}"),
            empty="no gateway",
        ),
        _events(
            "Workers of a gateway that were replaced",
            "Each was lost with the answers that it had under way.",
            (_more("gemma4_gateway_worker_restarts_total", "instance"), "{{instance}}"),
            empty="gateways of one process",
        ),
        Panel(
            "What runs",
            "Versions: two rows with different ones are a deployment under way.",
            (
                Query(
                    "sum by (instance, version, runtime, runtime_version, precision, model_name)"
                    " (gemma4_build_info{@})",
                    "{{instance}} {{version}} {{runtime}} {{precision}}",
                    instant=True,
                ),
            ),
            "none", kind="table", width=24, height=5, empty="no server",
        ),
    ),
)  # fmt: skip

BROKE = Board(
    uid="gemma4-broke",
    question="What broke?",
    what="Servers that are gone, requests that failed, and what else asks for a hand.",
    rows=(_NOW, _LIVES, _REFUSED, _REST),
)
