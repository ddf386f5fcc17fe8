"""Many questions at once, blocking and with asyncio.  python many.py [HOST:PORT]"""

import asyncio
import sys

from gemma4_client import Answer, AsyncClient, Client

QUESTIONS = [f"What is {a} + {b}?" for a in (3, 7) for b in (2, 5, 8)]

with Client(*sys.argv[1:]) as client:
    answers = client.map(QUESTIONS, concurrency=4, errors="return", temperature=0.0)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(question, answer.text if isinstance(answer, Answer) else f"failed: {answer}")


async def main() -> None:
    async with AsyncClient(*sys.argv[1:]) as client:
        async with client.chat("Count from 1 to 20", temperature=0.0) as stream:
            async for delta in stream:
                print(delta.text, end="", flush=True)
        print()


asyncio.run(main())
