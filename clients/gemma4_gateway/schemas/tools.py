"""Tool declarations, tool choice and output formats."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import MOST_TOOLS, ApiModel, Items

__all__ = [
    "AllowedTools",
    "ChatToolChoice",
    "FunctionTool",
    "JsonObjectFormat",
    "JsonSchema",
    "JsonSchemaFormat",
    "NamedFunction",
    "NamedTool",
    "ResponseFormat",
    "TextFormat",
    "Tool",
    "ToolName",
]

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]


class FunctionTool(ApiModel):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of type object.")
    response: dict[str, Any] | None = Field(
        None,
        description="JSON schema of type object of what the tool answers; shown to the model. Not "
        "in OpenAI's API, but in Gemma 4's chat template.",
    )
    strict: bool | None = Field(
        None,
        description="Arguments follow the schema with tool_choice required or a named tool, "
        "whatever this says; with auto they are the model's own.",
    )


class Tool(ApiModel):
    type: Literal["function"]
    function: FunctionTool


class NamedFunction(ApiModel):
    name: ToolName


class NamedTool(ApiModel):
    type: Literal["function"]
    function: NamedFunction


class Allowed(ApiModel):
    mode: Literal["auto", "required"] = Field(
        description="auto: the model may call one of them; required: it must."
    )
    tools: Annotated[list[NamedTool], Items(MOST_TOOLS, 1)]


class AllowedTools(ApiModel):
    """The model sees the others no more than it may call them."""

    type: Literal["allowed_tools"]
    allowed_tools: Allowed


ChatToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[NamedTool | AllowedTools, Field(discriminator="type")]
)


class TextFormat(ApiModel):
    type: Literal["text"]


class JsonObjectFormat(ApiModel):
    type: Literal["json_object"]


class JsonSchema(ApiModel):
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = Field(None, description="The output follows the schema in any case.")


class JsonSchemaFormat(ApiModel):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")
]
