"""Answers that are instances of a pydantic model.  python structured.py [HOST:PORT]"""

import sys
from typing import Literal

from gemma4_client import Client, ResponseFormatError
from pydantic import BaseModel


class Place(BaseModel):
    kind: Literal["city", "country", "river"]
    in_europe: bool


with Client(*sys.argv[1:]) as client:
    answer = client.chat("What is Paris?", response_model=Place, temperature=0.0).result()
    place: Place = answer.parsed
    print(place.kind, place.in_europe)

    print(client.chat("Is Paris in France?", regex="yes|no").result().text)

    try:
        client.chat("What is Paris?", response_model=Place, max_tokens=2).result()
    except ResponseFormatError as error:
        print("cut off:", error.answer.text)
