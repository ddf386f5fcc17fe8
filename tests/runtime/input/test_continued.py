"""continue_final_message: the prompt ends where the last message does, as in transformers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.input.chat import parse_messages
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.input.text import without_thoughts
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.chat_templates import DEMO, SECOND
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
TEMPLATES = pytest.mark.parametrize("path", [SECOND, DEMO], ids=["second", "demo"])
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {}}}
HISTORIES: list[list[dict[str, Any]]] = [
    [],
    [USER],
    [{"role": "system", "content": "Be brief."}, USER],
    [USER, {"role": "assistant", "content": "a"}, USER],
    [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "22"},
    ],
]


@pytest.fixture(scope="module")
def preparer(checkpoint: Path) -> Preparer:
    return Preparer(checkpoint, limits=LIMITS, capabilities=CAPABILITIES["llama_cpp"])


@TEMPLATES
@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("history", HISTORIES, ids=len)
@pytest.mark.parametrize("text", ["The answer", "a b \n", " a"])
def test_it_ends_as_in_transformers(
    path: Path, thinking: bool, history: list[dict[str, Any]], text: str
) -> None:
    chat = [*history, {"role": "assistant", "content": text}]
    (expected,), _ = render_jinja_template(
        [copy.deepcopy(chat)],
        chat_template=path.read_text(),
        continue_final_message=True,
        enable_thinking=thinking,
        bos_token="<bos>",
    )
    found = ChatTemplate(path).render(chat, [], thinking=thinking, continued=True)
    assert found == expected
    assert found.endswith(text.strip())


PIECES = st.sampled_from(
    ["a", " ", "\n", "<|turn>", "<turn|>", "é", "<|channel>", "<channel|>", "x"]
)
CONTENTS = st.lists(PIECES, max_size=5).map("".join)


@TEMPLATES
def test_any_text_goes_on(preparer: Preparer, path: Path) -> None:
    template = ChatTemplate(path)

    @settings(max_examples=200)
    @given(contents=st.lists(CONTENTS, min_size=1, max_size=3), listed=st.booleans())
    def check(contents: list[str], listed: bool) -> None:
        parts = [{"type": "text", "text": text} for text in contents]
        said = parts if listed else "".join(contents)
        chat = json.dumps([USER, {"role": "assistant", "content": said}])
        kept = "".join(map(without_thoughts, contents if listed else ["".join(contents)]))
        try:
            messages = parse_messages(chat, LIMITS, preparer._tokenizer.guard, continued=True)
        except RequestError as error:
            assert (error.code, error.field) == (
                Code.INVALID_CONVERSATION,
                "continue_final_message",
            )
            assert not kept.strip()
            return
        rendered = template.render(messages, [], thinking=False, continued=True)
        ids = preparer._tokenizer.encode_rendered(rendered)
        control = preparer._tokenizer.control
        assert ids.count(control["<|turn>"]) == 2
        assert ids.count(control["<turn|>"]) == 1
        head, _, tail = rendered.replace("\ufdd0", "").rpartition("<|turn>model\n")
        assert head.endswith("<turn|>\n") or "<" in kept
        if not listed:
            assert tail == kept.strip() or "<|turn>" in kept

    check()


@TEMPLATES
def test_without_it_a_new_turn_follows(path: Path) -> None:
    chat = [USER, {"role": "assistant", "content": "a"}]
    assert ChatTemplate(path).render(chat, [], thinking=True).endswith("a<turn|>\n<|turn>model\n")


def test_a_template_that_leaves_the_message_out_is_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "chat_template.jinja"
    file.write_text("{{ messages[0].content }}")
    chat = [USER, {"role": "assistant", "content": "a"}]
    with pytest.raises(RequestError, match="leaves out the last message") as caught:
        ChatTemplate(file).render(chat, [], thinking=False, continued=True)
    assert caught.value.code == Code.TEMPLATE_REFUSED


def test_a_guide_binds_what_comes_after_it(preparer: Preparer) -> None:
    values = {
        "messages": json.dumps([USER, {"role": "assistant", "content": "It is"}]),
        "continue_final_message": True,
        "enable_thinking": True,
        "guided_decoding_guide_type": "regex",
        "guided_decoding_guide": " [a-z]+",
    }
    request = preparer.prepare_values(values, request_id="", key="k", now=0.0)
    assert request.sampling.prelude is None
    assert request.channel == "content"
