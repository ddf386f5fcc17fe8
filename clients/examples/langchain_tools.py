"""A tool loop with LangChain's ChatOpenAI.

python langchain_tools.py http://127.0.0.1:8080/v1
"""

import sys

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def get_weather(city: str) -> str:
    """Get the current weather of a city"""
    return '{"condition": "sunny", "temperature": 21}'


model = ChatOpenAI(
    base_url=sys.argv[1],
    api_key=sys.argv[2] if len(sys.argv) > 2 else "none",
    model=sys.argv[3] if len(sys.argv) > 3 else "gemma-4",
    temperature=0,
).bind_tools([get_weather])
messages = [HumanMessage("What is the weather in Oslo?")]
answer = model.invoke(messages)
while answer.tool_calls:
    print("call:", answer.tool_calls[0]["name"], answer.tool_calls[0]["args"])
    messages += [answer, *(get_weather.invoke(call) for call in answer.tool_calls)]
    answer = model.invoke(messages)
for chunk in model.stream(messages):
    print(chunk.content, end="", flush=True)
print()
