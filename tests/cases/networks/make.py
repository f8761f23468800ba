#!/usr/bin/python3
"""Makes the small reference networks of this folder: random weights, fixed seeds, outputs by PyTorch.

    /usr/bin/python3 make.py [FOLDER [NAME...]]      (Debian's python3-torch, python3-onnx; development time only)

Narrow versions of networks that pathologists run: a VGG (a long chain of 3x3 convolutions), a
pre-activation ResNet (BatchNorm before each convolution, which cannot be folded into one in front), a
DenseNet block, an inverted-residual block with squeeze-excite; a transformer with class and register tokens,
LayerScale, GELU in both forms and SwiGLU, another on more tokens than attention takes at once, shifted windows
with bias and mask, and two attention pools over bags long enough to be walked in blocks. BatchNorm is kept as nodes, so the importer
has to fold it. NAME/model.onnx, NAME/test_data_set_0/{input,output}_0.pb as in the ONNX project's own cases.
"""
import os, sys, warnings
import torch, torch.nn as nn, torch.nn.functional as F
from onnx import numpy_helper
warnings.filterwarnings('ignore')


def conv(i, o, k=3, s=1, **kw):
    return nn.Conv2d(i, o, k, s, k // 2, bias=kw.pop('bias', False), **kw)


def vgg():
    layers, i = [], 3
    for o in (12, 12, 'M', 20, 20, 'M', 24, 24, 24, 'M', 28, 28, 28, 'M', 28, 28, 28, 'M'):
        if o == 'M':
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [conv(i, o, bias=True), nn.BatchNorm2d(o), nn.ReLU()]
            i = o
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(4 * i, 32), nn.ReLU(),
                         nn.Dropout(), nn.Linear(32, 5)), 64


class PreAct(nn.Module):
    def __init__(s, i, o, st):
        super().__init__()
        s.b1, s.c1, s.b2, s.c2 = nn.BatchNorm2d(i), conv(i, o, 3, st), nn.BatchNorm2d(o), conv(o, o)
        s.sc = conv(i, o, 1, st) if st != 1 or i != o else None

    def forward(s, x):
        y = F.relu(s.b1(x))
        short = x if s.sc is None else s.sc(y)
        return s.c2(F.relu(s.b2(s.c1(y)))) + short


def preact_resnet():
    w = (12, 20, 28, 36)
    blocks, i = [], w[0]
    for k, o in enumerate(w):
        blocks += [PreAct(i, o, 2 if k else 1), PreAct(o, o, 1)]
        i = o
    return nn.Sequential(conv(3, w[0]), *blocks, nn.BatchNorm2d(i), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(i, 2)), 48


class Dense(nn.Module):
    def __init__(s, i, g=6, n=4):
        super().__init__()
        s.layers = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(i + k * g), nn.ReLU(), conv(i + k * g, 4 * g, 1),
                                               nn.BatchNorm2d(4 * g), nn.ReLU(), conv(4 * g, g)) for k in range(n))

    def forward(s, x):
        for layer in s.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def densenet():
    return nn.Sequential(conv(3, 10, 7, 2), nn.BatchNorm2d(10), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Dense(10),
                         nn.BatchNorm2d(34), nn.ReLU(), conv(34, 17, 1), nn.AvgPool2d(2, 2), Dense(17),
                         nn.BatchNorm2d(41), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(41, 3)), 61


class Inverted(nn.Module):
    def __init__(s, i, o, st, k):
        super().__init__()
        h = 3 * i
        s.up = nn.Sequential(conv(i, h, 1), nn.BatchNorm2d(h), nn.ReLU6(), conv(h, h, k, st, groups=h),
                             nn.BatchNorm2d(h), nn.SiLU())
        s.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(h, 4, 1, bias=True), nn.ReLU(), conv(4, h, 1, bias=True),
                             nn.Sigmoid())
        s.down = nn.Sequential(conv(h, o, 1), nn.BatchNorm2d(o))
        s.same = st == 1 and i == o

    def forward(s, x):
        y = s.up(x)
        y = s.down(y * s.se(y))
        return x + y if s.same else y


def inverted():
    return nn.Sequential(conv(3, 11, 3, 2), nn.BatchNorm2d(11), nn.Hardswish(), Inverted(11, 11, 1, 3),
                         Inverted(11, 19, 2, 5), Inverted(19, 19, 1, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(19, 4)), 57


class Block(nn.Module):
    """pre-norm transformer block; kind: how its MLP is made"""
    def __init__(s, d, heads, kind, sequence_first=False):
        super().__init__()
        s.n1, s.n2, s.h, s.kind, s.first = nn.LayerNorm(d, 1e-6), nn.LayerNorm(d), heads, kind, sequence_first
        s.a = nn.MultiheadAttention(d, heads) if sequence_first else nn.Linear(d, 3 * d)
        s.o = nn.Linear(d, d)
        s.up, s.down = nn.Linear(d, 4 * d), nn.Linear(2 * d if kind == 'swiglu' else 4 * d, d)
        s.g1, s.g2 = nn.Parameter(torch.rand(d) + .2), nn.Parameter(torch.rand(d) + .2)

    def attend(s, x):
        b, n, d = x.shape
        if s.first:
            y = x.transpose(0, 1)
            return s.a(y, y, y)[0].transpose(0, 1)
        q, k, v = s.a(x).reshape(b, n, 3, s.h, d // s.h).permute(2, 0, 3, 1, 4).unbind(0)
        w = ((q @ k.transpose(-2, -1)) * (d // s.h) ** -.5).softmax(-1)
        return s.o((w @ v).transpose(1, 2).reshape(b, n, d))

    def mlp(s, x):
        if s.kind == 'swiglu':
            a, b = s.up(x).chunk(2, -1)
            return s.down(F.silu(a) * b)
        if s.kind == 'tanh':
            y = s.up(x)
            return s.down(0.5 * y * (1.0 + torch.tanh(0.7978845608028654 * (y + 0.044715 * torch.pow(y, 3.0)))))
        return s.down(F.gelu(s.up(x)))

    def forward(s, x):
        x = x + s.attend(s.n1(x)) * s.g1
        return x + s.mlp(s.n2(x)) * s.g2


class Tokens(nn.Module):
    def __init__(s, d, heads, px, registers, first=False):
        super().__init__()
        n = (px // 8) ** 2
        s.p, s.c, s.r = nn.Conv2d(3, d, 8, 8), nn.Parameter(torch.randn(1, 1, d)), nn.Parameter(torch.randn(1, registers, d))
        s.pos = nn.Parameter(torch.randn(1, n + 1, d) * .3)
        s.b = nn.Sequential(Block(d, heads, 'erf', first), Block(d, heads, 'tanh', first), Block(d, heads, 'swiglu', first))
        s.n, s.h = nn.LayerNorm(d), nn.Linear(2 * d, 5)

    def forward(s, x):
        x = s.p(x).flatten(2).transpose(1, 2)
        x = torch.cat([s.c.expand(x.shape[0], -1, -1), x], 1) + s.pos
        x = torch.cat([x[:, :1], s.r.expand(x.shape[0], -1, -1), x[:, 1:]], 1)
        x = s.n(s.b(x))
        return s.h(torch.cat([x[:, 0], x[:, 1 + s.r.shape[1]:].mean(1)], -1))


class Windows(nn.Module):
    """windows of 4 x 4 places, shifted by 2, with a bias per head and the mask of the shift"""
    def __init__(s, d=24, heads=3, w=4, side=12):
        super().__init__()
        s.stem, s.n, s.qkv, s.o, s.h, s.w = conv(3, d, 4, 4, bias=True), nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d), heads, w
        s.stem.padding = (0, 0)
        s.bias = nn.Parameter(torch.randn(1, heads, w * w, w * w))
        zone = torch.zeros(side, side)
        for i, a in enumerate((slice(0, -w), slice(-w, -w // 2), slice(-w // 2, None))):
            for j, b in enumerate((slice(0, -w), slice(-w, -w // 2), slice(-w // 2, None))):
                zone[a, b] = 3 * i + j
        z = zone.view(side // w, w, side // w, w).permute(0, 2, 1, 3).reshape(-1, w * w)
        s.register_buffer('mask', torch.where(z[:, None] == z[:, :, None], 0., -100.)[None, :, None])
        s.c = nn.Linear(d, 3)

    def forward(s, x):
        y = s.n(s.stem(x).permute(0, 2, 3, 1))
        b, r, c, d = y.shape
        w = s.w
        t = torch.roll(y, (-2, -2), (1, 2)).view(b, r // w, w, c // w, w, d).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, d)
        q, k, v = s.qkv(t).reshape(-1, w * w, 3, s.h, d // s.h).permute(2, 0, 3, 1, 4)
        a = (q * (d // s.h) ** -.5) @ k.transpose(-2, -1) + s.bias
        a = (a.view(b, -1, s.h, w * w, w * w) + s.mask).view(-1, s.h, w * w, w * w).softmax(-1)
        t = s.o((a @ v).transpose(1, 2).reshape(-1, w * w, d))
        t = t.view(b, r // w, c // w, w, w, d).permute(0, 1, 3, 2, 4, 5).reshape(b, r, c, d)
        return s.c((y + torch.roll(t, (2, 2), (1, 2))).mean((1, 2)))


class Pool(nn.Module):
    """gated attention over a bag; classes > 1: one pool a class"""
    def __init__(s, d=12, hidden=20, classes=1):
        super().__init__()
        s.f, s.v, s.u, s.w = nn.Linear(d, hidden), nn.Linear(hidden, 9), nn.Linear(hidden, 9), nn.Linear(9, classes)
        s.n, s.c = nn.LayerNorm(hidden), nn.Linear(hidden, 3)

    def forward(s, x):
        h = s.n(F.relu(s.f(x)))
        a = s.w(torch.tanh(s.v(h)) * torch.sigmoid(s.u(h))).transpose(0, 1) * 1.0
        return s.c(torch.softmax(a, 1) @ h), a


class Critical(nn.Module):
    """attention of every instance to the one with the highest score, over the bag"""
    def __init__(s, d=12):
        super().__init__()
        s.i, s.q, s.v, s.c = nn.Linear(d, 2), nn.Linear(d, 8), nn.Linear(d, 10), nn.Linear(10, 1)

    def forward(s, x):
        c = s.i(x)
        q = torch.tanh(s.q(x))
        top = torch.topk(c, 1, 0)[1][0]
        a = torch.softmax(q @ torch.tanh(s.q(x[top])).transpose(0, 1) / 8 ** .5, 0)
        return s.c(a.transpose(0, 1) @ s.v(x)), a


NETS = {
    'vgg': vgg, 'preact_resnet': preact_resnet, 'densenet': densenet, 'inverted': inverted,
    'tokens': lambda: (Tokens(36, 3, 48, 4), (2, 3, 48, 48)),
    'tokens_first': lambda: (Tokens(32, 4, 40, 1, True), (2, 3, 40, 40)),
    'tokens_many': lambda: (Tokens(16, 2, 192, 2), (1, 3, 192, 192)),
    'windows': lambda: (Windows(), (2, 3, 48, 48)),
    'bag': lambda: (Pool(), (1501, 12)),
    'bag_classes': lambda: (Pool(classes=3), (1100, 12)),
    'bag_critical': lambda: (Critical(), (1300, 12)),
}


def main(root, only):
    for name, make in NETS.items():
        if only and name not in only:
            continue
        torch.manual_seed(len(name))
        net, shape = make()
        shape = (1, 3, shape, shape) if isinstance(shape, int) else shape
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.normal_(0, .3)
                m.running_var.uniform_(.5, 2)
                m.weight.data.uniform_(.5, 1.5)
                m.bias.data.normal_(0, .2)
        net.eval()
        x = torch.randn(*shape)
        out = f'{root}/{name}/test_data_set_0'
        os.makedirs(out, exist_ok=True)
        torch.onnx.export(net, x, f'{root}/{name}/model.onnx', opset_version=13, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE, input_names=['input'], output_names=['logits'])
        with torch.no_grad():
            y = net.double()(x.double())
        y = [t.float() for t in (y if isinstance(y, tuple) else (y,))]
        for kind, t in [('input_0', x)] + [(f'output_{i}', t) for i, t in enumerate(y)]:
            with open(f'{out}/{kind}.pb', 'wb') as f:
                f.write(numpy_helper.from_array(t.numpy(), kind[:-2]).SerializeToString())
        y = y[0]
        print(name, shape, sum(p.numel() for p in net.parameters()), 'parameters, largest output', float(y.abs().max()))


main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)), sys.argv[2:])
