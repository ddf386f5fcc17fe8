"""What a machine must have before anything of ours can run, and the line that installs it.

``make`` runs this package with whatever Python there is, before it installs anything, and
``gemma4`` asks it when a shared library does not load. So it needs only the standard library, and
its syntax is that of Python 3.6: an old Python must get far enough to say that it is too old.
"""

from gemma4_runtime.needs.advice import explain_import, explain_library, report
from gemma4_runtime.needs.extras import install_extra, wrong_python
from gemma4_runtime.needs.machine import Machine, look

__all__ = [
    "Machine",
    "explain_import",
    "explain_library",
    "install_extra",
    "look",
    "report",
    "wrong_python",
]
