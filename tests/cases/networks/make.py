#!/usr/bin/python3
"""Makes the small reference networks of this folder: random weights, fixed seeds, outputs by PyTorch.

    /usr/bin/python3 make.py [FOLDER]      (Debian's python3-torch, python3-onnx; development time only)

Narrow versions of networks that pathologists run: a VGG (a long chain of 3x3 convolutions), a
pre-activation ResNet (BatchNorm before each convolution, which cannot be folded into one in front), a
DenseNet block, an inverted-residual block with squeeze-excite. BatchNorm is kept as nodes, so the importer
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


def main(root):
    for name, make in (('vgg', vgg), ('preact_resnet', preact_resnet), ('densenet', densenet), ('inverted', inverted)):
        torch.manual_seed(len(name))
        net, side = make()
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.normal_(0, .3)
                m.running_var.uniform_(.5, 2)
                m.weight.data.uniform_(.5, 1.5)
                m.bias.data.normal_(0, .2)
        net.eval()
        x = torch.randn(1, 3, side, side)
        out = f'{root}/{name}/test_data_set_0'
        os.makedirs(out, exist_ok=True)
        torch.onnx.export(net, x, f'{root}/{name}/model.onnx', opset_version=13, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE, input_names=['input'], output_names=['logits'])
        with torch.no_grad():
            y = net.double()(x.double()).float()
        for kind, t in (('input', x), ('output', y)):
            with open(f'{out}/{kind}_0.pb', 'wb') as f:
                f.write(numpy_helper.from_array(t.numpy(), kind).SerializeToString())
        print(name, side, sum(p.numel() for p in net.parameters()), 'parameters, largest output', float(y.abs().max()))


main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
