"""Codex CLI without a terminal, with the gateway as its provider."""

import sys

from agents_of_npm import HOME, Done, json_lines, run
from checking import MODEL, QUESTION, V1, report

CONFIG = """
model = "{model}"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "read-only"
check_for_update_on_startup = false
model_instructions_file = "{home}/instructions.md"
web_search = "disabled"
[features]
apps = false
goals = false
plugins = false
shell_tool = false
unified_exec = false
[agents]
enabled = false
[analytics]
enabled = false
[model_providers.gateway]
name = "gateway"
base_url = "{url}"
wire_api = "responses"
env_key = "GATEWAY_KEY"
request_max_retries = 0
stream_max_retries = 0
stream_idle_timeout_ms = 170000
"""


def codex(model: str) -> Done:
    home = HOME / "codex"
    home.mkdir(exist_ok=True)
    (home / "instructions.md").write_text("Be brief.")
    (home / "config.toml").write_text(CONFIG.format(model=model, url=V1, home=home))
    return run("codex", "exec", "--json", "--skip-git-repo-check", QUESTION,
               CODEX_HOME=str(home), GATEWAY_KEY="any")  # fmt: skip


def answer() -> None:
    done = codex(MODEL)
    events = json_lines(done.stdout)
    kinds = [event["type"] for event in events]
    assert done.returncode == 0 and kinds[-1] == "turn.completed", done
    usage = events[-1]["usage"]
    assert usage["input_tokens"] > 1000 and usage["output_tokens"] > 0, usage
    items = [e["item"] for e in events if e["type"] == "item.completed"]
    assert any(item["type"] == "agent_message" for item in items), items
    print(usage, [item["type"] for item in items])


def unknown_model() -> None:
    done = codex("nothing")
    assert done.returncode != 0, done
    text = str(json_lines(done.stdout)[-1])
    assert "turn.failed" in text and "nothing" in text, done


sys.exit(report(answer=answer, unknown_model=unknown_model))
