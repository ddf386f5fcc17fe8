"""``tensorrt_llm.executor``: the errors that streams end with."""


class RequestError(RuntimeError):
    """One request failed; the engine goes on."""


class EngineDeadError(RuntimeError):
    """The executor is gone (TensorRT-LLM #15816): every pending and later request gets this."""
