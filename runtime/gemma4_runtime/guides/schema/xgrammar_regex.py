r"""Regular expressions as xgrammar, TensorRT-LLM's compiler of guides, takes them in a schema.

It writes what a pattern matches into the JSON as it is, without escapes: so a pattern must not
match a quote, a backslash or a control character. It ignores anchors, and takes a pattern for the
whole text. Measured with xgrammar 0.1.32 and 0.2.9; where one of them errs, another form is used.
"""

from __future__ import annotations

import re

from gemma4_runtime.errors import Code, invalid

__all__ = ["FREE_TEXT", "xgrammar_regex"]

_UNSAFE = '"\\\\\\x00-\\x1f'
FREE_TEXT = f"[^{_UNSAFE}]"
"""A character that JSON writes as it is."""
_UNSAFE_CHARS = [chr(code) for code in range(0x20)] + ['"', "\\"]
_TOKEN = re.compile(r"\\.|\[\^?(?:\\.|\[\^?(?:\\.|[^\]\\])*\]|[^\]\\])*\]|\{[0-9,]+\}|.", re.DOTALL)
_NOT = {
    "[^0-9]": r"[ !#-/:-@A-Z\[\]\^_`a-z{-~]",
    "[^0-9A-Za-z_]": r"[ !#-/:-@\[\]\^`{-~]",
}
_PRINTABLE = r"[!#-\[\]-~]"
_SPACES = "[\\t\\n\\v\\f\\r "
_ANY = "[^\\n\\r\u2028\u2029]"


def xgrammar_regex(field: str, pattern: str) -> str:
    """Return xgrammar's form of what :func:`~gemma4_runtime.guides.schema.ecma_regex.rust_regex`
    gives. Raises INVALID_ARGUMENT."""
    tokens = _TOKEN.findall(pattern)
    out: list[str] = []
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else ""
        if (token == "^" and at == 0) or (token == "$" and at == len(tokens) - 1):
            continue
        if token in ("^", "$"):
            raise _refusal(field, pattern, "an anchor within; use ^ at the start and $ at the end")
        if token == "|" and not _inside(tokens[:at]):
            raise _refusal(field, pattern, "alternatives without a group; write ^(?:a|b)$")
        if token == "?" and (before in ("*", "+", "?") or before.startswith("{")):
            continue  # lazy: the same language
        if token.startswith("["):
            out.append(_class(field, pattern, token))
        else:
            out.append("{0,1}" if token == "?" and before == ")" else token)
        if _unsafe_literal(token):
            raise _refusal(field, pattern, "a quote, backslash or control character")
    return "^" + "".join(out) + "$"


def _class(field: str, pattern: str, token: str) -> str:
    if token == _ANY:
        return FREE_TEXT
    if token in _NOT:
        return _NOT[token]
    if token.startswith("[^\\t\\n\\v\\f\\r \u00a0"):
        return _PRINTABLE
    if token.startswith(_SPACES):
        return " "
    inside = token[2:-1] if token.startswith("[^") else token[1:-1]
    if re.search(r"(?<!\\)\[", inside):
        raise _refusal(field, pattern, "a negated class within a class")
    if token.startswith("[^"):
        if not inside.isascii():
            raise _refusal(field, pattern, "a negated class with characters beyond ASCII")
        return f"[^{inside}{_UNSAFE}]"
    if any(re.match(token, char) for char in _UNSAFE_CHARS):
        raise _refusal(field, pattern, "a class with a quote, a backslash or a control character")
    return token


def _inside(tokens: list[str]) -> bool:
    return tokens.count("(") > tokens.count(")")


def _unsafe_literal(token: str) -> bool:
    if token.startswith(("[", "{")):
        return False
    return token in _UNSAFE_CHARS or token in ("\\\\", '\\"', "\\t", "\\n", "\\v", "\\f", "\\r")


def _refusal(field: str, pattern: str, what: str) -> Exception:
    shown = pattern if len(pattern) <= 60 else pattern[:60] + "..."
    return invalid(
        Code.GUIDE_UNSUPPORTED,
        field,
        f"the pattern {shown!r} cannot be enforced by TensorRT-LLM's compiler of guides: it has "
        f"{what}; or leave it out, and check the answer yourself",
    )
