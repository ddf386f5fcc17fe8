"""What the chart makes is what Kubernetes and the owners of custom resources take."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from helm_chart.crd_shape import FIELDS, faults, kind_of
from helm_chart.rendering import chart, container, manifest, objects, of_kind, pods
from helm_chart.value_sets import CHART, SETS

RENDERED = Path(__file__).resolve().parents[1] / "deploy" / "rendered"
KUBERNETES = [f"1.{minor}" for minor in range(30, 38)]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", SETS)
def test_kubernetes_takes_every_object(name: str, version: Any) -> None:
    seen = 0
    for item in objects(name):
        if kind_of(item) not in FIELDS:
            kubernetes_validate.validate(copy.deepcopy(item), version, strict=True)
            seen += 1
    for owner, labels, spec in pods(name):
        if owner in ("LeaderWorkerSet", "InferenceService", "DynamoGraphDeployment"):
            metadata = {"name": "x", "labels": labels}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
            kubernetes_validate.validate(copy.deepcopy(pod), version, strict=True)
    assert seen >= 1


def test_the_check_of_kubernetes_finds_what_is_wrong() -> None:
    item = copy.deepcopy(of_kind("cpu", "Deployment"))
    item["spec"]["template"]["spec"]["gracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="gracePeriod"):
        kubernetes_validate.validate(item, "1.37", strict=True)


@pytest.mark.parametrize("name", SETS)
def test_custom_resources_have_published_fields_only(name: str) -> None:
    for item in objects(name):
        if kind_of(item) in FIELDS:
            assert faults(item) == [], kind_of(item)


def test_every_custom_resource_is_made_by_some_value_set() -> None:
    made = {kind_of(item) for name in SETS for item in objects(name)}
    assert set(FIELDS) <= made


def test_the_check_of_custom_resources_finds_what_is_wrong() -> None:
    item = copy.deepcopy(of_kind("h200-keda", "ScaledObject"))
    spec = item["spec"]
    spec["minReplicas"] = 1
    spec["pollingInterval"] = "15"
    spec["fallback"]["behavior"] = "never"
    del spec["scaleTargetRef"]["name"]
    spec["triggers"][0]["metadata"] = []
    spec["triggers"] = spec["triggers"][0]
    assert sorted(faults(item)) == [
        "spec.fallback.behavior: 'never' is none of static|currentReplicas|currentReplicasIfHigher"
        "|currentReplicasIfLower|scalingModifiers",
        "spec.pollingInterval: '15' is no integer",
        "spec.scaleTargetRef: lacks name",
        "spec.triggers: must be a list",
        "spec: has no field minReplicas",
    ]


@pytest.mark.parametrize("version", ["v1.30.0", "v1.37.0"])
@pytest.mark.parametrize("name", SETS)
def test_lint(name: str, version: str) -> None:
    found = helm_python.lint(str(CHART), SETS[name], strict=True, kube_version=version)
    assert found["errors"] == []
    assert [m for m in found["messages"] if m["severity"] > 1] == []


@pytest.mark.parametrize("name", SETS)
def test_pods_are_restricted(name: str) -> None:
    """Pod Security's level "restricted", and a root file system that nobody can write."""
    found = list(pods(name))
    assert found
    for owner, labels, spec in found:
        if labels["app.kubernetes.io/component"] == "dynamo-planner":
            continue  # NVIDIA's image, see check_dynamo.py
        if owner != "DynamoGraphDeployment":  # its operator gives pods the token for discovery
            assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        kinds = {kind for v in spec["volumes"] for kind in v if kind != "name"}
        assert kinds <= {"emptyDir", "persistentVolumeClaim", "secret"}
        for one in [*spec.get("initContainers", []), *spec["containers"]]:
            own = one["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own["readOnlyRootFilesystem"] is True
            assert one["resources"]["limits"]["memory"] and one["resources"]["requests"]["cpu"]
            mounted = {m["name"] for m in one["volumeMounts"]}
            assert mounted <= {v["name"] for v in spec["volumes"]}


@pytest.mark.parametrize("name", SETS)
def test_nothing_has_rights(name: str) -> None:
    kinds = {item["kind"] for item in objects(name)}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    for item in objects(name):
        if item["kind"] == "ServiceAccount":
            assert item["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", SETS)
def test_selectors_find_pods(name: str) -> None:
    """Each selector of a service, budget, policy, monitor and pool has the labels of some pod, and
    services lead to ports that a container of that pod has."""
    made = [(labels, spec) for _, labels, spec in pods(name)]
    for item in objects(name):
        spec = item.get("spec", {})
        selector = {
            "Service": lambda s: s["selector"],
            "PodDisruptionBudget": lambda s: s["selector"]["matchLabels"],
            "NetworkPolicy": lambda s: s["podSelector"]["matchLabels"],
            "PodMonitor": lambda s: s["selector"]["matchLabels"],
            "InferencePool": lambda s: s["selector"]["matchLabels"],
            "Deployment": lambda s: s["selector"]["matchLabels"],
        }.get(item["kind"])
        if selector is None:
            continue
        wanted = selector(spec).items()
        hit = [pod for labels, pod in made if wanted <= labels.items()]
        assert len(hit) == 1, (item["kind"], item["metadata"]["name"])
        ports = {
            key: p["containerPort"]
            for c in hit[0]["containers"]
            for p in c.get("ports", [])
            for key in (p["name"], p["containerPort"])
        }
        if item["kind"] == "Service":
            assert {p["targetPort"] for p in spec["ports"]} <= set(ports)
        if item["kind"] == "PodMonitor":
            assert {e["port"] for e in spec["podMetricsEndpoints"]} <= set(ports)
        if item["kind"] == "InferencePool":
            assert {p["number"] for p in spec["targetPorts"]} <= set(ports.values())


@pytest.mark.parametrize("name", SETS)
def test_what_ends_a_pod_fits_its_grace_period(name: str) -> None:
    for owner, _, spec in pods(name):
        if owner == "Job" or (owner == "DynamoGraphDeployment" and not container(spec, "serve")):
            continue
        ends = []
        for command, own in (("serve", 25), ("gateway", 10)):
            one = container(spec, command)
            if one is None:
                continue
            grace = next(a for a in one["args"] if a.startswith("--grace="))
            sleep, seconds = one["lifecycle"]["preStop"]["exec"]["command"]
            assert sleep == "sleep"
            ends.append(int(seconds) + int(grace.split("=")[1]) + own)
        assert ends and max(ends) <= spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", SETS)
def test_a_start_has_the_time_that_it_may_take(name: str) -> None:
    for owner, _, spec in pods(name):
        one = None if owner == "Job" else container(spec, "serve")
        if one is None:
            continue
        allowed = next(a for a in one["args"] if a.startswith("--start-timeout="))
        timeout = int(allowed.split("=")[1])
        for probe in ("startupProbe", "livenessProbe"):  # a restart of the server is a start too
            assert one[probe]["periodSeconds"] * one[probe]["failureThreshold"] > timeout + 30


def test_a_sidecar_stops_before_its_triton() -> None:
    for name in ("cpu", "inference-pool"):
        ((_, _, spec),) = [p for p in pods(name) if p[0] == "Deployment"]
        seconds = [
            int(container(spec, command)["lifecycle"]["preStop"]["exec"]["command"][1])
            for command in ("gateway", "serve")
        ]
        assert seconds[0] < seconds[1]


def test_alerts_are_those_of_the_rule_files() -> None:
    """All but the one that is left out."""
    sources = sorted((RENDERED.parents[2] / "deploy" / "monitoring" / "rules").glob("*.yml"))
    wanted = [g for f in sources for g in yaml.safe_load(f.read_text(encoding="utf-8"))["groups"]]
    for group in wanted:
        group["rules"] = [r for r in group["rules"] if r.get("alert") != "Gemma4NoReadyBackend"]
    made = [o for o in objects("alerts") if o["kind"] == "PrometheusRule"]
    assert [g for o in made for g in o["spec"]["groups"]] == wanted
    assert not [o for o in objects("hpa") if o["kind"] == "PrometheusRule"]


def test_copies_on_one_node() -> None:
    """Two copies of two GPUs each: each set of GPUs is named once."""
    spec = of_kind("b200-tp2-two-copies", "Deployment", "-triton")["spec"]["template"]["spec"]
    one = container(spec, "serve")
    assert "--gpu-device-ids=0,1;2,3" in one["args"]
    assert one["resources"]["limits"]["nvidia.com/gpu"] == 4


def test_the_gateway_follows_the_headless_service() -> None:
    for name in ("h100", "several-nodes", "kserve"):
        spec = of_kind(name, "Deployment", "-gateway")["spec"]["template"]["spec"]
        service = of_kind(name, "Service", "-headless")
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        backend = f"--backend=dns:///{service['metadata']['name']}:8001"
        assert backend in container(spec, "gateway")["args"]


def test_gateways_share_limits_and_queue_as_told() -> None:
    spec = of_kind("shared-limits", "Deployment", "-gateway")["spec"]["template"]["spec"]
    one = container(spec, "gateway")
    for option in (
        "--workers=2", "--queue-length=8", "--queue-tokens=5000", "--queue-seconds=2.5",
        "--limits-redis-file=/limits-redis/u",
    ):  # fmt: skip
        assert option in one["args"]
    (mount,) = (m for m in one["volumeMounts"] if m["mountPath"] == "/limits-redis")
    (volume,) = (v for v in spec["volumes"] if v["name"] == mount["name"])
    assert volume["secret"]["secretName"] == "redis-url" and mount["readOnly"]
    policy = of_kind("shared-limits", "NetworkPolicy", "-gateway")["spec"]
    assert {"ports": [{"port": 6379, "protocol": "TCP"}]} in policy["egress"]


def test_servers_wait_for_the_engine_that_the_job_builds() -> None:
    job = of_kind("h100", "Job")
    build = job["spec"]["template"]["spec"]["containers"][0]["args"]
    folder = build[build.index("--out") + 1]
    spec = of_kind("h100", "Deployment", "-triton")["spec"]["template"]["spec"]
    assert spec["initContainers"][0]["command"][-1] == folder
    serve = container(spec, "serve")["args"]
    assert serve[serve.index("--engine") + 1] == folder
    assert job["metadata"]["name"].endswith(folder.rsplit("/", 1)[1])
    other = of_kind("h200-keda", "Job")["metadata"]["name"]
    assert other != job["metadata"]["name"]  # another engine, another Job


def test_triton_on_loopback_has_no_way_in() -> None:
    for name in ("cpu", "bare"):
        names = {o["metadata"]["name"] for o in objects(name) if o["kind"] == "Service"}
        assert not any("triton" in n for n in names)
        spec = of_kind(name, "Deployment")["spec"]["template"]["spec"]
        assert "ports" not in container(spec, "serve")
        assert "--allow-remote-embedded-triton" not in container(spec, "serve")["args"]


def test_network_policies() -> None:
    def callers(policy: Any) -> Any:
        return {
            port["port"]: rule.get("from")
            for rule in policy["spec"]["ingress"]
            for port in rule["ports"]
        }

    triton = of_kind("h100", "NetworkPolicy", "-triton")
    peer = callers(triton)[8001][0]["podSelector"]["matchLabels"]
    assert peer["app.kubernetes.io/component"] == "gateway"
    assert 8000 not in callers(triton) and triton["spec"]["egress"] == []
    build = of_kind("h100", "NetworkPolicy", "-engine-build")
    assert build["spec"]["ingress"] == [] == build["spec"]["egress"]
    download = of_kind("downloaded-engine-behind-ingress", "NetworkPolicy", "-triton")
    assert {"ports": [{"port": 443, "protocol": "TCP"}]} in download["spec"]["egress"]
    gateway = of_kind("downloaded-engine-behind-ingress", "NetworkPolicy", "-gateway")
    assert {"namespaceSelector": {"matchLabels": {"name": "ingress"}}} in callers(gateway)[8080]
    assert not [o for o in objects("bare") if o["kind"] == "NetworkPolicy"]


def test_the_endpoint_picker_may_read_metrics() -> None:
    policy = of_kind("inference-pool", "NetworkPolicy", "-triton")
    (rule,) = [r for r in policy["spec"]["ingress"] if r["ports"][0]["port"] == 8002]
    assert {"podSelector": {"matchLabels": {}}} in rule["from"]


def test_a_long_release_name_gives_valid_names() -> None:
    release = "r" * 53
    for text in chart().render(SETS["h100"], name=release, namespace="llm").values():
        for item in yaml.safe_load_all(text) if "kind:" in text else ():
            if item:
                assert len(item["metadata"]["name"]) <= 63
                assert all(len(v) <= 63 for v in item["metadata"]["labels"].values())


def test_scale_to_zero() -> None:
    spec = of_kind("scale-to-zero", "ScaledObject")["spec"]
    assert spec["idleReplicaCount"] == 0 < spec["minReplicaCount"]
    wake = spec["triggers"][-1]["metadata"]
    assert 'status="503",namespace="llm"' in wake["query"]
    gateway = of_kind("scale-to-zero", "Deployment", "-gateway")["spec"]["template"]["spec"]
    probe = container(gateway, "gateway")["readinessProbe"]
    assert probe["httpGet"]["path"] == "/health/live"  # without a server it must be reached
    assert "idleReplicaCount" not in of_kind("h200-keda", "ScaledObject")["spec"]


def test_who_is_scaled() -> None:
    for name, kind in (("h200-keda", "Deployment"), ("several-nodes-keda", "LeaderWorkerSet")):
        target = of_kind(name, "ScaledObject")["spec"]["scaleTargetRef"]
        scaled = of_kind(name, kind, "-triton")
        assert target["name"] == scaled["metadata"]["name"]
        assert target["apiVersion"] == scaled["apiVersion"]
        assert "replicas" not in scaled["spec"]  # or each upgrade would set it back
    assert (
        of_kind("hpa", "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    )


@pytest.mark.parametrize("name", ["cpu", "h200-keda", "dynamo"])
def test_what_the_other_tests_read_is_fresh(name: str, request: pytest.FixtureRequest) -> None:
    file = RENDERED / f"{name}.yaml"
    if request.config.getoption("--write-rendered"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(manifest(name), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == manifest(name), (
        "the chart has changed: make test-helm ARGS=--write-rendered"
    )
