"""Rendering: as transformers renders, with the model's turn open, and no failure but a refusal."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.errors import Code, RequestError, Status
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_testing.cases.chat_templates import DEMO, SECOND
from jinja2 import TemplateSyntaxError
from transformers.utils.chat_template_utils import render_jinja_template

USER = {"role": "user", "content": "Hi"}
OFF = "<|turn>model\n<|channel>thought\n<channel|>"


def calling(content: str | None, *names: str) -> dict[str, Any]:
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": {"a": i}}}
        for i, name in enumerate(names)
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(call: str, text: list[dict[str, str]] | str = "22 C") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": text}


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def template(tmp_path: Path, text: str) -> ChatTemplate:
    path = tmp_path / "chat_template.jinja"
    path.write_text(text)
    return ChatTemplate(path)


CHATS = {
    "one": [USER],
    "system": [{"role": "system", "content": " Be brief. "}, USER],
    "system parts": [{"role": "system", "content": parts("Be", "brief")}, USER],
    "parts": [{"role": "user", "content": parts(" a ", "b", "c ")}],
    "turns": [USER, {"role": "assistant", "content": "b"}, USER],
    "thought in content": [USER, {"role": "assistant", "content": "<|channel>thought\nhm<channel|>b"}, USER],
    "call": [USER, calling(None, "f"), result("c0")],
    "calls": [USER, calling("", "f", "g"), result("c0"), result("c1")],
    "result in parts": [USER, calling("", "f"), result("c0", parts("a", "b"))],
    "call, answer": [USER, calling("", "f"), result("c0"), {"role": "assistant", "content": "b"}, USER],
    "thought": [USER, calling("", "f") | {"reasoning_content": "hm"}, result("c0")],
    "assistant last": [USER, {"role": "assistant", "content": "b"}],
    "assistant only": [{"role": "assistant", "content": "b"}],
    "call, answer last": [USER, calling("", "f"), result("c0"), {"role": "assistant", "content": "b"}],
    "system only": [{"role": "system", "content": "Be brief."}],
    "system last": [USER, {"role": "assistant", "content": "b"}, {"role": "system", "content": "c"}],
}  # fmt: skip


@pytest.mark.parametrize("path", [SECOND, DEMO], ids=["second", "demo"])
@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("name", CHATS)
def test_it_renders_as_transformers_does(path: Path, thinking: bool, name: str) -> None:
    chat = CHATS[name]
    (expected,), _ = render_jinja_template(
        [copy.deepcopy(chat)],
        chat_template=path.read_text(),
        add_generation_prompt=True,
        enable_thinking=thinking,
        bos_token="<bos>",
    )
    assert ChatTemplate(path).render(chat, [], thinking=thinking) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [SECOND, DEMO], ids=["second", "demo"])
@pytest.mark.parametrize("thinking", [False, True])
def test_content_beside_calls_leaves_a_turn_open(path: Path, thinking: bool) -> None:
    chat = [USER, calling("I look.", "f"), result("c0")]
    rendered = ChatTemplate(path).render(chat, [], thinking=thinking)
    assert rendered.rfind("<|turn>model\n") > rendered.rfind("<turn|>")
    assert "I look." in rendered
    assert "22 C" in rendered
    if path == SECOND:
        opening = "<|turn>model\n" if thinking else OFF
        assert rendered.endswith("I look.<turn|>\n" + opening)


@pytest.mark.parametrize("what", ["{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ messages.a.b }}", "{{ raise_exception('no') }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 'a' in 1 }}", "{{ range(10 ** 9) }}", "{{ 2.0 ** 5000 }}", "{{ [1, 'a'] | sort }}", "{{ '%d' | format('a') }}", "{{ {}['a']['b'] }}", "{{ messages.append(1) }}"])  # fmt: skip
def test_whatever_a_template_raises_is_a_refusal(tmp_path: Path, what: str) -> None:
    bad = template(tmp_path, "{% if messages[0].content == 'bad' %}" + what + "{% endif %}ok")
    assert bad.render([USER], [], thinking=False) == "ok"
    with pytest.raises(RequestError, match="messages: the chat template") as caught:
        bad.render([{"role": "user", "content": "bad"}], [], thinking=False)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.code == Code.TEMPLATE_REFUSED
    assert bad.render([USER], [], thinking=False) == "ok"


@pytest.mark.parametrize("options", ["", "indent=2", "indent='\t'", "ensure_ascii=true", "separators=(',', ':')", "sort_keys=true", "false, none, none, true"])  # fmt: skip
def test_tojson_takes_what_transformers_takes(tmp_path: Path, options: str) -> None:
    text = "{{ messages | tojson(" + options + ") }}"
    chat = [{"role": "user", "content": "<é>", "b": [1, None, True], "a": {}}]
    (expected,), _ = render_jinja_template([copy.deepcopy(chat)], chat_template=text)
    assert template(tmp_path, text).render(chat, [], thinking=False) == expected


def test_tags_for_training_keep_their_text(tmp_path: Path) -> None:
    text = "{% generation %}{{ messages[0].content }}{% endgeneration %}!"
    assert template(tmp_path, text).render([USER], [], thinking=False) == "Hi!"
    with pytest.raises(TemplateSyntaxError):
        template(tmp_path, "{% generation %}a")


def test_nothing_stays_between_renderings(tmp_path: Path) -> None:
    text = (
        "{% set n = namespace(i=0) %}{% set c = cycler('a', 'b') %}{% set j = joiner() %}"
        "{% for m in messages %}{% set n.i = n.i + 1 %}{{ j() }}{{ c.next() }}{% endfor %}{{ n.i }}"
        "{{ secret is defined }}{% if messages[0].content == 's' %}{% set secret = 1 %}{% endif %}"
    )
    made = template(tmp_path, text)
    chat = [{"role": "user", "content": "s"}, USER]
    before = copy.deepcopy(chat)
    first = made.render(chat, [], thinking=False)
    assert made.render(chat, [], thinking=False) == first == "a, b2False"
    assert chat == before


def test_a_template_that_knows_no_parts_gets_their_text(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": parts("a", "b")}]
    for text in ("{{ messages[0].content | trim }}", "{{ messages[0].content + '' }}"):
        assert template(tmp_path, text).render(chat, [], thinking=False) == "ab"
