"""A tool loop with the openai package: the model calls a function, we run it, it says the result.

python openai_tools.py http://127.0.0.1:8080/v1
"""

import json
import sys

from openai import OpenAI
from weather import TOOLS, get_weather

client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none")
model = client.models.list().data[0].id
messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
while True:
    answer = client.chat.completions.create(
        model=model, messages=messages, tools=TOOLS, temperature=0
    )
    message = answer.choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    if not message.tool_calls:
        break
    for call in message.tool_calls:
        print("call:", call.function.name, call.function.arguments)
        result = get_weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
print(message.content)
