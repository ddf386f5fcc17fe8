"""Dynamo's parser of Gemma 4's answers against ours, on the same token ids. The differences are a
table of docs/dynamo.md; `UPDATE_DOCS=1` writes it anew."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from cluster import LOGS, MODEL, Frontend, Process
from gemma4_runtime.output.vocab import load_token_table
from gemma4_testing.cases.turn_texts import BARE, CALL, DEEP, THOUGHT
from scripted_worker import assembler
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "demo" / "checkpoint"
PAGE = ROOT / "docs" / "dynamo.md"


def rows(name: str) -> list[str]:
    """What the model writes, of a table of docs/messages.md, as whole calls."""
    text = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    table = text.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table.splitlines()]
    return [f"<|tool_call>{c.strip('`').replace(chr(92) + '|', '|')}<tool_call|>" for c in cells]


PUBLISHED = [
    CALL, BARE, DEEP, CALL + BARE, THOUGHT + CALL, "Let me look. " + CALL, THOUGHT + "Hello.",
    "Hello.", CALL + "<|tool_response>", BARE * 3,
    '<|tool_call>call:f{a:<|"|>it\'s "x"<|"|>,b:<|"|><|"|>,c:-1.5,d:true,e:null}<tool_call|>',
    '<|tool_call>call:f{a:{b:{c:[<|"|>x<|"|>,[1,2]]}}}<tool_call|>',
    '<|tool_call>call:f{a:<|"|>{"x": [1, 2]}<|"|>}<tool_call|>',
    '<|tool_call>call:f{a:<|"|>x, } | < "y"<|"|>}<tool_call|>',
    "<|tool_call>call:f{a:[1,-2.5,1e9]}<tool_call|>",
    "<|tool_call>call:f{a:[{c:true}],d:{},e:[]}<tool_call|>",
    "<|tool_call>call:f{first name:1}<tool_call|>",
    '<|tool_call>call:f{a:<|"|>line\nnext\\n<|"|>}<tool_call|>',
]  # fmt: skip
CASES = [*PUBLISHED, *rows("repaired"), *rows("refused")]


def ids_of(text: str) -> list[int]:
    tokenizer = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


def ours(ids: list[int]) -> tuple[str, str, list[tuple[str, Any]]]:
    """Content, reasoning and calls, as our engine reads them."""
    made = assembler(load_token_table(CHECKPOINT / "tokenizer.json"))
    made.push(ids)
    made.finish("stop")
    chunk = made.take()
    parts = {"content": b"", "reasoning": b""}
    for segment in chunk.segments:
        parts[segment.channel] += segment.data
    calls = [(call.name, json.loads(call.arguments)) for call in chunk.tool_calls]
    return parts["content"].decode(), parts["reasoning"].decode(), calls


def scripted(folder: Path, form: str) -> Iterator[Frontend]:
    """A frontend over a scripted worker."""
    (folder / "answers.json").write_text(json.dumps([ids_of(text) for text in CASES]))
    (LOGS / f"scripted-{form}.log").unlink(missing_ok=True)
    script = Path(__file__).with_name("scripted_worker.py")
    worker = Process(
        f"scripted-{form}", folder, "", str(CHECKPOINT), str(folder / "answers.json"), form,
        script=script,
    )  # fmt: skip
    worker.wait_for('"serving"')
    made = Frontend(f"frontend-scripted-{form}", folder)
    made.wait_for_workers(1)
    yield made
    made.stop()
    worker.kill()


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    yield from scripted(tmp_path_factory.mktemp("tokens"), "tokens")


@pytest.fixture(scope="module")
def text_frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    yield from scripted(tmp_path_factory.mktemp("text"), "text")


Parts = tuple[str, str, list[tuple[str, Any]]]
NONE = "no answer at all"


def theirs(client: openai.OpenAI, number: int) -> Parts | str:
    """Content, reasoning and calls of the case, as Dynamo's frontend reads them."""
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=1000 + number,
        tools=[tool], extra_body={"chat_template_kwargs": {"enable_thinking": True}},
    )  # fmt: skip
    if not answer.choices:
        return NONE
    message: Any = answer.choices[0].message
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]
    return message.content or "", getattr(message, "reasoning_content", None) or "", calls


def shown(parts: Parts | str) -> str:
    """A cell of the table."""
    if isinstance(parts, str):
        return parts
    content, reasoning, calls = parts
    told = [f"`{name}` {json.dumps(arguments, ensure_ascii=False)}" for name, arguments in calls]
    told += [f"text `{content}`"] if content else []
    told += [f"thought `{reasoning}`"] if reasoning else []
    return " and ".join(told) or "nothing"


def row(*cells: str) -> str:
    plain = (cell.replace("\n", "\\n").replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(plain) + " |\n"


def test_the_differences_are_those_of_the_page(frontend: Frontend) -> None:
    client = frontend.client()
    found = ""
    for number, text in enumerate(CASES):
        mine, other = ours(ids_of(text)), theirs(client, number)
        if mine != other:
            body = text.removeprefix("<|tool_call>").removesuffix("<tool_call|>")
            found += row(f"`{body}`", shown(mine), shown(other))
    print(found)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split("<!-- differences -->\n")
    head, after = rest.split("|---|---|---|\n")[0], rest.split("<!-- end of differences -->")[1]
    new = f"{before}<!-- differences -->\n{head}|---|---|---|\n{found}<!-- end of differences -->{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(new, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == new


def test_with_input_text_there_is_no_difference(text_frontend: Frontend) -> None:
    client = text_frontend.client()
    for number, text in enumerate(CASES):
        assert theirs(client, number) == ours(ids_of(text)), text
