"""A checkpoint is data: nothing that it brings is run.

Weights are read from safetensors files, which hold numbers only. A pickle is a program: who reads
one runs it. A ``auto_map`` in a JSON file names Python files of the checkpoint, which transformers
runs where ``trust_remote_code`` is true; it never is here, and Gemma 4 has none.
"""

from __future__ import annotations

from pathlib import Path

from gemma4_runtime.strict_json import JsonFileError, read_object

from gemma4_build.errors import BadCheckpointError, UnsupportedModelError

__all__ = ["PICKLES", "PICKLE_SUFFIXES", "check_data_only", "is_pickle", "pickled"]

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
"""Of files that PyTorch and others read by unpickling."""
PICKLES = (
    "pickled weights can run code when they are read, so only safetensors files are: download "
    "those of the same model, or make them where you trust the file (safetensors.torch.save_file)"
)
_CODE_KEY = "auto_map"
_JSON_FILES = ("config.json", "tokenizer_config.json")


def is_pickle(name: str) -> bool:
    """Return whether a file of this name is read by unpickling."""
    return name.lower().endswith(PICKLE_SUFFIXES)


def pickled(folder: Path) -> str:
    """Return why the weights of ``folder`` are not read, when they are pickles; else nothing."""
    found = sorted(path.name for path in folder.iterdir() if is_pickle(path.name))
    return f"there is {found[0]}; {PICKLES}" if found else ""


def check_data_only(folder: Path) -> None:
    """Raise :class:`UnsupportedModelError` where a JSON file names code, and
    :class:`BadCheckpointError` where one cannot be read."""
    for name in _JSON_FILES:
        path = folder / name
        try:
            value = read_object(path).get(_CODE_KEY)
        except (OSError, JsonFileError) as error:
            raise BadCheckpointError(
                f"{path}: cannot be read ({error}); download it again"
            ) from None
        if value is not None:
            raise UnsupportedModelError(
                f"{path}: {_CODE_KEY} names code of the checkpoint ({value!r}), which is never "
                "run; this project builds google/gemma-4-26B-A4B and its fine-tunes, which have "
                "none: download that, or take the key out"
            )
