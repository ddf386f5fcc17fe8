"""Several turns, with the model's thoughts.  python conversation.py [HOST:PORT]"""

import sys
from typing import Any

from gemma4_client import Client

messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
with Client(*sys.argv[1:]) as client:
    for question in ("What is 7 + 8?", "What is the capital of Japan?"):
        messages.append({"role": "user", "content": question})
        answer = client.chat(messages, enable_thinking=True, temperature=0.0).result()
        print(f"({answer.reasoning})")
        print(answer.text)
        messages.append(answer.as_message())
