"""Which tests `pytest --only alone` runs, and `--only together` leaves out (`make test`): those
that measure time or memory with the machine to themselves, or start servers that need all of it."""

from __future__ import annotations

__all__ = ["ALONE"]

ALONE = {
    "build": "uses all cores by itself: torch, llama.cpp; measures memory",
    "cli/test_chat_keyboard.py": "talks to a server in a terminal",
    "cli/test_chat_terminal.py": "talks to a server in a terminal",
    "cli/test_odd_conditions.py": "starts servers",
    "clients/gateway/test_gateway_bombs.py": "measures how long a gateway is held up",
    "clients/gateway/test_gateway_discovery.py": "starts servers; waits for deadlines",
    "clients/gateway/test_gateway_log_faults.py": "starts gateways; waits for deadlines",
    "clients/gateway/test_gateway_lost_backend.py": "starts gateways and back ends",
    "clients/gateway/test_gateway_mutations.py": "starts a gateway",
    "clients/gateway/test_gateway_schema.py": "starts a gateway; thousands of requests",
    "clients/gateway/test_gateway_redis.py": "starts Redis; waits for deadlines",
    "clients/gateway/test_gateway_slow_senders.py": "starts gateways; waits for deadlines",
    "clients/gateway/test_gateway_tls.py::test_200_half_open_connections": "measures others' wait",
    "clients/gateway/test_gateway_waiting.py": "starts gateways; waits for deadlines",
    "clients/gateway/test_gateway_workers.py": "starts gateways; stops and kills their workers",
    "clients/gateway/test_workers_elsewhere.py": "starts gateways and Redis; stops and kills workers",
    "clients/gateway/test_worker_supervisor.py": "starts processes; waits for deadlines",
    "clients/test_cache.py": "starts many processes",
    "e2e": "starts servers, and measures them",
    "runtime/preparation/test_process.py": "measures how long short work waits beside long work",
    "runtime/processes/test_parent.py": "waits for processes within deadlines",
    "runtime/tracing/test_pipeline.py": "measures how long an end takes",
    "runtime/server/gate/test_gate_runs.py::test_a_day_of_probes": "measures memory",
    "runtime/server/streams": "measures the pace of streams",
    "serve/test_group.py": "waits for processes within deadlines",
    "serve/test_health.py": "measures how long silent clients hold a server up",
    "serve/test_proc.py": "waits for processes within deadlines",
    "serve/test_sent.py": "waits for processes within deadlines",
}
"""Paths under tests/, some with the name of a test, and why."""
