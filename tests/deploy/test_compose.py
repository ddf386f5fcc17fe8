"""docker-compose.yml, as far as it can be checked without Docker; `make test-compose` runs it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from gemma4_load.targets import CLIENT_CERT, CLIENT_KEY
from gemma4_runtime.trtllm.compatibility import verdict
from gemma4_testing.deploy.compose_files import COMPOSE_FILES, ROOT, VARIABLE, load, parse, services

GPU = {"GPU": "h100", "CHECKPOINT": "/models/x"}
DEFAULT = {"triton", "gateway", "prometheus", "alertmanager", "grafana"}
DYNAMO = {"dynamo", "dynamo-worker-1", "dynamo-worker-2", "triton-2"}
TLS = {"TLS_FOLDER": "/etc/gemma4/tls"}
CLIENTS = {**TLS, "TLS_CLIENTS_FOLDER": "/etc/gemma4/clients"}
NAMES = {str({}): "cpu", str(GPU): "gpu", str(TLS): "tls", str(CLIENTS): "clients"}
EVERY = [(name, env) for env in ({}, GPU, TLS, CLIENTS) for name in services("*", **env)]


def each(found: list[tuple[str, dict[str, str]]]) -> pytest.MarkDecorator:
    ids = [f"{name}-{NAMES[str(env)]}" for name, env in found]
    return pytest.mark.parametrize(("name", "env"), found, ids=ids)


@pytest.mark.parametrize(
    ("profiles", "env", "expected"),
    [
        ((), {}, DEFAULT),
        (("load",), {}, DEFAULT | {"locust"}),
        (("dynamo",), {}, DEFAULT | DYNAMO),
        (("gpu",), GPU, DEFAULT | {"engine-build"}),
        (("gpu", "load"), GPU, DEFAULT | {"engine-build", "locust"}),
        ((), GPU, DEFAULT),
    ],
)
def test_services_of_the_profiles(profiles: Any, env: Any, expected: Any) -> None:
    assert services(*profiles, **env).keys() == expected


def test_gpu_decides_which_triton_there_is() -> None:
    """There is one triton, so that the two can never run at once."""
    cpu, gpu = services()["triton"], services("gpu", **GPU)["triton"]
    assert cpu["build"]["dockerfile"].endswith("Dockerfile.cpu")
    assert gpu["build"]["dockerfile"].endswith("Dockerfile")
    assert "devices" not in cpu["deploy"]["resources"].get("reservations", {})
    assert "memlock" not in cpu["ulimits"]


@each(EVERY)
def test_every_service_is_hardened_alike(name: str, env: Any) -> None:
    service = services("*", **env)[name]
    assert service["read_only"] is True and service["init"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc"} & service.keys()
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert any(mount.startswith("/tmp:") and "size=" in mount for mount in service["tmpfs"])
    assert service["ulimits"]["nofile"] == 65536
    limits = service["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= limits.keys()
    assert service["logging"]["options"]["max-size"]
    assert "inner" in service["networks"]
    tool = name in ("engine-build", "engine-build-cpu", "doctor")
    assert service["restart"] == ("no" if tool else "unless-stopped")
    assert service["healthcheck"] == {"disable": True} if tool else service["healthcheck"]["test"]


@each([(name, env) for name, env in EVERY if env and "devices" in str(services("*", **env)[name])])
def test_what_is_compiled_on_a_gpu_machine_can_be_loaded(name: str, env: Any) -> None:
    """Docker mounts a tmpfs noexec unless it is told not to, and the root is read-only: every place
    that can be written is one that a shared object can be loaded from."""
    service = services("*", **env)[name]
    mounts = dict(mount.split(":", 1) for mount in service["tmpfs"])
    assert mounts.keys() == {"/tmp", "/home/gemma4"}
    assert all({"exec"} <= set(options.split(",")) for options in mounts.values())
    assert "cache:/cache" in service["volumes"]


@each(EVERY)
def test_images_have_a_version(name: str, env: Any) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    service = services("*", **env)[name]
    repository, tag = service["image"].rsplit(":", 1)
    if "build" in service:
        assert repository.startswith("gemma4-") and tag == version
    else:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


@each([(name, env) for name, env in EVERY if "build" in services("*", **env)[name]])
def test_what_is_built_is_there(name: str, env: Any) -> None:
    build = services("*", **env)[name]["build"]
    dockerfile = ROOT / build["dockerfile"]
    assert dockerfile.is_file()
    target = build.get("target")
    assert target is None or f" AS {target}\n" in dockerfile.read_text()


def test_only_gateway_and_pages_are_published() -> None:
    ports = {name: s["ports"] for name, s in services("*").items() if "ports" in s}
    assert ports == {
        "gateway": ["127.0.0.1:8080:8080"],
        "dynamo": ["127.0.0.1:8081:8080"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
        "locust": ["127.0.0.1:8089:8089"],
    }
    assert services(BIND="0.0.0.0")["gateway"]["ports"] == ["0.0.0.0:8080:8080"]
    networks = load("docker-compose.yml", {})["networks"]
    assert networks["inner"] == {"internal": True}
    outer = {name for name, s in services("*").items() if "outer" in s["networks"]}
    assert outer == ports.keys()


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)(s|m)", text)
    assert found is not None
    value, unit = found.groups()
    return float(value) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("env", [{}, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("name", ["triton", "gateway"])
def test_stop_waits_longer_than_the_drain(name: str, env: Any) -> None:
    service = services("gpu", **env)[name]
    params = parse(service["command"]) if name == "triton" else {"grace": 30.0}
    # Triton itself ends up to 10 s after the last answer.
    assert _seconds(service["stop_grace_period"]) >= params["grace"] + 10


@each([(n, e) for n, e in EVERY if services("*", **e)[n].get("command", [""])[0] == "gemma4"])
def test_commands_are_those_that_we_have(name: str, env: Any) -> None:
    params = parse(services("*", **env)[name]["command"])
    if name == "triton":
        assert params["host"] == "0.0.0.0"
        assert params["allow_remote_embedded_triton"] is ("GPU" not in env)


def test_the_engine_that_is_built_is_the_one_that_is_served() -> None:
    found = services("gpu", **GPU, TP="2", PRECISION="bf16", ENGINE="/engine/x")
    build, serve = parse(found["engine-build"]["command"]), parse(found["triton"]["command"])
    assert build["out"] == serve["engine"]
    assert (build["runtime"], build["precision"], build["gpu"]) == ("tensorrt_llm", "bf16", "h100")
    assert (build["tp"], build["ep"]) == (2, 0)
    assert found["triton"]["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 2
    assert "depends_on" not in services()["triton"]
    after = found["triton"]["depends_on"]["engine-build"]
    assert after == {"condition": "service_completed_successfully", "required": False}
    assert found["engine-build"]["volumes"][0] == "/models/x:/checkpoint:ro"


@pytest.mark.parametrize("tp", ["", "2", "4"])
@pytest.mark.parametrize(
    ("gpu", "precision"), [("h100", ""), ("h200", "fp8"), ("b200", ""), ("b200", "nvfp4")]
)
def test_the_default_split_loads(gpu: str, precision: str, tp: str) -> None:
    """By the loader's rules: experts are not cut unless EP says so."""
    env = {"GPU": gpu, "CHECKPOINT": "/models/x", "TP": tp, "PRECISION": precision}
    build = parse(services("gpu", **env)["engine-build"]["command"])
    found = verdict(
        gpu=gpu, precision=build["precision"], tp=build["tp"], ep=build["ep"] or build["tp"]
    )
    assert found.status != "no", found.reason
    if not tp and precision != "fp8":
        assert found.status == "yes"


@pytest.mark.parametrize("path", ["values.yaml", "values/h100.yaml", "values/h200.yaml",
                                  "values/b200.yaml"])  # fmt: skip
def test_the_chart_starts_with_what_is_sure(path: str) -> None:
    chart = ROOT / "deploy" / "helm" / "gemma4-triton"
    engine = yaml.safe_load((chart / path).read_text())["engine"]
    tp = engine.get("tp", 1)
    asked = engine["build"]
    ep = asked.get("ep", 0) or tp
    found = verdict(gpu=asked["gpu"], precision=asked["precision"], tp=tp, ep=ep)
    assert found.status == "yes", found.reason


def test_tls_changes_how_the_gateway_is_asked_and_nothing_else() -> None:
    plain, tls = services("*"), services("*", **TLS)
    assert {name for name in plain if plain[name] != tls[name]} == {
        "gateway", "prometheus", "locust",
    }  # fmt: skip
    before, after = parse(plain["gateway"]["command"]), parse(tls["gateway"]["command"])
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert {k: str(v) for k, v in changed.items()} == {
        "ssl_certfile": "/tls/tls.crt", "ssl_keyfile": "/tls/tls.key",
    }  # fmt: skip
    (folder,) = (v for v in tls["gateway"]["volumes"] if v not in plain["gateway"]["volumes"])
    assert (folder["source"], folder["target"]) == ("/etc/gemma4/tls", "/tls")
    assert tls["gateway"]["ports"] == plain["gateway"]["ports"]
    # By a name that its certificate has.
    assert plain["locust"]["command"][-1] == "http://gateway:8080/v1"
    named = services("*", **TLS, TLS_NAME="gemma.example")
    assert named["gateway"]["networks"]["inner"]["aliases"] == ["gemma.example"]
    assert named["locust"]["command"][-1] == "https://gemma.example:8080/v1"
    (authorities,) = (v for v in tls["locust"]["volumes"] if isinstance(v, dict))
    assert tls["locust"]["environment"]["SSL_CERT_FILE"] == authorities["target"]


def test_clients_certificates_are_a_folder_for_those_that_ask_and_are_asked() -> None:
    tls, clients = services("*", **TLS), services("*", **CLIENTS)
    found = {n for n, s in clients.items() if "/etc/gemma4/clients:/clients:ro" in s["volumes"]}
    assert found == {"gateway", "prometheus", "locust"}
    assert {n for n in tls if tls[n] != clients[n]} == found
    changed = {
        name: value
        for service in ("gateway", "locust")
        for name, value in clients[service]["environment"].items()
        if value != tls[service]["environment"][name]
    }
    assert changed == {
        "GEMMA4_GATEWAY_SSL_CA_CERTS": "/clients/ca.crt", "GEMMA4_GATEWAY_SSL_CERT_REQS": 1,
        CLIENT_CERT: "/clients/client.crt", CLIENT_KEY: "/clients/client.key",
    }  # fmt: skip
    # Prometheus's file differs in the certificate alone.
    (before, after) = (
        load(f"deploy/monitoring/prometheus.{kind}.yml", {}) for kind in ("tls", "tls.clients")
    )
    assert clients["prometheus"]["command"][0].endswith("/prometheus.tls.clients.yml")
    (gateway,) = (j for j in after["scrape_configs"] if j["job_name"] == "gateway")
    shown = {key: gateway["tls_config"].pop(key) for key in ("cert_file", "key_file")}
    assert shown == {"cert_file": "/clients/client.crt", "key_file": "/clients/client.key"}
    assert before == after
    # Without, the folder is an empty volume and no certificate is asked for.
    assert "clients:/clients:ro" in services()["gateway"]["volumes"]
    assert not services()["gateway"]["environment"]["GEMMA4_GATEWAY_SSL_CA_CERTS"]


def test_gpu_services_share_and_pin_memory() -> None:
    for name in ("triton", "engine-build"):
        service = services("gpu", **GPU)[name]
        assert service["ulimits"] == {"memlock": -1, "stack": 67108864, "nofile": 65536}
        assert service["shm_size"] == "16g"


@each([(n, e) for n, e in EVERY if "test" in services("*", **e)[n]["healthcheck"]])
def test_health_checks_are_commands(name: str, env: Any) -> None:
    test = services("*", **env)[name]["healthcheck"]["test"]
    assert test[0] == "CMD"
    if test[1] == "python3":
        compile(test[3], name, "exec")
    assert re.search(r"ready|/api/health|/stats/requests|vector|--alertmanager.url", test[-1])


def test_volumes_are_declared() -> None:
    declared = load("docker-compose.yml", {})["volumes"].keys()
    assert {"models", "engines", "cache"} <= declared
    for name, env in EVERY:
        for mount in services("*", **env)[name].get("volumes", []):
            source = mount["source"] if isinstance(mount, dict) else mount.split(":")[0]
            given = {*env.values(), "/etc/ssl/certs/ca-certificates.crt"}
            assert source in declared or source in given or (ROOT / source).exists()


@each(EVERY)
def test_a_file_that_a_setting_names_is_never_made(name: str, env: Any) -> None:
    """Docker makes an empty folder where the short form of a mount names nothing."""
    for mount in services("*", **env)[name].get("volumes", []):
        if isinstance(mount, dict):
            assert mount["type"] == "bind" and mount["read_only"] is True
            assert mount["bind"] == {"create_host_path": False}
        else:
            source, target = mount.split(":")[:2]
            # These may be a volume, which only the short form can say. In an empty folder, what
            # reads it misses its file, and says so.
            either = target in ("/checkpoint", "/clients")
            assert source.startswith("./deploy/") or "/" not in source or either


def _defaults() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in COMPOSE_FILES:
        for name, kind, rest in VARIABLE.findall((ROOT / file).read_text()):
            found.setdefault(name, set()).update({rest} if kind != "+" else ())
    return found


def test_every_setting_is_explained_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    shown = {name: {value} for name, value in re.findall(r"^#([A-Z_]+)=(.*)$", text, re.M)}
    assert shown == _defaults()
    # Nothing is set by the file as it is, and each setting stands under a comment.
    assert all(line == "" or line.startswith("#") for line in text.splitlines())
    for block in text.split("\n#\n"):
        assert re.match(r"# \S", block)


def test_no_variable_must_be_set() -> None:
    for file in COMPOSE_FILES:
        assert not re.search(r"\$\{\w+:?\?", (ROOT / file).read_text())


def test_dynamos_parts_meet() -> None:
    """Frontend and workers share discovery, and each worker has a Triton of its own."""
    found = services("dynamo", DYNAMO_INPUT="text", MODEL_NAME="m", CPU_ENGINE="/engine/cpu")
    frontend = found["dynamo"]
    servers = []
    for name in ("dynamo-worker-1", "dynamo-worker-2"):
        worker, params = found[name], parse(found[name]["command"])
        assert worker["environment"].items() >= {
            (k, v) for k, v in frontend["environment"].items() if k.startswith("DYN_")
        }
        assert "dynamo:/dynamo" in worker["volumes"] and "dynamo:/dynamo" in frontend["volumes"]
        for path in (str(params["card_folder"]), worker["environment"]["DYN_FILE_KV"]):
            assert path.startswith("/dynamo/"), "the frontend must read it under the same path"
        assert (params["input"], params["served_model_name"]) == ("text", "m")
        assert str(params["engine"]) == "/engine/cpu" and "engines:/engine:ro" in worker["volumes"]
        (server,) = params["server"]
        assert server.split(":")[0] in worker["depends_on"]
        servers.append(server)
        wait = params["drain_delay"] + params["grace"]
        assert _seconds(worker["stop_grace_period"]) > wait + 5
    assert servers == ["triton:8001", "triton-2:8001"]
    assert found["triton-2"]["command"] == found["triton"]["command"]


def test_dynamos_options_are_offered() -> None:
    """What a worker's command line has, is set here or needs another machine."""
    worker = services("dynamo")["dynamo-worker-1"]
    own = parse(["gemma4", "dynamo-worker", "--engine=x"])
    set_here = {n for n, v in parse(worker["command"]).items() if v != own[n]}
    assert set_here >= {"engine", "server", "card_folder", "served_model_name"}
    given = services("dynamo", DYNAMO_ROUTER="kv", DYNAMO_MIGRATIONS="0", DYNAMO_LOG="info")
    environment = given["dynamo"]["environment"]
    assert (environment["DYNAMO_ROUTER"], environment["DYNAMO_MIGRATIONS"]) == ("kv", 0)
    assert given["dynamo-worker-2"]["environment"]["DYN_LOG"] == "info"
