"""The model calls a function of ours.  python tools.py [HOST:PORT]"""

import json
import sys
from typing import Any

from gemma4_client import Client

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def get_weather(city: str) -> str:
    return json.dumps({"city": city, "temperature": 21, "sky": "clear"})


messages: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Paris?"}]
with Client(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001") as client:
    answer = client.chat(messages, tools=[TOOL], temperature=0.0).result()
    messages.append(answer.as_message())
    for call in answer.tool_calls:
        arguments = json.loads(call["function"]["arguments"])
        print("called with", arguments)
        messages.append(
            {"role": "tool", "tool_call_id": call["id"], "content": get_weather(**arguments)}
        )
    print(client.chat(messages, tools=[TOOL], temperature=0.0).result().text)
