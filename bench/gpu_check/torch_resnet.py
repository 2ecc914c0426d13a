#!/usr/bin/env python3
"""torch_resnet.py: ResNet-50 by torch.compile, channels last, fp16, input on the device; rows for gpu-check's table."""
import time

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, k, 1), nn.ReLU(), nn.Conv2d(k, k, 3, stride, 1), nn.ReLU(), nn.Conv2d(k, k * 4, 1))
        self.around = nn.Identity() if c == k * 4 else nn.Conv2d(c, k * 4, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.around(x))


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    c = 64
    for stage, blocks in enumerate([3, 4, 6, 3]):
        k = 64 << stage
        for i in range(blocks):
            layers.append(Block(c, k, 2 if i == 0 and stage else 1))
            c = k * 4
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def main():
    net = resnet50().cuda().half().eval().to(memory_format=torch.channels_last)
    fast = torch.compile(net, mode="max-autotune")
    with torch.inference_mode():
        for batch in (1, 8, 32, 64, 128):
            x = torch.randn(batch, 3, 224, 224, device="cuda", dtype=torch.float16)
            x = x.to(memory_format=torch.channels_last)
            for _ in range(10):
                fast(x)
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(200):
                fast(x)
            torch.cuda.synchronize()
            took = (time.perf_counter() - start) / 200
            print(f"| torch f16  | {batch:5} | {took * 1e3:9.3f} | {batch / took:9.0f} | | | "
                  f"{batch / took * 8.18 / 1e3:7.1f} |", flush=True)


main()
