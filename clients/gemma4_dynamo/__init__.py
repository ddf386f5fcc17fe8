"""A worker of NVIDIA Dynamo in front of Triton servers: ``gemma4 dynamo-worker``.

Dynamo's library is imported by ``worker`` and what it uses (``membership``, ``reports``,
``dynamo_errors``) only. The other modules are tested without it.
"""
