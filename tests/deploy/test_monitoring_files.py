"""What docker-compose.yml gives to Prometheus and Grafana."""

from __future__ import annotations

import json
import re

import yaml
from gemma4_gateway.metrics import Metrics
from gemma4_testing.deploy.compose_files import ROOT, parse, services

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
    assert DASHBOARDS
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] == source["uid"]


def test_dashboards_ask_for_metrics_of_the_gateway_that_there_are() -> None:
    made = Metrics()
    there = {
        sample.name for family in made.registry.collect() for sample in family.samples
    } | {f"{family.name}{end}" for family in made.registry.collect()
         for end in ("", "_total", "_bucket", "_sum", "_count")}  # fmt: skip
    asked = {
        name for file in DASHBOARDS for name in re.findall(r"gemma4_gateway_\w+", file.read_text())
    }
    assert asked and asked <= there
