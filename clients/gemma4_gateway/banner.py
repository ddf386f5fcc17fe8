"""What a person sees when the gateway is up."""

from __future__ import annotations

from gemma4_gateway.gateway import Gateway

__all__ = ["banner"]


def banner(gateway: Gateway, host: str, port: int) -> str:
    """Return the URL, models, back ends, a line to copy."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    certificates = gateway.certificates
    workers = gateway.settings.workers
    url = f"{'http' if certificates is None else 'https'}://{shown}:{port}"
    infos = [b.info for b in gateway.backends if b.info is not None]
    names = list(gateway.settings.model_names) or list({info.model: None for info in infos})
    state = "is ready" if gateway.ready else "is up, but NOT READY: no back end answers"
    key = "" if gateway.ring.open else " -H 'Authorization: Bearer KEY'"
    model = names[0] if names else "MODEL"
    body = f'{{"model":"{model}","messages":[{{"role":"user","content":"What is 7 + 8?"}}]}}'
    return "\n".join(
        (
            "",
            f"  The gateway {state}",
            "",
            f"  OpenAI base URL  {url}/v1",
            *((f"  chat page        {url}/",) if gateway.settings.webui else ()),
            *(() if certificates is None else (f"  certificate      {certificates.summary}",)),
            f"  models           {', '.join(names) or 'unknown until a back end is ready'}",
            f"  API keys         {'none asked for' if gateway.ring.open else 'needed'}",
            *(_backend(*pair, i) for i, pair in enumerate(_looked_at(gateway))),
            f"  docs             {url}/docs",
            f"  metrics          {url}/metrics",
            *((f"  workers          {workers} processes",) if workers > 1 else ()),
            "",
            f"  curl -s {url}/v1/chat/completions -H 'Content-Type: application/json'{key} \\",
            f"    -d '{body}'",
            "",
            "  Ctrl-C stops: running answers finish first; again: at once.",
            "",
        )
    )


def _looked_at(gateway: Gateway) -> list[tuple[str, str]]:
    """Say what was asked, and what is wrong with it."""
    names = [
        (str(f.name), f.error or f"addresses: {len(f.addresses)}") for f in gateway.discovery.names
    ]
    return names + [(b.address, b.reason) for b in gateway.backends]


def _backend(address: str, reason: str, index: int) -> str:
    label = "back ends" if index == 0 else ""
    return f"  {label:<16} {address}  {reason or 'ready'}"
