"""A wrong value for every setting of .env.example, and who refuses it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANY_TEXT", "COMMAND_LINE", "CONTAINERS", "MOUNTED", "NOT_REFUSED", "Wrong"]


@dataclass(frozen=True, slots=True)
class Wrong:
    """``service`` of ``profile`` refuses ``variable=value`` in one line that has all of ``words``:
    for the command line the option, then the way out. ``gpu``: with GPU set."""

    variable: str
    value: str
    service: str
    words: tuple[str, ...]
    profile: str = ""
    gpu: bool = False

    @property
    def env(self) -> dict[str, str]:
        return {**({"GPU": "h100"} if self.gpu else {}), self.variable: self.value}


def _build(variable: str, value: str, *words: str, gpu: bool = True) -> Wrong:
    service, profile = ("engine-build", "gpu") if gpu else ("engine-build-cpu", "build")
    return Wrong(variable, value, service, words, profile, gpu)


def _gateway(option: str, variable: str, value: str, *words: str) -> Wrong:
    return Wrong(variable, value, "gateway", (f"--{option} {value}", *words))


COMMAND_LINE = [
    Wrong("QUALITY_GATE", "maybe", "triton", ("--quality-gate", "off, report, enforce")),
    Wrong("QUALITY_GATE_INTERVAL", "often", "triton", ("--quality-gate-interval", "a number")),
    Wrong("MAX_QUEUED", "few", "triton", ("--max-queued", "a whole number")),
    Wrong("CPU_THREADS", "0", "triton", ("--threads", "from 1 to")),
    Wrong("START_TIMEOUT", "long", "triton", ("--start-timeout", "a number")),
    _gateway("api-keys-file", "API_KEYS_FILE", "/none/keys.json", "No such file"),
    _gateway("key-requests-per-minute", "KEY_REQUESTS_PER_MINUTE", "few", "a whole number"),
    _gateway("key-tokens-per-minute", "KEY_TOKENS_PER_MINUTE", "-1", "from 0 to"),
    _gateway("key-max-running", "KEY_MAX_RUNNING", "1.5", "a whole number"),
    _gateway("workers", "GATEWAY_WORKERS", "two", "a whole number"),
    _gateway("timeout", "GATEWAY_TIMEOUT", "0", "from 0.1 to"),
    _gateway("max-running", "GATEWAY_MAX_RUNNING", "0", "from 1 to"),
    _gateway("queue-length", "GATEWAY_QUEUE_LENGTH", "-1", "from 0 to"),
    _gateway("queue-tokens", "GATEWAY_QUEUE_TOKENS", "many", "a whole number"),
    _gateway("queue-seconds", "GATEWAY_QUEUE_SECONDS", "0", "from 0.01 to"),
    _gateway("max-body-mib", "GATEWAY_MAX_BODY_MIB", "4m", "a whole number"),
    _gateway("sse-keep-alive", "SSE_KEEP_ALIVE", "never", "a number"),
    _gateway("cors-origin", "CORS_ORIGINS", "app.example.com", "https://app.example.com"),
    _gateway("webui", "WEBUI", "maybe", "true or false"),
    _gateway("drop-unsupported", "DROP_UNSUPPORTED", "tools", "true or false"),
    _gateway("response-store", "RESPONSE_STORE", "/none/responses.db", "No such file"),
    # Each of them is for the file.
    _gateway("response-store-count", "RESPONSE_STORE_COUNT", "9", "needs --response-store"),
    _gateway("response-store-mib", "RESPONSE_STORE_MIB", "9", "needs --response-store"),
    _gateway("response-store-days", "RESPONSE_STORE_DAYS", "soon", "a number, from 0.0001 to"),
    Wrong(
        "TLS_CLIENTS_FOLDER",
        "/none/clients",
        "gateway",
        ("--ssl-ca-certs /clients/ca.crt", "needs --ssl-certfile"),
    ),
    Wrong("DYNAMO_INPUT", "words", "dynamo-worker-1", ("--input", "tokens, text"), "dynamo"),
    Wrong("CPU_ENGINE", "/engine/none", "triton", ("no such folder", "gemma4 build")),
    Wrong("ENGINE", "/engine/none", "triton", ("no such folder", "gemma4 build"), "gpu", True),
    # Where nothing is, an engine of containers makes an empty folder.
    _build("CHECKPOINT", "/none", "config.json: not found", "download", gpu=False),
    _build("CPU_PRECISION", "int3", "--precision", "known are f32, bf16, int8, int4", gpu=False),
    _build("CPU_SLOTS", "many", "--slots", "a whole number, such as 4", gpu=False),
    _build("CPU_MAX_TOTAL_TOKENS", "lots", "--max-total-tokens", "a whole number", gpu=False),
    _build("GPU", "zx81", "--gpu", "known are a100"),
    _build("PRECISION", "int3", "--precision", "known are bf16, fp8, nvfp4, int4"),
    _build("TP", "two", "--tp", "a whole number"),
    _build("EP", "-1", "--ep", "0 for as many as --tp"),
    _build("PRESET", "fast", "--preset", "known are latency, throughput"),
    _build("SLOTS", "many", "--slots", "a whole number, such as 4"),
    _build("MAX_TOTAL_TOKENS", "lots", "--max-total-tokens", "a whole number"),
]
"""What ``gemma4`` itself refuses."""

MOUNTED = {"CHECKPOINT", "TLS_CLIENTS_FOLDER"}
"""They have another name in the container, which the message has."""


def _container(service: str, words: tuple[str, ...], profile: str, **settings: str) -> list[Wrong]:
    gpu = profile == "gpu"
    return [Wrong(k, v, service, (v, *words), profile, gpu) for k, v in settings.items()]


CONTAINERS = [
    *_container("gateway", (), "", BIND="nowhere", GATEWAY_PORT="99999", GATEWAY_MEMORY="much"),
    *_container("gateway", (), "", CPU_IMAGE="No Image", NOFILE="many"),
    *_container("prometheus", (), "", PROMETHEUS_MEMORY="much", PROMETHEUS_IMAGE="localhost/none:0"),
    *_container("alertmanager", (), "", ALERTMANAGER_PORT="http", ALERTMANAGER_MEMORY="much",
                ALERTMANAGER_IMAGE="localhost/none:0", ALERTMANAGER_CONFIG="/none/alertmanager.yml"),
    *_container("grafana", (), "", GRAFANA_PORT="http", GRAFANA_MEMORY="much",
                GRAFANA_IMAGE="localhost/none:0"),
    *_container("triton", (), "", CPU_MEMORY="much", CPU_SHM_SIZE="much",
                CPU_TMP_SIZE="much"),
    *_container("engine-build-cpu", (), "build", CPU_BUILD_MEMORY="much"),
    *_container("locust", (), "load", LOCUST_PORT="http", LOCUST_MEMORY="much",
                LOAD_IMAGE="No Image"),
    *_container("triton", (), "gpu", MEMORY="much", SHM_SIZE="much", TMP_SIZE="much",
                HOME_SIZE="much", IMAGE="No Image"),
    *_container("dynamo", (), "dynamo", DYNAMO_PORT="http", DYNAMO_MEMORY="much",
                DYNAMO_IMAGE="No Image"),
    Wrong("DYNAMO_ROUTER", "nearest", "dynamo", ("--router-mode", "nearest"), "dynamo"),
    Wrong("DYNAMO_MIGRATIONS", "few", "dynamo", ("--migration-limit", "few"), "dynamo"),
    *_container("gateway", ("does not exist",), "", TLS_FOLDER="/none/tls"),
    Wrong("PROMETHEUS_RETENTION", "soon", "prometheus", ("soon", "duration")),
]  # fmt: skip
"""What those refuse that make a container, or the program in it. They name the value."""

ANY_TEXT = {"MODEL_NAME", "GATEWAY_API_KEY", "TLS_NAME", "TLS_CA"}
"""Any text is right; TLS_CA is a file that locust alone reads."""

NOT_REFUSED = {"CPU_LIMIT", "DYNAMO_LOG", "OTLP_ENDPOINT", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG"}
"""podman-compose 1.6 drops a limit of processors that is no number; Docker was not tried. Dynamo
takes any word for what is logged, as the name of one of its modules. Tracing that cannot be is a
line in the log: requests are served without."""
