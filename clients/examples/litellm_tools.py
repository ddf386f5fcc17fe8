"""A tool loop with LiteLLM.

python litellm_tools.py http://127.0.0.1:8080/v1
"""

import json
import sys

import litellm
from weather import TOOLS, get_weather

options = {
    "model": "openai/" + (sys.argv[3] if len(sys.argv) > 3 else "gemma-4"),
    "api_base": sys.argv[1],
    "api_key": sys.argv[2] if len(sys.argv) > 2 else "none",
    "temperature": 0,
    "tools": TOOLS,
}
messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
message = litellm.completion(messages=messages, **options).choices[0].message
while message.tool_calls:
    messages.append(message.model_dump())
    for call in message.tool_calls:
        print("call:", call.function.name, call.function.arguments)
        result = get_weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    message = litellm.completion(messages=messages, **options).choices[0].message
for chunk in litellm.completion(messages=messages, stream=True, **options):
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
