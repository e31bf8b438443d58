"""Strict YAML: what `yaml.safe_load` accepts in silence is refused here, with the line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from agent.core.errors import InputError, nearest


class _Strict(yaml.SafeLoader):
    """Refuses duplicate keys, NaN, infinity, and unquoted scalars that only look like numbers."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise _fault(
                key_node, f"key '{key}' stands twice (first in line {seen[key]}); keep one"
            )
        seen[key] = line
    return {
        loader.construct_object(k): loader.construct_object(v, deep=True) for k, v in node.value
    }


def _float(loader: _Strict, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_yaml_float(node))
    if not math.isfinite(value):
        raise _fault(node, f"expected a finite number, came {node.value}; give a limit")
    return value


def _string(loader: _Strict, node: yaml.ScalarNode) -> str:
    value = str(loader.construct_yaml_str(node))
    if node.style is None:
        try:
            float(value)
        except ValueError:
            return value
        raise _fault(
            node,
            f"'{value}' would be read as text; write it as a number"
            f" (1.0e+5, not 1e5), or quote it if text is meant",
        )
    return value


def _fault(node: yaml.Node, text: str) -> InputError:
    mark = node.start_mark
    return InputError(f"{mark.name}:{mark.line + 1}: {text}")


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)
_Strict.add_constructor("tag:yaml.org,2002:float", _float)
_Strict.add_constructor("tag:yaml.org,2002:str", _string)


def parse(text: str, name: str) -> Any:
    """Return the value of YAML `text`; `name` is what faults call it.

    Raises InputError, naming the line, for bad syntax, duplicate keys, NaN, infinity and unquoted
    scalars such as `1e5` that YAML reads as text.
    """
    try:
        loader = _Strict(text)
    except yaml.YAMLError as fault:
        reason = " ".join(str(fault).split())
        raise InputError(f"{name}: not valid YAML: {reason}; fix it") from None
    loader.name = name
    try:
        return loader.get_single_data()
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(fault, "problem", None) or " ".join(str(fault).split())
        raise InputError(f"{where}: not valid YAML: {problem}; fix the line") from None
    except (TypeError, ValueError) as fault:
        raise InputError(f"{name}: not valid YAML: {fault}; fix it") from None
    finally:
        loader.dispose()


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises InputError if there is none."""
    if not path.is_file():
        folders = path.parent, path, Path("configs")
        known = next(filter(None, ([str(p) for p in f.glob("*.yaml")] for f in folders)), [])
        raise InputError(
            f"config: expected a file at {path}, found none; {nearest(str(path), known)}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"config: cannot read {path}: {fault}; check the file") from None
    value = parse(text, str(path))
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a mapping of settings, came {type(value).__name__}")
    return value


def override(config: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return `config` with `key.path=value` assignments applied; list items go by index.

    Raises InputError for a malformed assignment or a path through something that has no keys.
    Whether the last key exists is the schema's business.
    """
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise InputError(f"override '{text}': expected key.path=value, such as seed=1")
        config = _put(config, path.split("."), parse(value, f"override '{text}'"), text)
    return config


def _put(node: Any, keys: list[str], value: Any, text: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(node, list):
        if not key.isdigit() or int(key) >= len(node):
            raise InputError(f"override '{text}': '{key}' is not an index below {len(node)}")
        return [_put(v, rest, value, text) if i == int(key) else v for i, v in enumerate(node)]
    if isinstance(node, dict) or node is None:
        known = node or {}
        return {**known, key: _put(known.get(key), rest, value, text)}
    raise InputError(f"override '{text}': '{key}' stands below a plain value, which has no keys")
