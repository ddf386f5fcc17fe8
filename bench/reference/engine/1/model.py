"""No model: one response per token, every BENCH_INTERVAL_S seconds of a stream. The tokens are
those of the prompt, over and over."""

import heapq
import os
import time
from queue import Empty, SimpleQueue
from threading import Thread

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._interval = float(os.environ["BENCH_INTERVAL_S"])
        self._new: SimpleQueue = SimpleQueue()
        Thread(target=self._run, daemon=True).start()

    def execute(self, requests: list) -> None:
        for request in requests:
            ids = pb_utils.get_input_tensor_by_name(request, "input_ids").as_numpy().ravel()
            most = pb_utils.get_input_tensor_by_name(request, "max_tokens").as_numpy().item()
            self._new.put((request.get_response_sender(), ids.tolist(), most))

    def _run(self) -> None:
        due: list = []
        order = 0
        while True:
            wait = due[0][0] - time.monotonic() if due else None
            try:
                while wait is None or wait > 0 or not self._new.empty():
                    sender, ids, most = self._new.get(timeout=wait and max(0.0, wait))
                    order += 1
                    first = time.monotonic() + self._interval
                    heapq.heappush(due, (first, order, sender, ids, 0, most))
                    wait = due[0][0] - time.monotonic()
            except Empty:
                pass
            at, _, sender, ids, sent, most = heapq.heappop(due)
            sent += 1
            tensors = [
                pb_utils.Tensor("token_ids", np.array([[ids[sent % len(ids)]]], np.int32)),
                pb_utils.Tensor("length", np.array([[sent]], np.int32)),
            ]
            last = sent >= most
            sender.send(pb_utils.InferenceResponse(tensors), flags=FINAL if last else 0)
            if not last:
                order += 1
                heapq.heappush(due, (at + self._interval, order, sender, ids, sent, most))
