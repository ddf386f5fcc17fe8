"""A chat template is a program: one that does not end must fail a start, not hang it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.template_check import TemplateError, check_template

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BAD = {
    "loops": (LOOP, "took more than 1 s of work"),
    "doubles": ("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}", "took more than 1 s of work"),
    "recurses": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
    "fills memory": ("{{ 'a' * 3000000000 }}", "memory"),
    "computes": ("{{ 10 ** (10 ** 9) }}", "took more than 1 s of work"),
    "is no template": ("{% for %}", "TemplateSyntaxError"),
    "raises": ("{{ raise_exception('no') }}", "no"),
    "reaches out": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_template_is_named(tmp_path: Path, name: str) -> None:
    text, says = BAD[name]
    path = tmp_path / "chat_template.jinja"
    path.write_text(text)
    with pytest.raises(TemplateError) as caught:
        check_template(path, cpu_s=1)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "build again" in str(caught.value)


def test_the_demos_template_passes(checkpoint: Path) -> None:
    check_template(checkpoint / "chat_template.jinja")


def test_a_template_without_system_messages_passes(tmp_path: Path) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}{{ m.content }}{% endfor %}"
    )
    check_template(path)


@pytest.mark.parametrize("text", ["{{ 'a' * 3000000000 }}", "{{ 10 ** (10 ** 9) }}", "{% if 10 ** 10 ** 9 %}{% endif %}"])  # fmt: skip
def test_nothing_is_computed_while_compiling(tmp_path: Path, text: str) -> None:
    """The preparation process compiles without limits, after the check."""
    path = tmp_path / "chat_template.jinja"
    path.write_text(text)
    began = time.thread_time()
    ChatTemplate(path)
    assert time.thread_time() - began < 1
