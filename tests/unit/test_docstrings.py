"""A public function says which of our errors it raises. That it has a docstring at all is checked by ruff (D1)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from coa import errors
from tests.unit.source_code import modules, tree_of, where

OURS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}
ENDS_OF_TASKS = {"TaskDeferred", "AirflowSkipException", "AirflowFailException"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[tuple[Function, str]]:
    """Each public function and method, with all that its docstring and that of its class say."""
    for one in node.body:
        if isinstance(one, ast.ClassDef) and not one.name.startswith("_"):
            said = ast.get_docstring(one) or ""
            yield from ((method, f"{said}\n{told}") for method, told in public_functions(one))
        elif isinstance(one, Function) and not one.name.startswith("_"):
            yield one, ast.get_docstring(one) or ""


def is_caught(node: ast.AST, child: ast.AST) -> bool:
    """Whether whatever error of ours the statement raises is caught by its `try`."""
    return (
        isinstance(node, ast.Try)
        and child in node.body
        and any("CoaError" in ast.unparse(h.type) for h in node.handlers if h.type is not None)
    )


def raised_in(node: ast.AST) -> Iterator[str]:
    """Names of the exceptions that stand behind `raise` and leave the function; functions inside it are others."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, Function | ast.ClassDef | ast.Lambda) or is_caught(node, one):
            continue
        if isinstance(one, ast.Raise) and one.exc is not None:
            yield ast.unparse(one.exc.func if isinstance(one.exc, ast.Call) else one.exc).split(".")[-1]
        yield from raised_in(one)


def unsaid(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(function, error) of each that is raised and not named."""
    for function, said in public_functions(tree):
        for name in sorted(set(raised_in(function)) & (OURS | ENDS_OF_TASKS)):
            if f"`{name}`" not in said:
                yield function.name, name


def test_a_public_function_names_the_errors_that_it_raises() -> None:
    assert [(where(path), *one) for path in modules() for one in unsaid(tree_of(path))] == []


def test_an_error_that_is_not_named_is_found() -> None:
    tree = ast.parse(
        'def f():\n    """Raises `WrongOrg`."""\n    if f:\n        raise WrongOrg("a")\n    raise OrgRefused("b")\n'
        "def caught():\n    try:\n        raise WrongOrg('a')\n    except CoaError:\n        pass\n"
        "def _g():\n    raise OrgRefused('c')\n"
    )

    assert list(unsaid(tree)) == [("f", "OrgRefused")]
