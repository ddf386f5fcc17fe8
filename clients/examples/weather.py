"""The tool of the examples: the function, and what a model is told of it in OpenAI's form."""


def get_weather(city: str) -> dict:
    return {"condition": "sunny", "temperature": 21}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the current weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Name of the city"}},
                "required": ["city"],
            },
        },
    }
]
