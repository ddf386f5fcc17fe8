"""Find a Triton server: the one in ``/opt/tritonserver``, else the one in the pytriton wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from gemma4_serve.errors import ServeError

__all__ = ["TritonInstall", "find_repository", "find_triton"]

SYSTEM = Path("/opt/tritonserver")


@dataclass(frozen=True, slots=True)
class TritonInstall:
    """``binary`` and the environment that it and its Python models need. ``embedded`` is true for
    the wheel's server (2.51): older than security fixes, so it may only bind to loopback."""

    binary: Path
    backends: Path
    env: dict[str, str]
    embedded: bool


def find_triton(run_dir: Path, *, system: Path = SYSTEM) -> TritonInstall:
    """Prefer ``system``. For the wheel, lays out a backend folder in ``run_dir``. Raises
    :class:`ServeError` when there is neither."""
    binary = system / "bin" / "tritonserver"
    if binary.is_file():
        return TritonInstall(binary, system / "backends", _python_env({}), embedded=False)
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise ServeError(
            f"no Triton server: {system} is not there and the wheel is not installed; "
            "`pip install 'gemma4-triton[serve]'`, or run in our image"
        )
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    backends = _lay_out_backends(root, run_dir / "backends")
    libraries = [
        sysconfig.get_config_var("LIBDIR") or "",
        str(package.parent / "nvidia_pytriton.libs"),
    ]
    env = _python_env({"LD_LIBRARY_PATH": ":".join(filter(None, libraries))})
    return TritonInstall(root / "bin" / "tritonserver", backends, env, embedded=True)


def _lay_out_backends(root: Path, target: Path) -> Path:
    """backends/python with the stub of the running Python version, as Triton wants it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = root / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise ServeError(
            f"the Triton wheel has no stub for Python {version}; use one of "
            f"{', '.join(sorted(p.name for p in (root / 'python_backend_stubs').iterdir()))}"
        )
    folder = target / "python"
    shutil.copytree(root / "backends" / "python", folder, dirs_exist_ok=True)
    shutil.copy2(stub, folder / stub.name)
    return target


def _python_env(extra: dict[str, str]) -> dict[str, str]:
    """Let the model processes see this interpreter's packages."""
    paths = [p for p in sys.path if p and Path(p).exists()]
    env = {
        "PYTHONPATH": ":".join(paths),
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "VIRTUAL_ENV": sys.prefix,
        **extra,
    }
    if "LD_LIBRARY_PATH" in extra and os.environ.get("LD_LIBRARY_PATH"):
        env["LD_LIBRARY_PATH"] = f"{extra['LD_LIBRARY_PATH']}:{os.environ['LD_LIBRARY_PATH']}"
    return env


def find_repository() -> Path:
    """The model repository: in the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "model_repository", here.parents[1] / "model_repository"):
        if (folder / "gemma4" / "config.pbtxt").is_file():
            return folder
    raise ServeError("the model repository is missing from this installation; install it again")
