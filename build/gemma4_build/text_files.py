"""The form of tokenizer.json and generation_config.json, and the proof that a server can use them.

A file that is read wrongly at build time would stop the server only when it starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.template_check import MAX_TEMPLATE
from gemma4_runtime.input.text import PromptTokenizer
from gemma4_runtime.strict_json import JsonFileError, parse, read_file
from jinja2 import TemplateSyntaxError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tokenizers import Tokenizer

from gemma4_build.errors import TokenizerError

__all__ = ["AddedToken", "GenerationConfig", "TokenizerFile", "check_template", "check_tokenizer",
           "load"]  # fmt: skip

_Id = Annotated[int, Field(ge=0, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class AddedToken(_Strict):
    """An entry of ``added_tokens``."""

    id: _Id
    content: str
    special: bool = False


class _Bpe(_Strict):
    type: str
    vocab: dict[str, _Id]
    merges: list[str | Annotated[list[str], Field(min_length=2, max_length=2)]]
    byte_fallback: bool = False


class TokenizerFile(_Strict):
    """What is read of tokenizer.json."""

    model: _Bpe
    added_tokens: list[AddedToken] = []


class GenerationConfig(_Strict):
    """What is read of generation_config.json."""

    eos_token_id: _Id | Annotated[list[_Id], Field(min_length=1, max_length=64)]
    pad_token_id: _Id = 0
    temperature: Annotated[float, Field(ge=0, le=100)] = 1.0
    top_k: Annotated[int, Field(ge=0, lt=1 << 31)] = 64
    top_p: Annotated[float, Field(ge=0, le=1)] = 0.95


_Model = TypeVar("_Model", bound=_Strict)


def load(path: Path, form: type[_Model]) -> _Model:
    """Read the file as ``form``. Raises :class:`TokenizerError`, which names the place."""
    try:
        return form.model_validate(parse(read_file(path)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise TokenizerError(
            f"{path}: {place}: {first['msg']}; not as Gemma 4's: download it again"
        ) from None
    except (OSError, JsonFileError) as error:
        raise TokenizerError(f"{path}: cannot be read ({error}); download it again") from None


def check_tokenizer(path: Path) -> None:
    """Raise :class:`TokenizerError` unless the tokenizers library and a server take the file."""
    try:
        Tokenizer.from_file(str(path))
        PromptTokenizer(path)
    except BaseException as error:
        # The library's own errors are bare Exceptions, and a panic of its Rust code is none.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(
            f"{path}: a server cannot read it ({error}); download it again"
        ) from None


def check_template(path: Path) -> str:
    """Return the chat template. Raises :class:`TokenizerError` unless it is Jinja in UTF-8."""
    try:
        text = read_file(path, most=MAX_TEMPLATE).decode("utf-8")
        ChatTemplate(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path}: cannot be read ({error}); download it again") from None
    except TemplateSyntaxError as error:
        raise TokenizerError(
            f"{path}: line {error.lineno}: {error.message}; download it again"
        ) from None
    except RecursionError:
        raise TokenizerError(f"{path}: is nested too deep; download it again") from None
    return text
