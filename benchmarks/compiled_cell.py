"""Would `torch.compile` help? The element-wise part of one GRU step backward, as written and compiled.

Ratio of the compiled to the written-out form in one process, one thread, interleaved, and the seconds
that compiling takes. It needs a C++ compiler on the user's machine, and compiles again for every shape.
"""

import json
import statistics
import time

import torch
from torch import Tensor

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def written(
    grad: Tensor,
    before: Tensor,
    gates: Tensor,
    inner: Tensor,
    side: Tensor,
    own: Tensor,
    carry: Tensor,
) -> None:
    """As in `dp/clipping/gru.py`."""
    hidden = grad.shape[1]
    reset, update, new = gates.chunk(3, dim=1)
    to_reset, to_update, to_inner = side.chunk(3, dim=1)
    torch.sub(before, new, out=to_update)
    to_update.mul_(grad)
    torch.mul(grad, update, out=carry)
    share = grad - carry
    _tanh_backward(share, new, grad_input=own)
    torch.mul(own, reset, out=to_inner)
    torch.mul(own, inner, out=to_reset)
    both = side[:, : 2 * hidden]
    _sigmoid_backward(both, gates[:, : 2 * hidden], grad_input=both)


def plain(
    grad: Tensor, before: Tensor, gates: Tensor, inner: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same as an expression, for the compiler to fuse."""
    reset, update, new = gates.chunk(3, dim=1)
    own = grad * (1 - update) * (1 - new * new)
    to_update = grad * (before - new) * update * (1 - update)
    to_reset = own * inner * reset * (1 - reset)
    return torch.cat([to_reset, to_update, own * reset], dim=1), own, grad * update


torch.set_num_threads(1)
compiled = torch.compile(plain, dynamic=True)
points = []
for batch, hidden in ((64, 64), (256, 64), (512, 200)):
    one = [torch.rand(batch, hidden) for _ in range(6)]
    gates, side = torch.rand(batch, 3 * hidden), torch.empty(batch, 3 * hidden)
    started = time.perf_counter()
    compiled(one[0], one[1], gates, one[2])
    compiling = time.perf_counter() - started
    times: dict[str, list[float]] = {"written": [], "compiled": []}
    for _ in range(300):
        started = time.perf_counter()
        written(one[0], one[1], gates, one[2], side, one[3], one[4])
        times["written"].append(time.perf_counter() - started)
        started = time.perf_counter()
        compiled(one[0], one[1], gates, one[2])
        times["compiled"].append(time.perf_counter() - started)
    middle = {name: statistics.median(values) for name, values in times.items()}
    points.append(
        {
            "B": batch,
            "H": hidden,
            "written_us": round(middle["written"] * 1e6, 1),
            "compiled_to_written": round(middle["compiled"] / middle["written"], 2),
            "compile_seconds": round(compiling, 1),
        }
    )
print(json.dumps({"points": points}))
