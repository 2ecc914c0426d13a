"""A PyTorch module that runs an MXNet graph: the net trained is the very graph that is written."""

from __future__ import annotations

import ast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mxnet_files import Node, parameters, topological


def _pair(node: Node, key: str) -> tuple[int, int]:
    return ast.literal_eval(node.attrs[key])


class GraphNet(nn.Module):
    """Runs the graph that ends in `head`. Weights start as He's, biases at 0."""

    def __init__(self, head: Node) -> None:
        super().__init__()
        self.order = topological(head)
        for node in parameters(head):
            if node.aux or self._fixed(head, node):
                self.register_buffer(node.name, self._start(node))
            else:
                self.register_parameter(node.name, nn.Parameter(self._start(node)))

    @staticmethod
    def _fixed(head: Node, variable: Node) -> bool:
        """gamma and beta of a BatchNorm with fix_gamma (the one on the input) are not learned."""
        return any(
            node.attrs.get("fix_gamma") == "True" and variable in node.inputs
            for node in topological(head)
        )

    @staticmethod
    def _start(node: Node) -> torch.Tensor:
        value = torch.zeros(node.shape)
        if node.name.endswith("_weight"):
            nn.init.kaiming_normal_(value, mode="fan_in")
        elif node.name.endswith(("_gamma", "_var")):
            value.fill_(1.0)
        return value

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        value: dict[int, torch.Tensor] = {}
        for node in self.order:
            if node.op == "null":
                value[id(node)] = getattr(self, node.name) if node.shape else data
            else:
                value[id(node)] = self._run(node, [value[id(child)] for child in node.inputs])
        return value[id(self.order[-1])]

    def _run(self, node: Node, x: list[torch.Tensor]) -> torch.Tensor:
        if node.op == "Convolution":
            return F.conv2d(
                x[0], x[1], x[2] if len(x) > 2 else None, _pair(node, "stride"), _pair(node, "pad")
            )
        if node.op == "BatchNorm":
            data, gamma, beta, mean, var = x
            return F.batch_norm(
                data,
                mean,
                var,
                gamma,
                beta,
                self.training,
                1 - float(node.attrs["momentum"]),
                float(node.attrs["eps"]),
            )
        if node.op == "Activation":
            return F.relu(x[0])
        if node.op == "elemwise_add":
            return x[0] + x[1]
        if node.op == "Pooling":
            if node.attrs["global_pool"] == "True":
                return x[0].mean((2, 3), keepdim=True)
            return F.max_pool2d(
                x[0], _pair(node, "kernel"), _pair(node, "stride"), _pair(node, "pad")
            )
        if node.op == "Flatten":
            return torch.flatten(x[0], 1)
        if node.op == "FullyConnected":
            return F.linear(torch.flatten(x[0], 1), x[1], x[2])
        raise NotImplementedError(f"{node.name}: operator {node.op}")

    def values(self) -> dict[str, np.ndarray]:
        """Every parameter and statistic under its name in the graph."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}
