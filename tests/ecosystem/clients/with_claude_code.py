"""Claude Code without a terminal, with the gateway in the place of Anthropic's API."""

import json
import sys

from agents_of_npm import HOME, Done, json_lines, run
from checking import MODEL, QUESTION, URL, report

SETTINGS = {
    "ANTHROPIC_BASE_URL": URL,
    "ANTHROPIC_AUTH_TOKEN": "any",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": MODEL,
    "CLAUDE_CONFIG_DIR": str(HOME / "claude"),
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "2000",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
}


def claude(*options: str, model: str = MODEL) -> Done:
    return run("claude", "-p", QUESTION, "--system-prompt", "Be brief.", "--tools", "",
               *options, **SETTINGS, ANTHROPIC_MODEL=model)  # fmt: skip


def checked(result: dict) -> None:
    assert result["type"] == "result", result
    usage = result["usage"]
    sent = usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert sent > 100 and usage["output_tokens"] > 0, usage
    # The model's words have no sense here: it may also have called a tool, in one turn of one.
    assert not result["is_error"] or result["subtype"] == "error_max_turns", result
    print(usage, result["subtype"])


def answer() -> None:
    done = claude("--output-format", "json")
    checked(json.loads(done.stdout or repr(done.stderr)))


def stream() -> None:
    done = claude("--output-format", "stream-json", "--verbose", "--include-partial-messages")
    events = json_lines(done.stdout)
    parts = [event["event"]["type"] for event in events if event["type"] == "stream_event"]
    assert parts[0] == "message_start" and parts[-1] == "message_stop", (parts, done.stderr)
    assert "content_block_delta" in parts
    checked(events[-1])


def unknown_model() -> None:
    done = claude("--output-format", "json", model="nothing")
    result = json.loads(done.stdout)
    assert done.returncode != 0 and result["is_error"], done
    assert "nothing" in result["result"], result


sys.exit(report(answer=answer, stream=stream, unknown_model=unknown_model))
