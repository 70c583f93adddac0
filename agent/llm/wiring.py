"""Puts a workspace's language model together. Called by the composition root and by commands that ask one."""

from __future__ import annotations

from agent.llm.client import EndpointModel
from agent.llm.contract import LanguageModel
from agent.llm.journal import Parts
from registry.documents import load_models
from registry.model_config import ModelConfig
from registry.workspace import Workspace


def model_config(workspace: Workspace) -> ModelConfig | None:
    """`models.yaml`; None without it, or where it wants the offline researcher. Raises BadInput."""
    if not workspace.models.exists():
        return None
    config = load_models(workspace.models)
    return config if config.researcher == "llm" else None


def language_model(parts: Parts, config: ModelConfig) -> LanguageModel:
    """The model behind every role. BadInput where a key, a login or a `ca_file` is not where the file says."""
    return EndpointModel(parts, config)
