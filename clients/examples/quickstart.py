"""One question, then a streamed answer with its figures.  python quickstart.py [HOST:PORT]"""

import sys

from gemma4_client import Client

with Client(*sys.argv[1:]) as client:
    print(client.chat("What is the capital of France?").result().text)

    stream = client.chat("Count from 1 to 20", temperature=0.0)
    for delta in stream:
        print(delta.text, end="", flush=True)
    answer = stream.answer
    print()
    print(f"{answer.usage.completion_tokens} tokens, first after {answer.timings['ttft']:.3f} s")
