"""The format transformers: folders of models and tokenizers of Transformers, with safetensors and without code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name
from gitmodel.formats.shipped.torch_files import changed_tensors

_MODEL, _TOKENIZER = "config.json", "tokenizer_config.json"
_SAFE = {"local_files_only": True, "trust_remote_code": False}


def _is_folder(path: Path) -> bool:
    return (path / _TOKENIZER).is_file() or ((path / _MODEL).is_file() and any(path.glob("*.safetensors")))


def _load(path: Path, trusted: bool) -> Any:
    """Return the model in the folder *path*, or the tokenizer if the folder has no model."""
    transformers = library("transformers", install="transformers")
    if not (path / _MODEL).is_file():
        return transformers.AutoTokenizer.from_pretrained(path, **_SAFE)
    if (path / "adapter_config.json").is_file():
        raise ValueError("it has an adapter, which names another model; load it with peft from artifact.path()")
    name = str((json.loads((path / _MODEL).read_bytes()).get("architectures") or [""])[0])
    return _class(transformers, name).from_pretrained(path, use_safetensors=True, **_SAFE)


def _class(transformers: Any, name: str) -> Any:
    kind = getattr(transformers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
        raise ValueError(f"{name!a} is not a model of transformers")
    return kind


def _save(value: Any, path: Path) -> None:
    transformers = library("transformers", install="transformers")
    if isinstance(value, transformers.PreTrainedModel):
        if getattr(transformers, type(value).__name__, None) is not type(value):
            raise UsageError(
                f"{type_name(value)} is not a model of transformers itself",
                hint="call save_pretrained(), link the folder, and load it with your class from artifact.path()",
            )
    elif not isinstance(value, transformers.PreTrainedTokenizerBase):
        raise UsageError(
            f"transformers holds a model or a tokenizer, not this {type_name(value)}",
            hint="save the model and the tokenizer of a pipeline one by one",
        )
    value.save_pretrained(path)


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded):
        return f"it would be {with_article(type_name(loaded))}"
    if not hasattr(saved, "state_dict"):
        return "" if saved.get_vocab() == loaded.get_vocab() else "its vocabulary"
    changed = changed_tensors(saved.state_dict(), loaded.state_dict())
    return f"its tensor {changed[0]}" if changed else ""


TRANSFORMERS = Format("transformers", _load, _save, difference=_difference, is_folder=_is_folder)
