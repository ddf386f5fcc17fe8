"""Every field, type of block and value of the anthropic package's requests is taken, or refused
with a reason. Only of the locked version: what a newer one adds is no fault of an installation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from anthropic.types import beta
from anthropic.types.beta import message_count_tokens_params, message_create_params
from gemma4_gateway.schemas import anthropic, anthropic_blocks, anthropic_thinking, anthropic_turn
from gemma4_gateway.schemas.base import ApiModel

LOCK = Path(__file__).parents[3] / "requirements.lock"
LOCKED = re.search(r"^anthropic==(\S+)", LOCK.read_text(encoding="utf-8"), re.M)
pytestmark = pytest.mark.skipif(
    LOCKED is None or metadata.version("anthropic") != LOCKED[1],
    reason="another version of anthropic than the locked one",
)

HEADERS = {"betas", "user_profile_id", "workspace_id"}
"""Arguments that the package sends as headers."""
FORMS: list[tuple[Any, type[ApiModel]]] = [
    (message_create_params.MessageCreateParamsBase, anthropic.MessagesRequest),
    (message_create_params.MessageCreateParamsStreaming, anthropic.MessagesRequest),
    (message_count_tokens_params.MessageCountTokensParams, anthropic.CountTokensRequest),
    (beta.BetaToolParam, anthropic.MessageTool),
    (beta.BetaToolChoiceAutoParam, anthropic.ToolChoice),
    (beta.BetaToolChoiceAnyParam, anthropic.ToolChoice),
    (beta.BetaToolChoiceToolParam, anthropic.ToolChoice),
    (beta.BetaToolChoiceNoneParam, anthropic.ToolChoice),
    (beta.BetaThinkingConfigEnabledParam, anthropic_thinking.Thinking),
    (beta.BetaThinkingConfigAdaptiveParam, anthropic_thinking.Thinking),
    (beta.BetaThinkingConfigDisabledParam, anthropic_thinking.Thinking),
    (beta.BetaThinkingConfigBetweenToolsParam, anthropic_thinking.Thinking),
    (beta.BetaThinkingBlockBindingParam, anthropic_thinking.BlockBinding),
    (beta.BetaContextManagementConfigParam, anthropic_thinking.ContextManagement),
    (beta.BetaClearThinking20251015EditParam, anthropic_thinking.ClearThinking),
    (beta.BetaOutputConfigParam, anthropic.OutputConfig),
    (beta.BetaJSONOutputFormatParam, anthropic.JsonFormat),
    (beta.BetaMetadataParam, anthropic.MessageMetadata),
    (beta.BetaUserMessageParam, anthropic_turn.TurnParam),
    (beta.BetaAssistantMessageParam, anthropic_turn.TurnParam),
    (beta.BetaSystemMessageParam, anthropic_turn.TurnParam),
    (beta.BetaSystemMessageOutputConfigParam, anthropic_turn.TurnEffort),
    (beta.BetaTextBlockParam, anthropic_blocks.TextBlock),
    (beta.BetaThinkingBlockParam, anthropic_blocks.ThinkingBlock),
    (beta.BetaRedactedThinkingBlockParam, anthropic_blocks.RedactedThinkingBlock),
    (beta.BetaFallbackBlockParam, anthropic_blocks.FallbackBlock),
    (beta.BetaToolUseBlockParam, anthropic_blocks.ToolUseBlock),
    (beta.BetaToolResultBlockParam, anthropic_blocks.ToolResultBlock),
    (beta.BetaToolReferenceBlockParam, anthropic_blocks.ToolReferenceBlock),
]


def taken(form: type[ApiModel]) -> set[str]:
    return {field.alias or name for name, field in form.model_fields.items()}


def words(annotation: Any) -> set[str]:
    """The strings of the literals in a type."""
    if get_origin(annotation) is not None:
        return set().union(*map(words, get_args(annotation)))
    return {annotation} if isinstance(annotation, str) else set()


@pytest.mark.parametrize(("theirs", "ours"), FORMS, ids=lambda form: form.__name__)
def test_every_field_is_known(theirs: Any, ours: type[ApiModel]) -> None:
    assert get_type_hints(theirs).keys() - HEADERS <= taken(ours) | ours.refused.keys()


@pytest.mark.parametrize(("theirs", "ours"), FORMS, ids=lambda form: form.__name__)
def test_every_word_of_a_field_is_known(theirs: Any, ours: type[ApiModel]) -> None:
    """Of enumerations: `thinking.display`, `tool_choice.type`, ..."""
    for name, hint in get_type_hints(theirs).items():
        mine = ours.model_fields.get(name)
        if mine is not None and (known := words(mine.annotation)):
            assert words(hint) <= known, name


def block_types() -> Iterator[str]:
    for block in get_args(beta.BetaContentBlockParam):
        hints = get_type_hints(block) if isinstance(block, type) else {}
        yield from words(hints.get("type"))


def test_every_block_is_taken_or_its_refusal_has_a_reason() -> None:
    ours = {kind for kinds in anthropic_blocks.BLOCKS.values() for kind in kinds}
    theirs = set(block_types())
    assert len(theirs) > 20
    assert theirs - ours <= anthropic_blocks.NOT_TAKEN.keys()
