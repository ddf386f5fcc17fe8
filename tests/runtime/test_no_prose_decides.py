"""No code decides by the text of an error's message: it would break when somebody words the message
better, and a request could forge it. Codes decide (docs/errors.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "bench",
    "build",
    "cli",
    "clients",
    "load_tests",
    "model_repository",
    "nvidia_repository",
    "runtime",
    "serve",
    "testing",
    "tests",
)
ALLOWED = {
    "cli/gemma4_cli/guard.py": "Python says only in words that it cannot start a thread",
    "clients/gemma4_client/foreign_words.py": "Triton and gRPC say only in words what is wrong",
    "tests/compose/__main__.py": "the kernel and a log say only in words what happened",
    "tests/compose/faults.py": "dd says only in words that a disk is full",
    "tests/dynamo/check_start.py": "Dynamo's logs have words and no codes",
    "tests/compose/gpu.py": "what a build prints for a person",
    "tests/gpu_image/__main__.py": "what a build prints for a person",
    "testing/gemma4_testing/file_damage.py": "the texts are those of files, not of errors",
}
"""Files that read the words of other software, which has no codes, or no errors."""
METHODS = {"startswith", "endswith", "find", "index", "count"}
PATTERNS = {"search", "match", "fullmatch", "findall", "finditer"}
ERROR_TYPE = re.compile(r"(^|\.)\w*(Error|Exception)( \||$)")
PHRASE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


def names_of_errors(tree: ast.AST) -> set[str]:
    """Names that hold an error somewhere in the file: of handlers, of arguments so annotated,
    ``caught.value`` of pytest, and ``self`` in a class of errors."""
    found = {"caught.value", "refused.value"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if ERROR_TYPE.search(ast.unparse(node.annotation)):
                found.add(node.arg)
        elif isinstance(node, ast.ClassDef) and any(
            ERROR_TYPE.search(ast.unparse(base)) for base in node.bases
        ):
            found.add("self")
    return found


class File:
    """Where one file decides by the text of an error."""

    def __init__(self, source: str) -> None:
        self._tree = ast.parse(source)
        self._errors = names_of_errors(self._tree)
        self._phrases = set()
        self._texts: set[str] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if self._is_phrase(node.value) and name.isupper():
                    self._phrases.add(name)
                if self._is_text(node.value):
                    self._texts.add(name)

    def _is_phrase(self, node: ast.AST) -> bool:
        """Words of a sentence, or the name of a constant that holds some."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return PHRASE.search(node.value) is not None
        return isinstance(node, ast.Name) and node.id in self._phrases

    def _is_text(self, node: ast.AST) -> bool:
        """``str(error)``, ``error.message``, ``error.args[0]``, ``error.details()``, what ``lower``
        makes of them, and names that hold them."""
        if isinstance(node, ast.Name):
            return node.id in self._texts
        if isinstance(node, ast.Subscript):
            return ast.unparse(node.value) in {f"{name}.args" for name in self._errors}
        if isinstance(node, ast.Attribute):
            if node.attr == "error_message":
                return True
            return node.attr == "message" and ast.unparse(node.value) in self._errors
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        if isinstance(function, ast.Name) and function.id in ("str", "repr") and node.args:
            return ast.unparse(node.args[0]) in self._errors
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr == "details":
            return True
        return function.attr in ("lower", "casefold", "strip") and self._is_text(function.value)

    def decisions(self) -> Iterator[ast.expr]:
        """Comparisons and searches in the text of an error, and of any text with words of a
        sentence. An assertion only looks at it."""
        looked_at = {
            id(inner)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Assert)
            for inner in ast.walk(node)
        }
        for node in ast.walk(self._tree):
            if id(node) not in looked_at and self._decides(node):
                assert isinstance(node, ast.expr)
                yield node

    def _decides(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Compare):
            sides: list[ast.expr] = [node.left, *node.comparators]
            inside = isinstance(node.ops[0], ast.In | ast.NotIn) and self._is_phrase(node.left)
            return inside or any(map(self._is_text, sides))
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        looked_in = [node.func.value] if node.func.attr in METHODS else []
        looked_in += node.args if node.func.attr in PATTERNS else []
        return any(map(self._is_text, looked_in))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_prose_decides(folder: Path) -> None:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name not in ALLOWED:
            for node in File(path.read_text(encoding="utf-8")).decisions():
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert not found, "decide by error.code instead:\n" + "\n".join(found)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_still_needed(name: str) -> None:
    assert list(File((ROOT / name).read_text(encoding="utf-8")).decisions()), "take it off the list"


@pytest.mark.parametrize(
    "line",
    [
        "if 'full' in str(error): pass",
        "lost = 'onnect' in str(error).lower()",
        "text = str(error); lost = 'onnect' in text",
        "x = 1 if error.message == 'gone' else 2",
        "if error.args[0].startswith('x'): pass",
        "if error.details() == 'x': pass",
        "if error.details().startswith('x'): pass",
        "if re.search('x', str(error)): pass",
        "if PATTERN.match(error.message): pass",
        "if reply.error_message.startswith('UNAVAILABLE'): pass",
        "code = 'a' if 'the engine takes prompts of' in text else None",
        "FULL = 'which is all this server takes'; x = FULL in y",
    ],
)
def test_a_decision_by_prose_is_found(line: str) -> None:
    assert len(list(File(f"try: pass\nexcept E as error:\n    {line}\n").decisions())) == 1


def test_an_error_that_reads_itself_is_found() -> None:
    source = "class AError(Exception):\n    def full(self): return 'x' in str(self)\n"
    assert len(list(File(source).decisions())) == 1


@pytest.mark.parametrize(
    "line",
    [
        "if error.code == 'x': pass",
        "assert 'full up' in str(error)",
        "raise SystemExit(str(error))",
        "if 'x' in text: pass",
    ],
)
def test_other_uses_are_not(line: str) -> None:
    assert not list(File(f"try: pass\nexcept E as error:\n    {line}\n").decisions())
