"""Each alert by `promtool test rules`: it fires with its fault, not without, and ends after it."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from gemma4_testing.cases.alert_cases import CASES
from gemma4_testing.cases.alert_series import Case
from gemma4_testing.deploy.alert_rules import ALERTMANAGER, PROMETHEUS, RULES, alerts


def _case(case: Case) -> dict[str, Any]:
    where = f'alertname="{case.alert}",severity="{case.severity}",alertstate="firing"'
    return {
        "name": f"{case.alert} {case.severity}: {case.why}",
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f"max(ALERTS{{{where}}}) or vector(0)",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for minutes, value in ((case.firing, 1), (case.quiet, 0))
            for minute in minutes
        ],
    }


def _promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=240)


@pytest.mark.parametrize("name", sorted({case.alert for case in CASES}))
def test_an_alert_fires_with_its_fault_and_ends_after_it(name: str, tmp_path: Path) -> None:
    cases = [_case(case) for case in CASES if case.alert == name]
    own = next(rule for rule in RULES if f"alert: {name}\n" in rule.read_text())
    file = tmp_path / "cases.yml"
    made = {"rule_files": [str(own)], "evaluation_interval": "1m", "tests": cases}
    file.write_text(yaml.safe_dump(made))
    ran = _promtool("test", "rules", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_is_seen_to_fire_and_to_end() -> None:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case in CASES:
        kinds = seen[case.alert, case.severity]
        if case.firing:
            kinds.add("fires")
            kinds.update({"ends"} if case.quiet and max(case.quiet) > max(case.firing) else ())
        else:
            kinds.add("stays quiet")
    wanted = {(rule["alert"], rule["labels"]["severity"]) for rule in alerts()}
    assert seen.keys() == wanted
    lacking = {key: {"fires", "ends"} - kinds for key, kinds in seen.items()}
    assert not {key: kinds for key, kinds in lacking.items() if kinds}


def test_a_wrong_case_is_found(tmp_path: Path) -> None:
    wrong = Case("Gemma4ServerDown", "page", "nothing", {'up{job="triton"}': "1x20"}, (15,))
    file = tmp_path / "cases.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(r) for r in RULES], "tests": [_case(wrong)]})
    )
    assert _promtool("test", "rules", str(file)).returncode != 0


def test_prometheus_takes_rules_and_configuration(tmp_path: Path) -> None:
    ran = _promtool("check", "rules", *map(str, RULES))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    config = yaml.safe_load(PROMETHEUS.read_text())
    config["rule_files"] = [str(rule) for rule in RULES]  # in the image: /etc/prometheus/rules
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    ran = _promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_alertmanager_takes_its_configuration() -> None:
    ran = subprocess.run(
        ["amtool", "check-config", str(ALERTMANAGER)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket")])
def test_alerts_are_routed_by_severity(severity: str, receiver: str) -> None:
    ran = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}",
         f"severity={severity}", "alertname=Gemma4ServerDown"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stdout.strip() == receiver, ran.stdout + ran.stderr
