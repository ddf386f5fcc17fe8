"""Chat through the gateway with the openai package: whole, streamed, with thoughts.

python openai_chat.py http://127.0.0.1:8080/v1
"""

import sys

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none")
model = client.models.list().data[0].id
question = [{"role": "user", "content": "What is the capital of France?"}]

whole = client.chat.completions.create(model=model, messages=question, temperature=0)
print(whole.choices[0].message.content)

stream = client.chat.completions.create(
    model=model, messages=question, temperature=0, reasoning_effort="low", stream=True
)
for chunk in stream:
    delta = chunk.choices[0].delta
    print(getattr(delta, "reasoning_content", None) or delta.content or "", end="", flush=True)
print()
