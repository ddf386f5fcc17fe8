#!/bin/sh
# The last step of the GPU image, with the environment that the server gets. A build ends here when
# a library lacks, when the stub is for another Python, or when an import fails. The driver's
# libraries come from the machine.
set -eu
triton=/opt/tritonserver
stub=$triton/backends/python/triton_python_backend_stub

if ldd "$triton/bin/tritonserver" "$triton/lib/libtritonserver.so" "$stub" \
    | grep 'not found' | grep -v -E 'libcuda\.so|libnvidia-ml\.so'; then
  echo "check.sh: Triton lacks these libraries" >&2
  exit 1
fi
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! ldd "$stub" | grep -q "libpython$python"; then
  echo "check.sh: Triton's Python backend is not made for Python $python" >&2
  exit 1
fi
python3 - <<'PYTHON'
import importlib
import importlib.metadata as metadata
import os
import sys

assert sys.prefix == "/opt/gemma4", sys.prefix
# A build machine need not have a GPU; then tensorrt_llm may end on the driver, and on nothing else.
driver = os.path.exists("/dev/nvidiactl")
lacks_driver = ("libcuda.so", "NVIDIA driver", "CUDA driver", "CUDA-capable device", "CUDA GPUs")
for name in ("torch", "tensorrt_llm", "tritonclient.grpc", "transformers", "llguidance",
             "gemma4_serve.doctor.trial.run", "gemma4_build.pipeline"):
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        if name != "tensorrt_llm" or driver or not any(x in str(error) for x in lacks_driver):
            raise
        print(f"{name}: not imported to its end, there is no GPU driver: {error}")
        continue
    print(f"{name}: {module.__file__}")
for name in ("tensorrt_llm", "torch", "transformers", "llguidance", "protobuf", "numpy", "setuptools"):
    print(name, metadata.version(name))
PYTHON
"$GEMMA4_QUANTIZE_PYTHON" -c 'import gemma4_build.trtllm.ptq_child, modelopt, transformers
import importlib.metadata as m
print("quantize:", *(f"{n} {m.version(n)}" for n in ("nvidia-modelopt", "setuptools", "transformers")))'
