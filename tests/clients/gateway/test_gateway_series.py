"""Whatever clients send, the gateway's /metrics has a bounded number of series."""

from __future__ import annotations

import httpx
from gemma4_testing.cases.gateway_mutations import mutated
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

ROUTES = {"chat", "completions", "responses", "messages", "count_tokens", "models", "tokenize",
          "detokenize", "health", "metrics", "other"}  # fmt: skip
STATUSES = {"200", "400", "401", "403", "404", "405", "408", "411", "413", "415", "422", "429",
            "431", "499", "500", "501", "502", "503", "504"}  # fmt: skip

word = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
path = st.sampled_from(
    ["/v1/chat/completions", "/v1/messages", "/v1/models", "/tokenize", "/metrics"]
) | st.builds("/{}/{}".format, word, word)
method = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"]) | st.from_regex(
    r"[A-Z]{3,12}", fullmatch=True
)
headers = st.dictionaries(
    st.sampled_from(["authorization", "x-request-id", "user-agent", "accept", "x-forwarded-for"]),
    word,
)


def labels_of(gateway: InProcess) -> dict[str, set[str]]:
    """Every value of every label that the endpoint has."""
    with gateway.http() as http:
        text = http.get("/metrics").text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for name, value in sample.labels.items():
                found.setdefault(name, set()).add(value)
    return found


def test_series_are_bounded() -> None:
    with fake_backend("good") as backend, gateway_before(backend.address) as gateway:
        with gateway.http() as http:

            @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
            @given(method, path, headers, word)
            def send(method: str, path: str, headers: dict[str, str], model: str) -> None:
                body = {"model": model, "messages": [{"role": model, "content": model}]}
                try:
                    http.request(method, path, headers=headers, json=body)
                except (httpx.InvalidURL, httpx.RemoteProtocolError):
                    http.get("/health/live")  # it cannot be sent, or was cut; the next one is

            send()
            for number in range(60):
                one = mutated(number, "m")
                if len(one.body) < 1 << 20 and len(str(one.headers)) < 1 << 14:
                    sent = {
                        k.encode("latin-1"): v.encode("latin-1") for k, v in one.headers.items()
                    }
                    assert http.post(one.path, content=one.body, headers=sent).status_code
        found = labels_of(gateway)
    assert found["route"] <= ROUTES and {"chat", "other"} <= found["route"]
    assert found["status"] <= STATUSES and len(found["status"]) > 2
    assert found.pop("backend") == {backend.address}
    # The name of a key; nobody has one here.
    assert len(found.get("key", set())) <= 1
    assert found.keys() <= {"route", "status", "le", "key", "limit", "reason", "name"}
