"""``python -m gemma4_runtime.needs``: exit status 0, or 1 and what lacks on standard error."""

import sys

from gemma4_runtime.needs import look, report

if __name__ == "__main__":
    text = report(look())
    if text:
        print(text, file=sys.stderr)
        sys.exit(1)
