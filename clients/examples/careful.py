"""Deadlines, cancels, retries, errors and the cache.  python careful.py [URL]

The URL may be http://HOST:PORT too."""

import sys
import tempfile

from gemma4_client import (
    Cache,
    Client,
    DeadlineExceededError,
    InvalidRequestError,
    RetryPolicy,
)

with (
    tempfile.TemporaryDirectory() as folder,
    Client(*sys.argv[1:], retry=RetryPolicy(attempts=5), cache=Cache(folder)) as client,
):
    try:
        client.chat("Hello", max_tokens=0).result()
    except InvalidRequestError as error:
        print("refused:", error)

    try:  # 2,000 tokens in 0.2 s: the server stops at the deadline, too
        client.chat("Count", timeout=0.2, min_tokens=1900, max_tokens=1900).result()
    except DeadlineExceededError as error:
        print("too slow:", error)

    for _ in client.chat("Count", min_tokens=1900, max_tokens=1900):
        break  # leaving the loop cancels

    for _ in range(2):
        answer = client.chat("What is the capital of France?", temperature=0.0).result()
        print(answer.text, "from the cache" if answer.cached else "from the server")

    info = client.server_info()
    print(info.runtime, info.precision, len(client.tokenize("How many tokens is this?")))
