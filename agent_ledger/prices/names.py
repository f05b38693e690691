"""What providers and models are called elsewhere. Every table is data: extend it, don't work around it."""

from __future__ import annotations

# Claude Code marks its one-million-token variant of a model so. It is the same model at the same prices: what differs,
# the long-context band, follows from the tokens of the call.
_CONTEXT_MARK = "[1m]"

# Provider names that genai-prices does not match, or matches wrongly, and its id for them. Dotted names and those with
# _ai are the values of OpenTelemetry's gen_ai.provider.name. genai-prices itself knows all names that contain
# "anthropic", "bedrock", "amazon", "cohere", "google", "gemini", "vertex", "moonshot", "voyage", "copilot", …
_GENAI_IDS = {
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gcp.gen_ai": "google",
    "together.ai": "together",
    "x.ai": "x-ai",
    "x_ai": "x-ai",
    "z-ai": "zai",
    "z.ai": "zai",
    "zhipu": "zhipuai",
}

# Who hosts the model sets its price. genai-prices would read "azure.ai.openai" as OpenAI and "vertex_ai-anthropic" as
# Anthropic, because it looks for the maker's name first.
_HOSTS = (("bedrock", "aws"), ("vertex", "google"), ("azure", "azure"))

# Somebody else's server that speaks OpenAI's or Anthropic's protocol: nobody knows what it costs.
_LOOKALIKES = ("compatible", "-like", "_like", "custom_openai", "custom-openai")

# genai-prices' id of a provider -> what LiteLLM calls it in `litellm_provider` (a name there may go on with "-" and a
# family, as in "vertex_ai-anthropic_models"), which are also the prefixes of its keys.
_LITELLM_NAMES: dict[str, tuple[str, ...]] = {
    "aws": ("bedrock_converse", "bedrock", "bedrock_mantle", "amazon_nova"),
    "azure": ("azure", "azure_ai", "azure_text"),
    "cohere": ("cohere", "cohere_chat"),
    "fireworks": ("fireworks_ai",),
    "github-copilot": ("github_copilot",),
    "google": ("gemini", "vertex_ai"),
    "meta": ("meta", "meta_llama"),
    "mistral": ("mistral", "codestral", "text-completion-codestral"),
    "moonshotai": ("moonshot",),
    "openai": ("openai", "text-completion-openai"),
    "together": ("together_ai",),
    "voyageai": ("voyage",),
    "x-ai": ("xai",),
    "zhipuai": ("zai", "bigmodel"),
}
# These ledger names say which of a provider's two price lists holds.
_LITELLM_EXACT = {
    "gemini": ("gemini",),
    "gcp.gemini": ("gemini",),
    "google-gla": ("gemini",),
    "google_ai_studio": ("gemini",),
}


def lookup_name(model: str) -> tuple[str, str | None]:
    """The name to look `model` up by, and a note for `basis` where it is another than the ledger's."""
    if model.lower().endswith(_CONTEXT_MARK) and len(model) > len(_CONTEXT_MARK):
        return model[: -len(_CONTEXT_MARK)], f"looked up without {_CONTEXT_MARK}"
    return model, None


def genai_id(provider: str) -> str | None:
    """How to ask genai-prices for `provider`; None: don't, it would answer for somebody else."""
    name = provider.strip().lower()
    if any(mark in name for mark in _LOOKALIKES):
        return None
    if name in _GENAI_IDS:
        return _GENAI_IDS[name]
    return next((host for mark, host in _HOSTS if mark in name), name)


def litellm_names(provider: str, genai: str | None) -> tuple[str, ...]:
    """What LiteLLM may call `provider`, whose id in genai-prices is `genai` (None: it doesn't know it)."""
    name = provider.strip().lower()
    if name in _LITELLM_EXACT:
        return _LITELLM_EXACT[name]
    if "vertex" in name:
        return ("vertex_ai",)
    if genai in _LITELLM_NAMES:
        return _LITELLM_NAMES[genai]
    return tuple(dict.fromkeys((name, (genai or name).replace("-", "_"), name.replace("-", "_"))))
