#!/usr/bin/env python3
"""The whole zoo against Apache MXNet: random weights, the same photo, the same logits?

    python3 tools/zoo_sweep.py --nexus build/bin/nexus [--only resnet] [--weights harsh] [--table zoo.md]

Needs mxnet 1.9.1 and numpy < 1.24 (Python 3.10 or older). Every network is built at full size with random weights, batch
norms get the statistics of random photos (so that nothing fades or explodes on the way and the logits tell something),
is exported as MXNet exports it, and runs on two photos in MXNet and in `nexus model run`. What is printed of each: parameters,
the spread of MXNet's logits, how far the two photos' logits are from each other, the largest difference between the two
programs, and that (as the photos' distance) divided by the largest logit. Exit status 1 if one is over 1e-4, if its first five
classes are others, or if the two photos are less than 100 times that apart: such a net would agree whatever is wrong.

--weights conditioned, the default: the last gamma of each residual branch is small (0.1 to 0.4), as training leaves it and as
initialisation with zero gammas starts it; a block then passes on what came in and adds a little.
--weights harsh: all gammas are around 1. Each residual block then amplifies what was rounded before it, and two programs that
compute in f32 cannot agree in the deepest nets: --double says how far each of them is from the truth.

--wrong tells whether the comparison can fail: our program gets a net that is wrong on purpose, MXNet the right one.
"""
import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MXNET_STORAGE_FALLBACK_LOG_VERBOSE", "0")
os.environ.setdefault("MXNET_CUDNN_AUTOTUNE_DEFAULT", "0")
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from mxnet.gluon import nn  # noqa: E402
from mxnet.gluon.model_zoo import vision  # noqa: E402

LIMIT = 1e-4
APART = 100 * LIMIT  # the least that the two photos' logits differ by
CLASSES = 1000
ZOO = ["alexnet"]
ZOO += ["vgg%d%s" % (depth, bn) for depth in (11, 13, 16, 19) for bn in ("", "_bn")]
ZOO += ["resnet%d_v%d" % (depth, version) for version in (1, 2) for depth in (18, 34, 50, 101, 152)]
ZOO += ["squeezenet1_0", "squeezenet1_1", "densenet121", "densenet161", "densenet169", "densenet201"]
ZOO += ["mobilenet1_0", "mobilenet0_75", "mobilenet0_5", "mobilenet0_25"]
ZOO += ["mobilenet_v2_1_0", "mobilenet_v2_0_75", "mobilenet_v2_0_5", "mobilenet_v2_0_25", "inception_v3"]


# -- networks that Gluon's zoo does not have, by their papers --


class HardSwish(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return x * F.clip(x + 3, 0, 6) / 6


class Squeeze(nn.HybridBlock):
    """Squeeze and excitation: a weight for each channel from the channel's mean."""

    def __init__(self, channels, reduced, hard):
        super().__init__()
        self.hard = hard
        with self.name_scope():
            self.down = nn.Conv2D(reduced, 1)
            self.up = nn.Conv2D(channels, 1)

    def hybrid_forward(self, F, x):
        w = F.contrib.AdaptiveAvgPooling2D(x, output_size=1)
        w = self.up(F.relu(self.down(w)))
        w = F.clip(w + 3, 0, 6) / 6 if self.hard else F.sigmoid(w)
        return F.broadcast_mul(x, w)


def conv_bn(out, channels, kernel, stride=1, groups=1, act="relu"):
    out.add(nn.Conv2D(channels, kernel, stride, kernel // 2, groups=groups, use_bias=False), nn.BatchNorm())
    if act == "hswish":
        out.add(HardSwish())
    elif act:
        out.add(nn.Activation(act))


class InvertedResidual(nn.HybridBlock):
    def __init__(self, inside, wide, outside, kernel, stride, squeeze, act):
        super().__init__()
        self.short = stride == 1 and inside == outside
        with self.name_scope():
            self.body = nn.HybridSequential()
            if wide != inside:
                conv_bn(self.body, wide, 1, act=act)
            conv_bn(self.body, wide, kernel, stride, wide, act)
            if squeeze:
                self.body.add(Squeeze(wide, wide // 4, True))
            conv_bn(self.body, outside, 1, act=None)

    def hybrid_forward(self, F, x):
        return self.body(x) + x if self.short else self.body(x)


def mobilenet_v3(rows, last, classes):
    net = nn.HybridSequential()
    with net.name_scope():
        conv_bn(net, 16, 3, 2, act="hswish")
        inside = 16
        for kernel, wide, outside, squeeze, act, stride in rows:
            net.add(InvertedResidual(inside, wide, outside, kernel, stride, squeeze, act))
            inside = outside
        conv_bn(net, rows[-1][1], 1, act="hswish")
        net.add(nn.GlobalAvgPool2D(), nn.Conv2D(last, 1), HardSwish(), nn.Dropout(0.2), nn.Conv2D(classes, 1), nn.Flatten())
    return net


def mobilenet_v3_large(classes):
    r, h = "relu", "hswish"
    return mobilenet_v3([(3, 16, 16, 0, r, 1), (3, 64, 24, 0, r, 2), (3, 72, 24, 0, r, 1), (5, 72, 40, 1, r, 2), (5, 120, 40, 1, r, 1),
                         (5, 120, 40, 1, r, 1), (3, 240, 80, 0, h, 2), (3, 200, 80, 0, h, 1), (3, 184, 80, 0, h, 1), (3, 184, 80, 0, h, 1),
                         (3, 480, 112, 1, h, 1), (3, 672, 112, 1, h, 1), (5, 672, 160, 1, h, 2), (5, 960, 160, 1, h, 1), (5, 960, 160, 1, h, 1)],
                        1280, classes)


def mobilenet_v3_small(classes):
    r, h = "relu", "hswish"
    return mobilenet_v3([(3, 16, 16, 1, r, 2), (3, 72, 24, 0, r, 2), (3, 88, 24, 0, r, 1), (5, 96, 40, 1, h, 2), (5, 240, 40, 1, h, 1),
                         (5, 240, 40, 1, h, 1), (5, 120, 48, 1, h, 1), (5, 144, 48, 1, h, 1), (5, 288, 96, 1, h, 2), (5, 576, 96, 1, h, 1),
                         (5, 576, 96, 1, h, 1)], 1024, classes)


class Bottleneck(nn.HybridBlock):
    """ResNet's, with groups for ResNeXt and squeeze and excitation for SE nets."""

    def __init__(self, inside, middle, outside, stride, groups, squeeze):
        super().__init__()
        with self.name_scope():
            self.body = nn.HybridSequential()
            conv_bn(self.body, middle, 1)
            conv_bn(self.body, middle, 3, stride, groups)
            conv_bn(self.body, outside, 1, act=None)
            self.squeeze = Squeeze(outside, outside // 16, False) if squeeze else None
            self.short = None
            if stride != 1 or inside != outside:
                self.short = nn.HybridSequential()
                conv_bn(self.short, outside, 1, stride, act=None)

    def hybrid_forward(self, F, x):
        y = self.body(x)
        y = self.squeeze(y) if self.squeeze else y
        return F.Activation(y + (self.short(x) if self.short else x), act_type="relu")


def bottleneck_net(layers, base, groups, squeeze, classes):
    net = nn.HybridSequential()
    with net.name_scope():
        conv_bn(net, 64, 7, 2)
        net.add(nn.MaxPool2D(3, 2, 1))
        inside = 64
        for i, count in enumerate(layers):
            for k in range(count):
                net.add(Bottleneck(inside, base << i, 256 << i, 2 if i and k == 0 else 1, groups, squeeze))
                inside = 256 << i
        net.add(nn.GlobalAvgPool2D(), nn.Dense(classes))
    return net


def resnext50_32x4d(classes):
    return bottleneck_net([3, 4, 6, 3], 128, 32, False, classes)


def resnext101_32x4d(classes):
    return bottleneck_net([3, 4, 23, 3], 128, 32, False, classes)


def se_resnet50(classes):
    return bottleneck_net([3, 4, 6, 3], 64, 1, True, classes)


def se_resnext50_32x4d(classes):
    return bottleneck_net([3, 4, 6, 3], 128, 32, True, classes)


def inception_bn(classes):
    """Symbols, as MXNet's examples wrote them before Gluon."""
    S = mx.sym

    def unit(d, n, k, name, s=1):
        d = S.Convolution(d, num_filter=n, kernel=(k, k), stride=(s, s), pad=(k // 2, k // 2), name="conv_" + name)
        return S.Activation(S.BatchNorm(d, fix_gamma=False, name="bn_" + name), act_type="relu")

    def pool(d, kind, s=1):
        return S.Pooling(d, kernel=(3, 3), stride=(s, s), pad=(1, 1), pool_type=kind)

    def block(d, name, n1, n3r, n3, d3r, d3, kind, proj):
        parts = [unit(d, n1, 1, name + "_1x1"), unit(unit(d, n3r, 1, name + "_3x3r"), n3, 3, name + "_3x3"),
                 unit(unit(unit(d, d3r, 1, name + "_d3x3r"), d3, 3, name + "_d3x3_0"), d3, 3, name + "_d3x3_1"),
                 unit(pool(d, kind), proj, 1, name + "_proj")]
        return S.Concat(*parts, name="cat_" + name)

    def smaller(d, name, n3r, n3, d3r, d3):
        return S.Concat(unit(unit(d, n3r, 1, name + "_3x3r"), n3, 3, name + "_3x3", 2),
                        unit(unit(unit(d, d3r, 1, name + "_d3x3r"), d3, 3, name + "_d3x3_0"), d3, 3, name + "_d3x3_1", 2),
                        pool(d, "max", 2), name="cat_" + name)

    d = pool(unit(S.var("data"), 64, 7, "1", 2), "max", 2)
    d = pool(unit(unit(d, 64, 1, "2r"), 192, 3, "2"), "max", 2)
    d = block(d, "3a", 64, 64, 64, 64, 96, "avg", 32)
    d = block(d, "3b", 64, 64, 96, 64, 96, "avg", 64)
    d = smaller(d, "3c", 128, 160, 64, 96)
    d = block(d, "4a", 224, 64, 96, 96, 128, "avg", 128)
    d = block(d, "4b", 192, 96, 128, 96, 128, "avg", 128)
    d = block(d, "4c", 160, 128, 160, 128, 160, "avg", 128)
    d = block(d, "4d", 96, 128, 192, 160, 192, "avg", 128)
    d = smaller(d, "4e", 128, 192, 192, 256)
    d = block(d, "5a", 352, 192, 320, 160, 224, "avg", 128)
    d = block(d, "5b", 352, 192, 320, 192, 224, "max", 128)
    d = S.Flatten(S.Pooling(d, kernel=(7, 7), global_pool=True, pool_type="avg"))
    return mx.gluon.SymbolBlock(S.FullyConnected(d, num_hidden=classes, name="fc1"), S.var("data"))


OTHERS = [mobilenet_v3_large, mobilenet_v3_small, resnext50_32x4d, resnext101_32x4d, se_resnet50, se_resnext50_32x4d, inception_bn]
BUILD = {name: (lambda n=name: getattr(vision, n)(classes=CLASSES)) for name in ZOO}
BUILD.update({f.__name__: (lambda f=f: f(CLASSES)) for f in OTHERS})


# -- one network --


class Start(mx.init.MSRAPrelu):
    """He's, and for vectors, which it does not know: variances of 1, all else 0."""

    def __init__(self):
        super().__init__("in", 0)

    def _init_weight(self, name, arr):
        if arr.ndim > 1:
            super()._init_weight(name, arr)
        else:
            arr[:] = 1 if str(name).endswith("var") else 0


def batch_norms(block):
    found = [block] if isinstance(block, nn.BatchNorm) else []
    for child in block._children.values():
        found += batch_norms(child)
    return found


def train(net, x):
    """MXNet moves its averages on the way back, which has to reach a norm of the photos themselves, too."""
    x.attach_grad()
    with mx.autograd.record():
        y = net(x)
    y.backward()
    mx.nd.waitall()


def ends_of_branches(block):
    """The names of the last gammas before what a residual block computed is added to what came in."""
    kind = type(block).__name__
    found = []
    if kind in ("BasicBlockV1", "BottleneckV1", "Bottleneck") or kind == "InvertedResidual" and block.short:
        found = batch_norms(block.body)[-1:]
    elif kind == "LinearBottleneck" and block.use_shortcut:
        found = batch_norms(block.out)[-1:]
    elif kind in ("BasicBlockV2", "BottleneckV2"):
        found = [block.bn2 if kind == "BasicBlockV2" else block.bn3]
    names = {norm.gamma.name for norm in found}
    return names.union(*[ends_of_branches(child) for child in block._children.values()])


def settle(net, x, weights):
    """Batch norms get the mean and the variance of what x makes of them; then gammas and betas are no longer 1 and 0."""
    rng = np.random.RandomState(7)
    params = net.collect_params()
    small = ends_of_branches(net) if weights == "conditioned" else set()
    for name, p in params.items():
        if name.endswith("gamma"):
            low, high = (0.1, 0.4) if name in small else (0.7, 1.3)
            p.set_data(mx.nd.array(rng.uniform(low, high, p.shape)))
        elif name.endswith("beta") or name.endswith("bias"):
            p.set_data(mx.nd.array(rng.uniform(-0.2, 0.2, p.shape)))
    norms = batch_norms(net)
    for norm in norms:
        norm._kwargs["momentum"] = 0.0
    train(net, x)
    for norm in norms:
        norm._kwargs["momentum"] = 0.9
    if not norms and any(name.endswith(("running_var", "moving_var")) for name in params):
        settle_symbol(net, x)


def settle_symbol(net, x):
    """The same for a net of symbols, whose momentum stands in it: moving averages of enough passes."""
    for _ in range(12):
        train(net, x)


def photos(count, side):
    """Blotches of every size and colour, as photos have: of plain noise all logits would be much the same."""
    x = np.zeros((count, 3, side, side), "f4")
    for cells in (1, 2, 4, 8, 16, 32, 64, side):
        at = np.arange(side) * cells // side
        x += np.random.uniform(-1, 1, (count, 3, cells, cells)).astype("f4")[:, :, at][:, :, :, at]
    return x


def export(net, folder):
    stem = os.path.join(folder, "net")
    if isinstance(net, mx.gluon.SymbolBlock):
        net._cached_graph[1].save(stem + "-symbol.json")
        arrays = {("aux:" if "moving" in k else "arg:") + k: p.data() for k, p in net.collect_params().items()}
        mx.nd.save(stem + "-0000.params", arrays)
    else:
        net.export(stem)
    return stem + "-symbol.json", stem + "-0000.params"


def say_size(symbol, side):
    """In the file as exported nothing says it, and nets that take any size get 224."""
    with open(symbol) as file:
        graph = json.load(file)
    (data,) = [n for n in graph["nodes"] if n["name"] == "data"]
    data.setdefault("attrs", {})["__shape__"] = "(1, 3, %d, %d)" % (side, side)
    with open(symbol, "w") as file:
        json.dump(graph, file)


WRONG = {
    "eps": ("BatchNorm", "eps", lambda eps: str(float(eps) * 10)),
    "pool": ("Pooling", "pooling_convention", lambda way: "valid" if way == "full" else "full"),
    "clip": ("clip", "a_max", lambda most: str(float(most) * 0.9)),
}
DEFAULTS = {"eps": "1e-3", "pooling_convention": "valid"}


def spoil(symbol, wrong):
    """One attribute of every operator of a kind; the number of them."""
    op, key, change = WRONG[wrong]
    with open(symbol) as file:
        graph = json.load(file)
    nodes = [n for n in graph["nodes"] if n["op"] == op and n["attrs"].get("global_pool") != "True"]
    for node in nodes:
        node["attrs"][key] = change(node["attrs"].get(key, DEFAULTS.get(key)))
    with open(symbol, "w") as file:
        json.dump(graph, file)
    return len(nodes)


def run_ours(nexus, backend, files, x, folder):
    np.save(os.path.join(folder, "x.npy"), x)
    subprocess.run([nexus, "model", "run", *files, "--input", os.path.join(folder, "x.npy"), "--output", folder, "--backend", backend],
                   check=True)
    (made,) = [n for n in os.listdir(folder) if n.endswith("_output.npy")]
    return np.load(os.path.join(folder, made))


def inspect(nexus, files):
    done = subprocess.run([nexus, "model", "inspect", *files, "--json"], check=True, capture_output=True)
    return json.loads(done.stdout)


def in_double(net, x):
    """What the same weights come to when every sum and every layer is in double: who of two is off, and by how much."""
    net.cast("float64")
    net.hybridize(False)
    return net(mx.nd.array(x, dtype="float64")).asnumpy()


def make(name, side, weights):
    """The network and two photos. From here on its momentum is what was exported."""
    mx.random.seed(1)
    np.random.seed(1)
    net = BUILD[name]()
    net.initialize(Start())
    x = photos(6, side)
    net(mx.nd.array(x[:1])).wait_to_read()
    settle(net, mx.nd.array(x), weights)
    net.hybridize()
    return net, x[:2]


def say_double(net, x, made):
    exact = in_double(net, x)
    off = ["%s %.1e" % (who, np.abs(y - exact).max() / np.abs(exact).max()) for who, y in made.items()]
    sys.stderr.write("    from double, relative to the largest logit: %s\n" % ", ".join(off))


def first_five(logits):
    return np.argsort(-logits, axis=1, kind="stable")[:, :5]


def compare(name, args):
    side = args.side or (299 if name.startswith("inception_v3") else 224)
    net, x = make(name, side, args.weights)
    theirs = net(mx.nd.array(x)).asnumpy()
    with tempfile.TemporaryDirectory() as folder:
        files = export(net, folder)
        say_size(files[0], side)
        facts = inspect(args.nexus, files)
        if args.wrong and not spoil(files[0], args.wrong):
            return "has nothing to get wrong"
        try:
            ours = run_ours(args.nexus, args.backend, files, x, folder)
        except subprocess.CalledProcessError:
            if args.wrong:
                return "is refused"
            raise
        of_ref = run_ours(args.nexus, "cpu_ref", files, x, folder) if args.double else None
    if args.double:
        say_double(net, x, {"MXNet": theirs, args.backend: ours, "cpu_ref": of_ref})
    largest = float(np.abs(theirs).max())
    off = float(np.abs(ours - theirs).max())
    return {"name": name, "params": facts["parameters"], "macs": facts["macs"], "std": float(theirs.std()),
            "apart": float(np.abs(theirs[0] - theirs[1]).max()) / largest,
            "off": off, "relative": off / largest, "top": bool((first_five(ours) == first_five(theirs)).all())}


def is_good(result):
    return result["relative"] <= LIMIT and result["apart"] >= APART and result["top"]


HEAD = ("| network | parameters | GMAC | spread of the logits | the photos apart | largest difference | relative | top-5 |\n"
        "|---|---|---|---|---|---|---|---|\n")
ROW = "| %(name)s | %(params)d | %(gmac).2f | %(std).3f | %(apart).2f | %(off).1e | %(relative).1e | %(agrees)s |\n"


def row(result):
    return ROW % dict(result, gmac=result["macs"] / 1e9, agrees="same" if result["top"] else "OTHER")


def give_back():
    """MXNet keeps what it frees; so does the C library."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nexus", default="build/bin/nexus")
    parser.add_argument("--backend", default="auto", help="cpu_ref sums in double: it tells which of two is off")
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--weights", default="conditioned", choices=["conditioned", "harsh"])
    parser.add_argument("--double", action="store_true", help="also compare both with MXNet in double precision")
    parser.add_argument("--wrong", choices=sorted(WRONG), help="what our program gets wrong: all that is printed should be over the limit")
    parser.add_argument("--side", type=int, default=0, help="of the photos, in pixels; for nets that take any")
    parser.add_argument("--table", help="a file to append the rows to")
    args = parser.parse_args()
    bad = 0
    sys.stdout.write(HEAD)
    for name in BUILD:
        if not re.search(args.only, name):
            continue
        start = time.time()
        result = compare(name, args)
        if isinstance(result, str):
            sys.stderr.write("%s %s\n" % (name, result))
            continue
        bad += not is_good(result)
        sys.stdout.write(row(result))
        sys.stdout.flush()
        sys.stderr.write("%s: %.1f s\n" % (name, time.time() - start))
        if args.table:
            with open(args.table, "a") as out:
                out.write(row(result))
        give_back()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
