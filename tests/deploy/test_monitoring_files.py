"""What docker-compose.yml gives to Prometheus and Grafana."""

from __future__ import annotations

import re

import yaml
from gemma4_testing.dashboards.dashboard_files import asked, families, read
from gemma4_testing.deploy.compose_files import ROOT, parse, services
from gemma4_testing.deploy.metric_names import gateway_names, model_names

MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))


def targets() -> dict[str, str]:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    return {j["job_name"]: j["static_configs"][0]["targets"][0] for j in config["scrape_configs"]}


def test_prometheus_scrapes_the_services() -> None:
    found = services()
    assert targets()["triton"] == f"triton:{parse(found['triton']['command'])['metrics_port']}"
    gateway = found["gateway"]["ports"][0].rsplit(":", 1)[1]
    assert targets()["gateway"] == f"gateway:{gateway}"


def test_with_tls_only_the_gateway_is_scraped_otherwise() -> None:
    plain, tls = (
        yaml.safe_load((MONITORING / f"prometheus{kind}.yml").read_text()) for kind in ("", ".tls")
    )
    (gateway,) = (job for job in tls["scrape_configs"] if job["job_name"] == "gateway")
    assert gateway.pop("scheme") == "https"
    assert gateway.pop("tls_config") == {"insecure_skip_verify": True}
    assert tls == plain
    for kind, env in ((".tls", {"TLS_FOLDER": "/x"}), ("", {})):
        command = services(**env)["prometheus"]["command"]
        assert command[0] == f"--config.file=/etc/prometheus/prometheus{kind}.yml"


def test_grafana_asks_prometheus() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    found = re.fullmatch(r"http://(\w+):9090", source["url"])
    assert found is not None and found[1] in services()
    (provider,) = yaml.safe_load((provisioning / "dashboards/gemma4.yml").read_text())["providers"]
    mounts = dict(m.split(":")[:2] for m in services()["grafana"]["volumes"])
    assert mounts["./deploy/monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/monitoring/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert DASHBOARDS and source["isDefault"], "their variable takes the default"


def test_dashboards_ask_for_metrics_that_there_are() -> None:
    found = {name for query in asked(read()) for name in families(query.expr)}
    ours = {name for name in found if name.startswith("gemma4_")}
    assert len(ours) > 40 and ours <= gateway_names() | model_names()
    assert {name for name in found if name.startswith("nv_")} <= TRITON


TRITON = {
    "nv_inference_pending_request_count",
    "nv_inference_queue_duration_us",
    "nv_inference_request_failure",
    "nv_inference_request_success",
    "nv_cpu_utilization",
    "nv_cpu_memory_total_bytes",
    "nv_cpu_memory_used_bytes",
    "nv_energy_consumption",
    "nv_gpu_memory_total_bytes",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_power_limit",
    "nv_gpu_power_usage",
    "nv_gpu_utilization",
}
"""Triton's own, of 2.51."""
