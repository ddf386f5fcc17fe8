"""Tools of the Responses API -> functions that the model sees, and its calls -> items."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from gemma4_gateway.errors import UNSUPPORTED, ApiError, invalid
from gemma4_gateway.schemas.base import MOST_TOOLS
from gemma4_gateway.schemas.response_tools import (
    AllowedResponseTools,
    CustomTool,
    NamedResponseTool,
    NamespaceTool,
    OtherTool,
    ResponseTool,
)
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.schemas.tools import (
    Allowed,
    AllowedTools,
    FunctionTool,
    NamedFunction,
    NamedTool,
    Tool,
)

__all__ = ["Called", "ShownTools", "custom_arguments", "shown_name", "shown_tools", "unsupported"]

_CUSTOM_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


@dataclass(frozen=True, slots=True)
class Called:
    """What a call of a function is for the client: of ``function_call`` or, with ``custom``,
    ``custom_tool_call``. ``namespace`` "" is none."""

    name: str
    namespace: str = ""
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ShownTools:
    """``tools`` as the model sees them; ``called`` by the name that it sees. ``places`` maps
    ``tools[i].function`` of the engine's errors to the parameter. ``said`` are the tools for the
    response: those that were not left out."""

    tools: list[Tool] = field(default_factory=list)
    called: dict[str, Called] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    choice: str | NamedTool | AllowedTools | None = None

    def add(self, place: str, called: Called, tool: ResponseTool | CustomTool) -> None:
        """Add one tool. Raises 400 for a name that is there already."""
        name = shown_name(called.name, called.namespace)
        if name in self.called:
            raise invalid(f"{place}.name", f"the model would see two tools named {name!r}")
        if len(name) > 64:
            raise invalid(f"{place}.name", f"{name!r} has more than 64 characters")
        self.called[name] = called
        self.places[f"tools[{len(self.tools)}].function"] = place
        self.tools.append(Tool(type="function", function=_function(name, tool)))


def shown_name(name: str, namespace: str) -> str:
    """Return the name that the model sees."""
    return f"{namespace}.{name}" if namespace else name


def custom_arguments(text: str) -> str:
    """Return the arguments of the function that a custom tool is for the model."""
    return json.dumps({"input": text}, ensure_ascii=False)


def _function(name: str, tool: ResponseTool | CustomTool) -> FunctionTool:
    if isinstance(tool, CustomTool):
        shown = {"description": tool.description, "parameters": _CUSTOM_INPUT}
    else:
        shown = tool.model_dump(include={"description", "parameters", "response", "strict"})
    return FunctionTool.model_validate({"name": name} | shown)


def shown_tools(body: ResponsesRequest, *, drop: bool) -> ShownTools:
    """Return the tools and the choice among them. ``drop``: leave out those that do not exist here.
    Raises :class:`~gemma4_gateway.errors.ApiError` 400."""
    shown = ShownTools()
    for index, tool in enumerate(body.tools or []):
        place = f"tools[{index}]"
        if isinstance(tool, OtherTool):
            if not drop:
                raise unsupported(f"{place}.type", f"{tool.type} is no function")
            continue
        if isinstance(tool, NamespaceTool):
            for number, inner in enumerate(tool.tools):
                shown.add(f"{place}.tools[{number}]", Called(inner.name, tool.name), inner)
        else:
            shown.add(place, Called(tool.name, custom=isinstance(tool, CustomTool)), tool)
        shown.said.append(_said(tool))
    if len(shown.tools) > MOST_TOOLS:
        raise invalid("tools", f"{len(shown.tools)} with those of namespaces; at most {MOST_TOOLS}")
    return _chosen(body, shown, drop=drop)


def _said(tool: ResponseTool | NamespaceTool | CustomTool) -> dict[str, Any]:
    given = tool.model_dump(exclude_none=True)
    if isinstance(tool, ResponseTool):
        return {"description": None, "parameters": None, "strict": None} | given
    if isinstance(tool, NamespaceTool):
        return given | {"tools": [_said(inner) for inner in tool.tools]}
    return given


def unsupported(param: str, reason: str) -> ApiError:
    """Make 400 for what `--drop-unsupported` leaves out."""
    hint = "leave it out, or have the gateway do so with --drop-unsupported"
    return invalid(param, f"not supported: {reason}; {hint}", code=UNSUPPORTED)


def _chosen(body: ResponsesRequest, shown: ShownTools, *, drop: bool) -> ShownTools:
    choice = body.tool_choice
    if isinstance(choice, NamedResponseTool):
        name = _find(shown, choice.name, custom=choice.type == "custom")
        if name is None:
            raise invalid("tool_choice", _not_there(choice.name, shown))
        return replace(shown, choice=_named(name))
    if isinstance(choice, AllowedResponseTools):
        return _allowed(choice, shown, drop=drop)
    return replace(shown, choice=choice)


def _allowed(choice: AllowedResponseTools, shown: ShownTools, *, drop: bool) -> ShownTools:
    allowed: dict[str, None] = {}
    for index, one in enumerate(choice.tools):
        place = f"tool_choice.tools[{index}]"
        kind, name = one.get("type"), one.get("name")
        if kind in ("function", "custom") and isinstance(name, str):
            found = _find(shown, name, custom=kind == "custom")
            if found is None:
                raise invalid(f"{place}.name", _not_there(name, shown))
            allowed[found] = None
        elif not isinstance(kind, str) or kind in ("function", "custom"):
            raise invalid(place, "needs type and name")
        elif not drop:
            raise unsupported(f"{place}.type", f"{kind} is no function")
    if choice.mode == "none":
        return replace(shown, choice=choice.mode)
    if not allowed:  # all of them were left out
        return replace(shown, tools=[], choice=None if choice.mode == "auto" else choice.mode)
    kept = Allowed(mode=choice.mode, tools=[_named(name) for name in allowed])
    return replace(shown, choice=AllowedTools(type="allowed_tools", allowed_tools=kept))


def _named(name: str) -> NamedTool:
    return NamedTool(type="function", function=NamedFunction(name=name))


def _find(shown: ShownTools, name: str, *, custom: bool) -> str | None:
    """Return the name that the model sees of a tool, whether it is in a namespace or not."""
    plain = shown.called.get(name)
    if plain is not None and plain.custom == custom:
        return name
    return next((s for s, c in shown.called.items() if (c.name, c.custom) == (name, custom)), None)


def _not_there(name: str, shown: ShownTools) -> str:
    return f"{name!r} is not among the tools: {', '.join(shown.called) or 'there are none'}"
