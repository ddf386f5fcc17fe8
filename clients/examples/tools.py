"""The model calls a function of ours.  python tools.py [HOST:PORT]"""

import json
import sys
from typing import Any

from gemma4_client import Client
from weather import TOOLS, get_weather

messages: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Paris?"}]
with Client(*sys.argv[1:]) as client:
    answer = client.chat(messages, tools=TOOLS, temperature=0.0).result()
    messages.append(answer.as_message())
    for call in answer.tool_calls:
        arguments = json.loads(call["function"]["arguments"])
        print("called with", arguments)
        result = json.dumps(get_weather(**arguments))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    print(client.chat(messages, tools=TOOLS, temperature=0.0).result().text)
