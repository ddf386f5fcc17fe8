"""Find a Triton server: the one in ``/opt/tritonserver``, else the one in the pytriton wheel."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.needs import install_extra, wrong_python

from gemma4_serve.errors import ServeError
from gemma4_serve.links import Links
from gemma4_serve.loader_check import check_loads
from gemma4_serve.model_python import make_model_python

__all__ = ["TritonInstall", "find_overlay", "find_repository", "find_triton"]

SYSTEM = Path("/opt/tritonserver")
_STUB = "triton_python_backend_stub"


@dataclass(frozen=True, slots=True)
class TritonInstall:
    """``binary`` and the environment that it and its Python models need. ``embedded`` is true for
    the wheel's server (2.51): older than security fixes, so it may only bind to loopback."""

    binary: Path
    backends: Path
    env: dict[str, str]
    embedded: bool
    links: Links

    def path(self, folder: Path) -> str:
        """Return a path of ``folder`` that Triton and its model processes can take."""
        return str(self.links.plain(folder))


def find_triton(run_dir: Path, *, system: Path = SYSTEM) -> TritonInstall:
    """Prefer ``system``. For the wheel, lays out a backend folder in ``run_dir``, or elsewhere
    where Triton could not take that path. Raises :class:`ServeError` when there is neither, and
    when Triton or the process of its Python models cannot be loaded here."""
    install = _find(run_dir, system)
    check_loads(install.binary, "--help", env=install.env)
    check_loads(install.backends / "python" / _STUB, env=install.env)
    return install


def _find(run_dir: Path, system: Path) -> TritonInstall:
    binary, links = system / "bin" / "tritonserver", Links(run_dir)
    if binary.is_file():
        paths = [path for path in sys.path if path and Path(path).exists()]
        env = {
            "PYTHONPATH": ":".join(paths),
            "PATH": _path(Path(sys.executable).parent),
            "VIRTUAL_ENV": sys.prefix,
        }
        return TritonInstall(binary, system / "backends", env, embedded=False, links=links)
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise ServeError(
            f"no Triton server: {system} is not there and the wheel is not installed; "
            f"{wrong_python('serve') or install_extra('serve')}, or run in our image"
        )
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    backends = _lay_out_backends(root, links.folder / "backends")
    libraries = [
        sysconfig.get_config_var("LIBDIR") or "",
        str(package.parent / "nvidia_pytriton.libs"),
    ]
    search = [str(links.plain(path)) for path in libraries if path]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    env = {
        "LD_LIBRARY_PATH": ":".join([*search, inherited] if inherited else search),
        "PATH": _path(make_model_python(links), Path(sys.executable).parent),
    }
    return TritonInstall(root / "bin" / "tritonserver", backends, env, embedded=True, links=links)


def _path(*folders: Path) -> str:
    return ":".join([*map(str, folders), os.environ.get("PATH", "")])


def _lay_out_backends(root: Path, target: Path) -> Path:
    """Make backends/python with the stub of the running Python version, as Triton wants it. Links,
    not copies: a temporary folder may forbid to run programs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = root / "python_backend_stubs" / version / _STUB
    if not stub.is_file():
        raise ServeError(
            f"the Triton wheel has no stub for Python {version}; use one of "
            f"{', '.join(sorted(p.name for p in (root / 'python_backend_stubs').iterdir()))}"
        )
    folder = target / "python"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (stub, *(p for p in (root / "backends" / "python").iterdir() if p.is_file())):
        link = folder / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    return target


def find_repository() -> Path:
    """Return the model repository: in the installed package, or beside it in a checkout."""
    return _repository("model_repository", "gemma4")


def find_overlay() -> Path:
    """Return the model repository with NVIDIA's models, which is served beside ours."""
    return _repository("nvidia_repository", "ensemble")


def _repository(name: str, model: str) -> Path:
    here = Path(__file__).resolve().parent
    for folder in (here / name, here.parents[1] / name):
        if (folder / model / "config.pbtxt").is_file():
            return folder
    raise ServeError(f"{name} is missing from this installation; install it again")
