"""Tools of /v1/responses, and the choice among them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from gemma4_gateway.schemas.base import MOST_TOOLS, ApiModel, Items
from gemma4_gateway.schemas.tools import TextFormat, ToolName

__all__ = [
    "AllowedResponseTools",
    "AnyTool",
    "CustomTool",
    "NamedResponseTool",
    "NamespaceTool",
    "OtherTool",
    "ResponseTool",
    "ToolChoice",
]


class ResponseTool(ApiModel):
    """A function."""

    refused: ClassVar[dict[str, str]] = {
        "allowed_callers": "the client calls the functions",
        "defer_loading": "there is no tool search",
        "output_schema": "name it response, as Gemma 4's chat template does",
    }
    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    response: dict[str, Any] | None = Field(None, description="As in /v1/chat/completions.")
    strict: bool | None = Field(None, description="As in /v1/chat/completions.")


class NamespaceTool(ApiModel):
    """Functions under a common name. The model sees each as ``name.function``."""

    type: Literal["namespace"]
    name: ToolName
    description: str | None = None
    tools: Annotated[list[ResponseTool], Items(MOST_TOOLS)]


class CustomTool(ApiModel):
    """A tool whose input is free text. The model sees a function with one string, ``input``."""

    refused: ClassVar[dict[str, str]] = {
        "allowed_callers": "the client calls the tools",
        "defer_loading": "there is no tool search",
    }
    type: Literal["custom"]
    name: ToolName
    description: str | None = None
    format: TextFormat | None = None


class OtherTool(ApiModel):
    """A tool that does not exist here (web_search, local_shell, a custom one with a grammar): it is
    refused, or left out if the gateway was told so."""

    model_config = ConfigDict(extra="allow")
    type: str


def _kind(tool: Any) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    if kind == "custom":
        form = tool.get("format") if isinstance(tool, dict) else tool.format
        return "Other" if isinstance(form, dict) and form.get("type") == "grammar" else "Custom"
    if kind == "namespace":
        return "Namespace"
    return "Other" if isinstance(kind, str) and kind != "function" else "Function"


AnyTool = Annotated[
    Annotated[ResponseTool, Tag("Function")]
    | Annotated[NamespaceTool, Tag("Namespace")]
    | Annotated[CustomTool, Tag("Custom")]
    | Annotated[OtherTool, Tag("Other")],
    Discriminator(_kind),
]


class NamedResponseTool(ApiModel):
    type: Literal["function", "custom"]
    name: ToolName


class AllowedResponseTools(ApiModel):
    """The model sees these tools only."""

    type: Literal["allowed_tools"]
    mode: Literal["none", "auto", "required"] = "auto"
    tools: Annotated[list[dict[str, Any]], Items(MOST_TOOLS, 1)]


ToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[NamedResponseTool | AllowedResponseTools, Field(discriminator="type")]
)
