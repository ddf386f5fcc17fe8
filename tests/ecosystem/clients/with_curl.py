"""curl, as scripts use it."""

import json
import subprocess
import sys

from checking import MODEL, QUESTION, V1, report

JSON = ("-H", "Content-Type: application/json")
BODY = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}


def curl(*options: str, body: object = BODY, status: int = 0, text: str | None = None) -> str:
    """``text`` is standard input in place of the argument --json's."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *options]
    if text is None:
        command += [*JSON, "-d", json.dumps(body)]
    done = subprocess.run(
        [*command, f"{V1}/chat/completions"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def content(text: str) -> str:
    return json.loads(text)["choices"][0]["message"]["content"]


def chat() -> None:
    assert "Paris" in content(curl("--fail"))
    assert "Paris" in content(curl("--fail", "--compressed"))


def stream() -> None:
    lines = curl("--no-buffer", body=BODY | {"stream": True}).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""], lines
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "Paris" in "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)


def http2_wished() -> None:
    written = curl("--http2", "--write-out", "\n%{http_version}")
    assert written.endswith("\n1.1") and "Paris" in written, written


def chunked_body() -> None:
    answer = curl(*JSON, "-H", "Transfer-Encoding: chunked", "--data-binary", "@-",
                  text=json.dumps(BODY))  # fmt: skip
    assert "Paris" in content(answer)


def expect() -> None:
    long = BODY | {"messages": [{"role": "system", "content": "word " * 2000}, *BODY["messages"]]}
    answer = curl("-H", "Expect: 100-continue", "--include", body=long)
    assert answer.startswith("HTTP/1.1 100"), answer[:200]
    assert "HTTP/1.1 200" in answer


def unknown_model() -> None:
    answer = curl("--fail-with-body", body=BODY | {"model": "nothing"}, status=22)
    assert json.loads(answer)["error"]["code"] == "model_not_found", answer


sys.exit(
    report(
        chat=chat, stream=stream, chunked_body=chunked_body, expect=expect,
        unknown_model=unknown_model, **{"HTTP/2_wished": http2_wished},
    )
)  # fmt: skip
