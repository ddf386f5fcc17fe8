"""``make test-compose``: docker-compose.yml, really run by podman-compose. See README.md here."""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fresh"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gpu_image"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testing"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "runtime"))

import faults
import gpu
import gpu_images
import surface_scan
import tls
import yaml
from checks import Checks, get, podman
from container import base_image, forget_names, free_ports, podman_settings
from dynamo_profile import DYNAMO, WORKERS, dynamo_profile
from gemma4_testing.deploy.wrong_settings import COMMAND_LINE, CONTAINERS
from images import ROOT, build, megabytes, name_of
from project import Project
from stack import DEFAULT, HEALTHY_S, chat, down, load, prometheus, prometheus_targets

LIMITS_MB = {"serve": 900, "load": 900, "dynamo": 1100}
"""Of our images. Dynamo's own library is 216 MB, and transformers, which its frontend imports, 126."""
ALL_RUNS = ("default", "dynamo", "tls", "mtls", "gpu")
RUNS = (*ALL_RUNS, "surface", "faults")
"""Surface is a part of default; faults takes five minutes of its own."""
PORTS = ("GATEWAY_PORT", "GRAFANA_PORT", "LOCUST_PORT", "ALERTMANAGER_PORT", "DYNAMO_PORT")
ENDS_TOO = {"dynamo": ("triton-2", "dynamo", *WORKERS)}
"""Services of a run that have to end well, beside Triton and the gateway."""
HERE = Path(__file__).resolve().parent


def hardening(check: Checks, project: Project, services: set[str]) -> None:
    """As the kernel sees it, from inside."""
    for service in sorted(services):
        status = project.exec(service, "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        written = project.exec(service, "touch", "/in-the-root")
        right = (
            fields["Uid"].split()[1] != "0"
            and all(int(fields[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapBnd"))
            and fields["NoNewPrivs"] == "1"
            and "Read-only file system" in written.stdout
        )
        check(f"{service}: not root, no capability, no new privileges, read-only root", right,
              status + written.stdout)  # fmt: skip


def published(check: Checks, project: Project, services: set[str], expected: dict) -> None:
    found = {s: podman("port", project.containers()[s]).stdout.split("\n") for s in services}
    ports = {s: sorted(x for x in lines if x) for s, lines in found.items()}
    ports = {s: lines for s, lines in ports.items() if lines}
    check(f"published: {ports}", ports == expected, expected)


def open_ports(ports: dict[str, str]) -> dict[str, list[str]]:
    """Of the default services, what the machine's loopback has."""
    return {
        "gateway": [f"8080/tcp -> 127.0.0.1:{ports['GATEWAY_PORT']}"],
        "alertmanager": [f"9093/tcp -> 127.0.0.1:{ports['ALERTMANAGER_PORT']}"],
        "grafana": [f"3000/tcp -> 127.0.0.1:{ports['GRAFANA_PORT']}"],
    }


def images(check: Checks, base: str, tag: str, *, reuse: bool) -> dict[str, str]:
    """Build them, or find those of the last run, and return the settings that name them."""
    found = {}
    ours = ROOT / "deploy/docker/Dockerfile.cpu"
    for variable, dockerfile, target, context in (
        ("CPU_IMAGE", ours, "serve", ROOT),
        ("LOAD_IMAGE", ours, "load", ROOT),
        ("DYNAMO_IMAGE", ours, "dynamo", ROOT),
        ("PROMETHEUS_IMAGE", HERE / "Dockerfile", "prometheus", HERE),
        ("ALERTMANAGER_IMAGE", HERE / "Dockerfile", "alertmanager", HERE),
        ("GRAFANA_IMAGE", HERE / "Dockerfile", "grafana", HERE),
    ):
        began = time.monotonic()
        name = found[variable] = name_of(target, tag)
        if not reuse:
            build(base, dockerfile, target, context, name)
        size = megabytes(name)
        how = "reused" if reuse else f"built in {time.monotonic() - began:.0f} s"
        check(f"{target}: {size:.0f} MB, {how}", size < LIMITS_MB.get(target, math.inf))
    return found


def alerting(check: Checks, project: Project, port: str, healthy_since: float) -> None:
    """Every rule of the files is loaded and can be evaluated, and with nothing wrong no alert fires
    for two minutes."""
    files = [
        yaml.safe_load(f.read_text()) for f in (ROOT / "deploy/monitoring/rules").glob("*.yml")
    ]
    expected = {g["name"]: len(g["rules"]) for f in files for g in f["groups"]}
    time.sleep(max(0, 120 - (time.monotonic() - healthy_since)))
    groups = prometheus(project, "rules").get("groups", [])
    rules = [rule for group in groups for rule in group["rules"]]
    unwell = [r for r in rules if r["health"] != "ok"]
    found = {g["name"]: len(g["rules"]) for g in groups}
    check(f"{len(rules)} rules in {len(groups)} groups, all evaluated",
          found == expected and not unwell, f"{expected} {found} {unwell}")  # fmt: skip
    firing = [r["name"] for r in rules if r.get("state") == "firing"]
    check(f"alerts that fire {time.monotonic() - healthy_since:.0f} s after all were healthy: "
          f"{firing}", bool(rules) and not firing, firing)  # fmt: skip
    known = prometheus(project, "alertmanagers").get("activeAlertmanagers")
    check("Prometheus knows Alertmanager",
          known == [{"url": "http://alertmanager:9093/api/v2/alerts"}], known)  # fmt: skip
    page = f"http://127.0.0.1:{port}"
    answers = [get(f"{page}/-/healthy"), get(f"{page}/-/ready"), get(f"{page}/api/v2/alerts")]
    check("Alertmanager is healthy and ready, and has no alert",
          [status for status, _ in answers] == [200] * 3 and answers[2][1].strip() == "[]",
          answers)  # fmt: skip


def dashboards(check: Checks, port: str) -> None:
    status, text = get(f"http://127.0.0.1:{port}/queries")
    boards = json.loads(text) if status == 200 else {}
    expected = {f.stem for f in (ROOT / "deploy/monitoring/grafana/dashboards").glob("*.json")}
    check(f"dashboards: {sorted(boards)}", boards.keys() == expected, text)
    for board, found in sorted(boards.items()):
        wrong = {q: why for q, why in found.items() if why not in ("", "no data")}
        empty = [q for q, why in found.items() if why == "no data"]
        check(f"{board}: {len(found)} queries answered, {len(found) - len(empty)} with data",
              len(found) > len(empty) and not wrong, wrong or text)  # fmt: skip
        for query in empty:
            print(f"       no data: {query}")


def wrong_settings(check: Checks, project: Project, *, dynamo: bool) -> None:
    """Each ends with a status of its own and names what is wrong; what runs goes on. The command
    line's are in tests/deploy; one of each kind is tried here. ``dynamo``: those of that profile
    alone."""
    tried = ("CPU_ENGINE", "CPU_SLOTS", "QUALITY_GATE", "DYNAMO_INPUT")
    few = [w for w in COMMAND_LINE if w.variable in tried]
    for wrong in (*few, *(w for w in CONTAINERS if not w.gpu)):
        if (wrong.profile == "dynamo") != dynamo:
            continue
        env = {**project.env, "DYNAMO_PORT": free_ports(1)[0], **wrong.env}
        other = Project(f"{project.name}-wrong", project.folder, env)
        done = other.compose(
            "run", "--rm", "-T", "--no-deps", "--service-ports", wrong.service,
            profiles=(wrong.profile,) if wrong.profile else (),
        )  # fmt: skip
        named = wrong.value in done.stdout and all(x in done.stdout for x in wrong.words)
        check(f"{wrong.service} with {wrong.variable}={wrong.value}: exit status "
              f"{done.returncode}, which names it", done.returncode != 0 and named, done.stdout)  # fmt: skip
    Project(f"{project.name}-wrong", project.folder, project.env).compose("down", "--volumes")


def valid(check: Checks) -> None:
    """By the published schema, and what each profile has."""
    schema = subprocess.run(
        [str(Path(sys.executable).with_name("check-jsonschema")),
         "--builtin-schema=vendor.compose-spec", "docker-compose.yml",
         *map(str, (ROOT / "deploy/compose").glob("*.yml"))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    check("the files are valid by Compose's schema", schema.returncode == 0,
          schema.stdout + schema.stderr)  # fmt: skip


def default_profile(check: Checks, project: Project, ports: dict[str, str]) -> None:
    began = time.monotonic()
    done = project.compose("up", "--detach", "--no-build")
    if not check("up", done.returncode == 0, done.stdout):
        return
    healthy = project.wait_healthy(DEFAULT, HEALTHY_S)
    times = {s: f"{t:.0f} s" for s, t in healthy.items()}
    if not check(f"up: all healthy after {time.monotonic() - began:.0f} s {times}",
                 healthy.keys() == DEFAULT == project.containers().keys(), done.stdout):  # fmt: skip
        for service in DEFAULT - healthy.keys():
            print(f"{service}:", podman("logs", project.containers()[service]).stdout[-3000:])
        return
    since = time.monotonic()
    chat(check, ports["GATEWAY_PORT"])
    hardening(check, project, DEFAULT)
    published(check, project, DEFAULT, open_ports(ports))
    prometheus_targets(check, project)
    load(check, project, ports["LOCUST_PORT"], "http://gateway:8080/v1")
    surface_scan.scan(check, project, DEFAULT | {"locust"}, project.env["CPU_IMAGE"])
    time.sleep(20)  # two scrapes more
    dashboards(check, ports["GRAFANA_PORT"])
    alerting(check, project, ports["ALERTMANAGER_PORT"], since)
    listed = project.compose("ps")
    check("ps needs no setting", listed.returncode == 0, listed.stdout)
    doctor = project.compose("run", "--rm", "-T", "doctor", profiles=("doctor",))
    check("run doctor needs no setting", doctor.returncode == 0, doctor.stdout)
    wrong_settings(check, project, dynamo=False)
    chat(check, ports["GATEWAY_PORT"])


def with_dynamo(check: Checks, project: Project, ports: dict[str, str]) -> None:
    if not dynamo_profile(check, project, ports):
        return
    hardening(check, project, DEFAULT | DYNAMO)
    published(check, project, DEFAULT | DYNAMO, {
        **open_ports(ports), "dynamo": [f"8080/tcp -> 127.0.0.1:{ports['DYNAMO_PORT']}"],
    })  # fmt: skip
    wrong_settings(check, project, dynamo=True)
    chat(check, ports["DYNAMO_PORT"], through="Dynamo's frontend")


def surface(check: Checks, project: Project) -> None:
    """Up with locust, and nothing but the scan."""
    done = project.compose("up", "--detach", "--no-build", profiles=("load",))
    services = DEFAULT | {"locust"}
    healthy = project.wait_healthy(services, HEALTHY_S)
    if check(f"up: all healthy {sorted(healthy)}", healthy.keys() == services, done.stdout):
        surface_scan.scan(check, project, services, project.env["CPU_IMAGE"])


def main() -> int:
    """Exit status 0 when every check passed. The last line says how many did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="bookworm", help="a release of Debian, or an image")
    parser.add_argument("--only", choices=RUNS, help="one run")
    parser.add_argument("--tag", default="test", help="of the images, for two runs on one machine")
    parser.add_argument(
        "--reuse-images", action="store_true", help="those of the last run, nothing is built"
    )
    options = parser.parse_args()
    podman_settings()
    forget_names()
    check = Checks()
    valid(check)
    base = "" if options.reuse_images else base_image(options.base)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    env = ports | images(check, base, options.tag, reuse=options.reuse_images)
    image = gpu_images.NAME
    if options.only in (None, "gpu") and not options.reuse_images:
        image = gpu_images.build_all(base)["image"]
    # A limit that this machine does not have cannot be given.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < 65536:
        env["NOFILE"] = str(most)
    name = f"gemma4-test-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    first = Project(name, ROOT, env)
    second = Project(f"{name}-tls", ROOT, tls.settings(env, folder / "tls"))
    clients = tls.client_settings(second.env, folder / "clients")
    fourth = Project(f"{name}-mtls", ROOT, clients)
    fifth = Project(f"{name}-dynamo", ROOT, env)
    sixth = Project(f"{name}-faults", ROOT, faults.settings(env, folder / "faults"))
    third = Project(f"{name}-gpu", ROOT, gpu.settings(env, image, str(ROOT / "demo/checkpoint")),
                    files=("docker-compose.yml", "tests/compose/no_gpu.yml"))  # fmt: skip
    folder.chmod(0o755)  # the gateway's user reads its certificate
    authority = folder / "tls/ca.crt"
    runs: dict[str, tuple[Project, str, Callable[[], None]]] = {
        "default": (first, "load", lambda: default_profile(check, first, ports)),
        "surface": (first, "load", lambda: surface(check, first)),
        "tls": (second, "load", lambda: tls.with_tls(check, second, ports, authority)),
        "mtls": (fourth, "load", lambda: tls.with_clients(check, fourth, ports, authority)),
        "gpu": (third, "gpu", lambda: gpu.gpu_profile(check, third, ports)),
        "dynamo": (fifth, "dynamo", lambda: with_dynamo(check, fifth, ports)),
        "faults": (sixth, "load",
                   lambda: faults.with_faults(check, sixth, ports, folder / "faults")),
    }  # fmt: skip
    try:
        for run in (options.only,) if options.only else ALL_RUNS:
            project, profile, begin = runs[run]
            begin()
            down(check, project, (profile,), *ENDS_TOO.get(run, ()))
    finally:
        for project, profile, _ in runs.values():
            if project.leftovers():
                project.compose("down", "--volumes", "--timeout=1", profiles=(profile,))
        shutil.rmtree(folder)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
