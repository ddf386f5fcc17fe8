"""Which clients are run, in which versions, and what each has to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FAMILIES", "Family"]

NODE = "node@22.23.3"
"""A Node.js of npm's own: most packages want one that distributions do not have yet."""


@dataclass(frozen=True)
class Family:
    """``packages`` are of pip or npm, and the first is the client. ``checks`` are the names that
    ``script`` has to report, each as passed. ``limit_s`` bounds the script."""

    name: str
    kind: Literal["pip", "npm", "machine"]
    packages: tuple[str, ...]
    script: str
    checks: tuple[str, ...]
    limit_s: int = 240
    drop_unsupported: bool = False
    """Asked of a gateway with this option."""

    @property
    def versions(self) -> dict[str, str]:
        """Of the packages, by name. A package of npm may begin with an @."""
        at = "==" if self.kind == "pip" else "@"
        return {
            name.partition("[")[0]: version
            for name, _, version in (package.rpartition(at) for package in self.packages)
        }


FAMILIES = (
    Family(
        "litellm", "pip", ("litellm==1.110.2",), "with_litellm.py",
        ("chat", "stream", "tool", "form", "async", "responses", "responses by chat",
         "responses stream by chat", "anthropic", "messages by chat", "messages stream by chat",
         "unknown model", "too long"),
    ),
    Family(
        "langchain", "pip",
        ("langchain-openai==1.7.4", "langgraph==1.2.24", "langchain-anthropic==1.7.10"),
        "with_langchain.py",
        ("chat", "stream", "tool", "form", "form by call", "async", "responses", "anthropic",
         "graph", "unknown model", "too long"),
    ),
    Family(
        "agents", "pip", ("openai-agents==0.24.0",), "with_agents_sdk.py",
        ("chat loop", "chat stream", "chat form", "responses loop", "responses stream",
         "responses form", "handoff", "unknown model"),
    ),
    Family(
        "npm-openai", "npm", ("openai@7.59.0", "zod@4.6.7", NODE), "with_openai.mjs",
        ("chat", "stream", "tool", "tool loop", "form", "responses", "responses stream",
         "responses form", "cancel", "unknown model", "too long"),
    ),
    Family(
        "ai-sdk", "npm",
        ("ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92", "@ai-sdk/openai@4.0.118",
         "@ai-sdk/anthropic@4.0.105", "zod@4.6.7", NODE),
        "with_ai_sdk.mjs",
        ("chat", "stream", "tool loop", "forced tool", "form", "form stream", "responses",
         "responses stream", "anthropic", "unknown model"),
    ),
    Family(
        "npm-anthropic", "npm", ("@anthropic-ai/sdk@1.14.0", NODE), "with_anthropic.mjs",
        ("messages", "stream", "tool", "count", "unknown model", "too long"),
    ),
    Family(
        "java", "machine", (), "WithHttpClient.java",
        ("chat", "stream", "many at once", "unknown model", "no JSON", "cancel"),
    ),
    Family(
        "curl", "machine", (), "with_curl.py",
        ("chat", "stream", "HTTP/2 wished", "chunked body", "expect", "unknown model"),
    ),
    Family(
        "codex", "npm", ("@openai/codex@0.171.0",), "with_codex.py",
        ("answer", "unknown model"), limit_s=420, drop_unsupported=True,
    ),
    Family(
        "claude-code", "npm", ("@anthropic-ai/claude-code@2.1.332",), "with_claude_code.py",
        ("answer", "stream", "unknown model"), limit_s=420,
    ),
    Family(
        "llama-index", "pip", ("llama-index-llms-openai-like==0.8.1",), "with_llama_index.py",
        ("chat", "stream", "tool", "form", "async", "completion", "unknown model"),
    ),
    Family(
        "haystack", "pip", ("haystack-ai==3.4.1",), "with_haystack.py",
        ("chat", "stream", "tool", "form", "responses", "unknown model"),
    ),
    Family(
        "autogen", "pip", ("autogen-ext[openai]==0.7.5", "autogen-agentchat==0.7.5"),
        "with_autogen.py",
        ("chat", "stream", "agent loop", "form", "unknown model"),
    ),
    Family(
        "semantic-kernel", "pip", ("semantic-kernel==1.45.0",), "with_semantic_kernel.py",
        ("chat", "stream", "tool loop", "form", "unknown model"),
    ),
    Family(
        "crewai", "pip", ("crewai==1.15.30",), "with_crewai.py",
        ("chat", "stream", "form", "crew", "unknown model"),
    ),
    Family(
        "aider", "pip", ("aider-chat==0.86.2",), "with_aider.py", ("answer", "unknown model"),
    ),
    Family(
        "aiperf", "pip", ("aiperf==0.13.0",), "with_aiperf.py", ("chat", "completions"),
        limit_s=400,
    ),
)  # fmt: skip
