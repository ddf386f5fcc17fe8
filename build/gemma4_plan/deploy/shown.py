"""What to run, for a terminal and as JSON."""

from __future__ import annotations

from rich.console import Console

from gemma4_plan.deploy.chosen import Chosen
from gemma4_plan.deploy.compose import env_lines
from gemma4_plan.deploy.helm import values, values_text
from gemma4_plan.document.parts import Deploy

__all__ = ["deploy_json", "show_deploy"]

INSTALL = "helm install gemma4 deploy/helm/gemma4-triton -f plan.yaml"


def show_deploy(chosen: Chosen, console: Console) -> None:
    """Print the build, the lines of .env, and the chart's values, ready to be copied."""

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)

    line("Build the engine:", "bold")
    line(chosen.build())
    if lines := env_lines(chosen):
        which = "" if chosen.replicas == 1 else f", each of the {chosen.replicas:,} on its own"
        line(
            f"Or Compose: .env of one machine{which}, then docker compose --profile gpu up:", "bold"
        )
        line("\n".join(lines))
    line("Or Kubernetes: plan.yaml with the name of your claim, which builds it too:", "bold")
    line(values_text(chosen).rstrip())
    line(INSTALL)


def deploy_json(chosen: Chosen) -> Deploy:
    """Return the same as JSON."""
    lines = env_lines(chosen)
    return {
        "build": chosen.build(),
        "preset": chosen.preset,
        "compose": dict(line.split("=", 1) for line in lines) or None,
        "helm": values(chosen),
    }
