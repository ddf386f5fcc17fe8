"""An answer as a pydantic object, by chat completions and by responses.

python openai_structured.py http://127.0.0.1:8080/v1
"""

import sys
from typing import Literal

from openai import OpenAI
from pydantic import BaseModel


class Review(BaseModel):
    """Enums keep the demo model, which knows no JSON, short; a real model needs no such help."""

    mood: Literal["good", "bad"]
    stars: Literal[1, 2, 3]


client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none")
model = client.models.list().data[0].id
question = "Review of a cafe: nice coffee, friendly people."

chat = client.chat.completions.parse(
    model=model, messages=[{"role": "user", "content": question}], response_format=Review
)
print(repr(chat.choices[0].message.parsed))

response = client.responses.parse(model=model, input=question, text_format=Review)
print(repr(response.output_parsed))
