"""Models whose gradients can be clipped per sample, and alternatives to layers that cannot."""

from __future__ import annotations

from torch import nn

from dp.clipping.layers import FORWARDS

_INSTEAD: dict[type[nn.Module], str] = {
    nn.modules.batchnorm._BatchNorm: "it mixes the samples of a batch; use nn.LayerNorm",
    nn.MultiheadAttention: "its per-sample gradients are not built; use a recurrent layer",
    nn.RNN: "its per-sample gradients are not built; use nn.GRU or nn.LSTM",
    nn.GRUCell: "its per-sample gradients are not built; use nn.GRU",
    nn.LSTMCell: "its per-sample gradients are not built; use nn.LSTM",
    nn.modules.conv._ConvNd: "its per-sample gradients are not built; use a recurrent layer",
    nn.Embedding: "its per-sample gradients are not built; use nn.Linear on one-hot columns",
}


class UnsupportedLayer(ValueError):  # noqa: N818  (says what is wrong, not that something is)
    """A model holds a layer whose per-sample gradients are not known or do not exist."""


def check_layers(model: nn.Module) -> None:
    """Refuse a model whose gradient cannot be clipped sample by sample.

    Every trainable parameter must belong to one layer whose exact type is known (a subclass may
    compute something else), no layer may mix the samples of a batch, and no parameter may be shared.

    Raises:
        UnsupportedLayer: a layer cannot be clipped; the message names it, the reason and a replacement.
    """
    owners: dict[int, str] = {}
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        reason = next((why for kind, why in _INSTEAD.items() if isinstance(module, kind)), None)
        if reason is None and own and type(module) not in FORWARDS:
            known = ", ".join(f"nn.{kind.__name__}" for kind in FORWARDS)
            reason = f"its per-sample gradients are not known; use {known}"
        if reason is None and isinstance(module, nn.LSTM) and module.proj_size:
            reason = f"proj_size={module.proj_size} is not built; use proj_size=0"
        if (
            reason is None
            and isinstance(module, nn.LayerNorm)
            and own
            and len(own) != len(list(module.parameters(recurse=False)))
        ):
            reason = "one of its parameters is frozen; freeze all or none"
        if reason is not None:
            raise UnsupportedLayer(
                f"layer {name or 'model'!r} ({type(module).__name__}) cannot be trained privately: "
                f"{reason}"
            )
        for parameter in own:
            first = owners.setdefault(id(parameter), name)
            if first != name:
                raise UnsupportedLayer(
                    f"layers {first!r} and {name!r} share a parameter: its per-sample gradients "
                    "would be added up after their norms; give each layer its own"
                )
