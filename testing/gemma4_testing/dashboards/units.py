"""Numbers in Grafana's units."""

from __future__ import annotations

__all__ = ["shown"]

_SECONDS = ((86400, "days"), (3600, "hours"), (60, "mins"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
_SHORT = ((1e9, "Bil"), (1e6, "Mil"), (1e3, "K"))
_AFTER = {"reqps": " req/s", "watt": " W", "kwatth": " kWh", "h": " h"}


def shown(value: float, unit: str, decimals: int | None) -> str:
    """Return the number as a panel shows it, with three digits unless ``decimals`` says more."""

    def number(x: float) -> str:
        if decimals is not None:
            return f"{x:,.{decimals}f}"
        return f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"

    if unit == "percentunit":
        return f"{number(value * 100)}%"
    if unit == "currencyUSD":
        return f"${number(value)}"
    for name, table, factor in (
        ("s", _SECONDS, 1.0), ("µs", _SECONDS, 1e-6), ("bytes", _BYTES, 1.0),
    ):  # fmt: skip
        if unit == name:
            for size, word in table:
                if abs(value * factor) >= size:
                    return f"{number(value * factor / size)} {word}"
            return f"0 {'B' if unit == 'bytes' else 's'}"
    if unit == "short":
        for size, word in _SHORT:
            if abs(value) >= size:
                return f"{number(value / size)} {word}"
    suffix = unit.removeprefix("suffix:") if unit.startswith("suffix:") else _AFTER.get(unit, "")
    return number(value) + suffix
