#!/usr/bin/python3
"""Every operator in every form and type that the ONNX standard gives it, judged by numpy.

    onnx_forms.py ONNX_CASES [FOLDER]     the program that runs folders of cases; where to leave them

Writes some 1,600 cases of one node each (old forms with attributes, new ones with inputs; float32, float16,
float64, uint8, int8, int32, int64 and bool) as the ONNX project lays them out, then runs them. numpy computes
what is expected; the files are encoded here, so that neither ONNX's nor our reader has a say in them.
Exit 77 without numpy.
"""
import itertools, math, os, shutil, struct, subprocess, sys, tempfile
try:
    import numpy as np
except ImportError:
    print('skipped: no numpy')
    sys.exit(77)

TYPES = {'float32': 1, 'uint8': 2, 'int8': 3, 'int32': 6, 'int64': 7, 'bool': 9, 'float16': 10, 'float64': 11}
FLOATS = ['float32', 'float16']
INTS = ['int8', 'uint8', 'int32', 'int64']
NUMBERS = FLOATS + INTS
rng = np.random.default_rng(1)
root, count = '', 0


# --- protobuf, as much as a case needs -------------------------------------------------------------------------

def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])


def number(field, v):
    return varint(field << 3) + varint(v)


def chunk(field, v):
    v = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(v)) + v


def tensor(name, x):
    dims = b''.join(number(1, d) for d in x.shape)
    return dims + number(2, TYPES[x.dtype.name]) + chunk(8, name) + chunk(9, x.tobytes())


def attribute(name, v):
    head = chunk(1, name)
    if isinstance(v, np.ndarray):
        return head + chunk(5, tensor('v', v)) + number(20, 4)
    if isinstance(v, str):
        return head + chunk(4, v) + number(20, 3)
    if isinstance(v, float):
        return head + varint(2 << 3 | 5) + struct.pack('<f', v) + number(20, 1)
    if isinstance(v, int):
        return head + number(3, v) + number(20, 2)
    if isinstance(v[0], float):
        return head + b''.join(varint(7 << 3 | 5) + struct.pack('<f', f) for f in v) + number(20, 6)
    return head + b''.join(number(8, i) for i in v) + number(20, 7)


def node(op, ins, outs, **attrs):
    return (b''.join(chunk(1, i) for i in ins) + b''.join(chunk(2, o) for o in outs) + chunk(4, op) +
            b''.join(chunk(5, attribute(k, v)) for k, v in attrs.items()))


def value(name, x):
    shape = b''.join(chunk(1, number(1, d)) for d in x.shape)
    return chunk(1, name) + chunk(2, chunk(1, number(1, TYPES[x.dtype.name]) + chunk(2, shape)))


def write(name, nodes, ins, outs, opset, weights={}):
    """ins, outs: (name, array)."""
    global count
    folder = f'{root}/{name}'
    os.makedirs(folder + '/test_data_set_0')
    graph = (b''.join(chunk(1, n) for n in nodes) + chunk(2, 'g') +
             b''.join(chunk(5, tensor(k, v)) for k, v in weights.items()) +
             b''.join(chunk(11, value(*i)) for i in ins) + b''.join(chunk(12, value(*o)) for o in outs))
    with open(folder + '/model.onnx', 'wb') as f:
        f.write(number(1, 8) + chunk(7, graph) + chunk(8, number(2, opset)))
    for word, tensors in (('input', ins), ('output', outs)):
        for k, (n, x) in enumerate(tensors):
            with open(f'{folder}/test_data_set_0/{word}_{k}.pb', 'wb') as f:
                f.write(tensor(n, x))
    count += 1


def case(name, op, ins, outs, opset, **attrs):
    """One node; None is an input or output left out."""
    ins = [None if x is None else np.asarray(x) for x in ins]
    outs = [None if x is None else np.asarray(x) for x in outs]
    i = ['' if x is None else f'i{k}' for k, x in enumerate(ins)]
    o = ['' if x is None else f'o{k}' for k, x in enumerate(outs)]
    write(name, [node(op, i, o, **attrs)], [p for p in zip(i, ins) if p[0]], [p for p in zip(o, outs) if p[0]],
          opset)


def data(shape, dtype='float32', lo=-4, hi=5):
    dtype = np.dtype(dtype)
    if dtype.kind == 'f':
        return rng.standard_normal(shape).astype(dtype)
    if dtype == bool:
        return rng.random(shape) > .5
    return rng.integers(0 if dtype.kind == 'u' else lo, hi, shape).astype(dtype)


def i64(*v):
    return np.array(v, 'i8')


erf = np.vectorize(math.erf)


def elements_one():
    """Functions of one tensor, element by element."""
    un = {'Exp': np.exp, 'Neg': np.negative, 'Abs': np.abs, 'Reciprocal': lambda x: 1 / x, 'Floor': np.floor,
          'Ceil': np.ceil, 'Sin': np.sin, 'Cos': np.cos, 'Tanh': np.tanh, 'Erf': erf, 'Sign': np.sign,
          'Sigmoid': lambda x: 1 / (1 + np.exp(-x)), 'Softplus': lambda x: np.log1p(np.exp(x)),
          'Softsign': lambda x: x / (1 + np.abs(x)), 'Relu': lambda x: np.maximum(x, 0), 'Sqrt': np.sqrt,
          'Round': np.rint, 'Identity': lambda x: x}
    since = {'Erf': 9, 'Sign': 9, 'Round': 11}
    for op, f in un.items():
        for dt in FLOATS:
            x = data((3, 4, 5), dt)
            if op == 'Sqrt':
                x = np.abs(x)
            for os_ in (max(7, since.get(op, 7)), 13, 21):
                case(f'{op}_{dt}_{os_}', op, [x], [np.asarray(f(x.astype('float64'))).astype(dt)], os_)
    for dt in ('int8', 'int32', 'int64'):
        x = data((3, 7), dt)
        case(f'Relu_{dt}', 'Relu', [x], [np.maximum(x, 0)], 14)
    for op in ('Abs', 'Neg', 'Sign'):
        for dt in ('int8', 'int32', 'int64'):
            x = data((3, 7), dt)
            case(f'{op}_{dt}', op, [x], [{'Abs': np.abs, 'Neg': np.negative, 'Sign': np.sign}[op](x)], 13)
    x = np.array([1, 0, 3], 'uint8')
    case('Abs_u8', 'Abs', [x], [x], 13)
    case('Sign_u8', 'Sign', [x], [np.sign(x)], 13)
    for dt in FLOATS:
        x = np.abs(data((3, 4), dt)) + np.array(0.1, dt)
        case(f'Log_{dt}', 'Log', [x], [np.log(x.astype('f8')).astype(dt)], 13)
    x = data((2, 3, 4))
    case('LeakyRelu', 'LeakyRelu', [x], [np.where(x < 0, x * 0.3, x).astype('f4')], 16, alpha=0.3)
    case('LeakyRelu_d', 'LeakyRelu', [x], [np.where(x < 0, x * 0.01, x).astype('f4')], 6 + 1)
    case('Elu', 'Elu', [x], [np.where(x < 0, 2 * np.expm1(x), x).astype('f4')], 7, alpha=2.0)
    case('Celu', 'Celu', [x], [(np.maximum(0, x) + np.minimum(0, 2 * np.expm1(x / 2.0))).astype('f4')], 12,
         alpha=2.0)
    case('Celu_d', 'Celu', [x], [(np.maximum(0, x) + np.minimum(0, np.expm1(x))).astype('f4')], 12)
    case('Selu', 'Selu', [x], [(np.where(x > 0, x, 2 * np.expm1(x)) * 3).astype('f4')], 7, alpha=2.0, gamma=3.0)
    case('Selu_d', 'Selu', [x],
         [(np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)) * 1.0507009873554805).astype('f4')], 7)
    case('HardSigmoid_d', 'HardSigmoid', [x], [np.clip(x * 0.2 + 0.5, 0, 1).astype('f4')], 7)
    case('HardSwish', 'HardSwish', [x], [(x * np.clip(x / 6 + 0.5, 0, 1)).astype('f4')], 14)
    case('HardSwish22', 'HardSwish', [x * 4], [(x * 4 * np.clip(x * 4 / 6 + 0.5, 0, 1)).astype('f4')], 21)
    case('Mish', 'Mish', [x], [(x * np.tanh(np.log1p(np.exp(x)))).astype('f4')], 18)
    case('ThresholdedRelu', 'ThresholdedRelu', [x], [np.where(x > 0.5, x, 0).astype('f4')], 10, alpha=0.5)
    case('Shrink', 'Shrink', [x], [np.where(x < -0.3, x + 0.1, np.where(x > 0.3, x - 0.1, 0)).astype('f4')], 9,
         bias=0.1, lambd=0.3)
    xi = data((9,), 'int32')
    case('Shrink_i', 'Shrink', [xi], [np.where(xi < -1.5, xi + 1, np.where(xi > 1.5, xi - 1, 0)).astype('i4')],
         9, bias=1.0, lambd=1.5)
    case('Gelu', 'Gelu', [x], [(x * 0.5 * (1 + erf(x / 2 ** 0.5))).astype('f4')], 20)
    inner = (2 / np.pi) ** 0.5 * (x + 0.044715 * x ** 3)
    case('Gelu_t', 'Gelu', [x], [(x * 0.5 * (1 + np.tanh(inner))).astype('f4')], 20, approximate='tanh')


def elements_two():
    """Functions of two and more, with broadcasting."""
    B = {'Add': np.add, 'Sub': np.subtract, 'Mul': np.multiply}
    for op, f in B.items():
        for dt in NUMBERS:
            for k, (sa, sb) in enumerate([((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 1, 5)),
                 ((), (2, 2))]):
                a, b = (data(sa, dt), data(sb, dt))
                with np.errstate(all='ignore'):
                    case(f'{op}_{dt}_{k}', op, [a, b], [np.asarray(f(a, b))], 14)
    for dt in NUMBERS:
        a, b = (data((3, 4), dt, 1, 9), data((4,), dt, 1, 5))
        if np.dtype(dt).kind == 'f':
            b = np.abs(b) + np.array(0.5, dt)
        q = a / b if np.dtype(dt).kind == 'f' else np.trunc(a / b).astype(dt)
        case(f'Div_{dt}', 'Div', [a, b], [q.astype(dt)], 14)
        case(f'Max_{dt}', 'Max', [a, b, a], [np.maximum(a, b)], 13)
        case(f'Min_{dt}', 'Min', [a, b], [np.minimum(a, b)], 13)
        case(f'Max1_{dt}', 'Max', [a], [a], 13)
        for op, f in dict(Less=np.less, Greater=np.greater, LessOrEqual=np.less_equal,
             GreaterOrEqual=np.greater_equal, Equal=np.equal).items():
            case(f'{op}_{dt}', op, [np.rint(a), np.rint(b)] if np.dtype(dt).kind == 'f' else [a, b],
                 [f(np.rint(a), np.rint(b)) if np.dtype(dt).kind == 'f' else f(a, b)], 16)
        c = data((3, 1), 'bool')
        case(f'Where_{dt}', 'Where', [c, a, b], [np.where(c, a, b)], 16)
        case(f'Where9_{dt}', 'Where', [c, a, b], [np.where(c, a, b)], 9)
    c = data((3, 1), 'bool')
    a, b = (data((2, 3, 4), 'bool'), data((4,), 'bool'))
    for op, f in dict(And=np.logical_and, Or=np.logical_or, Xor=np.logical_xor).items():
        case(op, op, [a, b], [f(a, b)], 7)
    case('Not', 'Not', [a], [~a], 7)
    for dt in INTS:
        a, b = (data((20,), dt, -50, 50), np.maximum(data((20,), dt, 1, 9), 1).astype(dt))
        if np.dtype(dt).kind == 'i':
            b = b * np.where(data(20, 'bool'), 1, -1).astype(dt)
        case(f'Mod_{dt}', 'Mod', [a, b], [np.mod(a, b)], 13)
        case(f'FMod_{dt}', 'Mod', [a, b], [np.fmod(a, b)], 13, fmod=1)
    for dt in FLOATS:
        a, b = (data((20,), dt) * 3, data((20,), dt))
        case(f'FMod_{dt}', 'Mod', [a, b], [np.fmod(a, b)], 13, fmod=1)
    a = data((6,), 'uint8', 0, 255)
    b = np.array([1, 2, 0, 3, 7, 1], 'uint8')
    case('ShiftL', 'BitShift', [a, b], [a << b], 11, direction='LEFT')
    case('ShiftR', 'BitShift', [a, b], [a >> b], 11, direction='RIGHT')
    for ta, tb in itertools.product(['float32', 'int32', 'int64'], repeat=2):
        a = np.array([1, 2, 3, 4, 5, 2], ta)
        b = np.array([0, 1, 2, 3, 2, 3], tb)
        case(f'Pow_{ta}_{tb}', 'Pow', [a, b], [np.power(a, b).astype(ta)], 15)
    x = data((2, 3, 4, 4))
    s = data((3, 1, 1))
    case('PRelu', 'PRelu', [x, s], [np.where(x < 0, x * s, x)], 16)
    x = data((2, 3), 'int32')
    s = data((3,), 'int32')
    case('PRelu_i', 'PRelu', [x, s], [np.where(x < 0, x * s, x)], 16)
    for dt in FLOATS:
        xs = [data((2, 3), dt), data((3,), dt), data((2, 1), dt)]
        case(f'Sum_{dt}', 'Sum', xs, [xs[0] + xs[1] + xs[2]], 13)
        case(f'Mean_{dt}', 'Mean', xs, [((xs[0].astype('f4') + xs[1] + xs[2]) / 3).astype(dt)], 13)
    xs = [data((2, 3)), data((2, 3))]
    case('Sum7', 'Sum', xs, [xs[0] + xs[1]], 7)
    case('Mean7', 'Mean', xs, [(xs[0] + xs[1]) / 2], 7)
    case('Max7', 'Max', xs, [np.maximum(*xs)], 7)
    x = np.array([1, np.nan, np.inf, -np.inf, 0], 'f4')
    for dt in FLOATS:
        y = x.astype(dt)
        case(f'IsNaN_{dt}', 'IsNaN', [y], [np.isnan(y)], 13)
        case(f'IsInf_{dt}', 'IsInf', [y], [np.isinf(y)], 20)
        case(f'IsInfP_{dt}', 'IsInf', [y], [np.isposinf(y)], 10 if dt == 'float32' else 20, detect_negative=0)


def casts():
    """Every type into every other."""
    for a, b in itertools.product(NUMBERS + ['bool', 'float64'], repeat=2):
        x = (data((3, 4), 'float32') * 3).astype(a) if a != 'uint8' else data((3, 4), 'uint8', 0, 100)
        if np.dtype(b).kind == 'u':
            x = np.abs(x) if a != 'bool' else x
        y = np.trunc(x).astype(b) if np.dtype(a).kind == 'f' and np.dtype(b).kind in 'iu' else x.astype(b)
        case(f'Cast_{a}_{b}', 'Cast', [x], [y], 13, to=TYPES[b])
        if 'float64' not in (a, b):
            case(f'CastLike_{a}_{b}', 'CastLike', [x, np.zeros((1,), b)], [y], 15)
    x = np.array([100000.0, -100000.0, 1e-09, np.nan, 65519], 'f4')
    case('Cast_over', 'Cast', [x], [x.astype('f2')], 13, to=10)


def clips():
    """Bounds as inputs and as attributes, any of them left out."""
    for dt in FLOATS + INTS:
        x = data((4, 5), dt)
        lo, hi = (np.array(1 if dt == 'uint8' else -1, dt), np.array(2, dt))
        case(f'Clip_{dt}', 'Clip', [x, lo, hi], [np.clip(x, lo, hi)], 13)
        case(f'Clip_lo_{dt}', 'Clip', [x, lo], [np.maximum(x, lo)], 13)
        case(f'Clip_hi_{dt}', 'Clip', [x, None, hi], [np.minimum(x, hi)], 13)
        case(f'Clip_n_{dt}', 'Clip', [x], [x], 13)
    case('Clip_swap', 'Clip', [data((5,)), np.array(2, 'f4'), np.array(1, 'f4')], [np.ones(5, 'f4')], 13)
    x = data((4,))
    case('Clip6', 'Clip', [x], [np.clip(x, -0.5, 0.5)], 7, min=-0.5, max=0.5)


def places():
    """What moves, picks and makes elements."""
    x = data((2, 3, 4))
    for op in ('Reshape',):
        for k, (s, r) in enumerate([((4, 6), (4, 6)), ((-1,), (24,)), ((0, -1), (2, 12)),
             ((2, 0, 2, 2), (2, 3, 2, 2)), ((1, 24, 1), (1, 24, 1))]):
            case(f'Reshape_{k}', 'Reshape', [x, np.array(s, 'i8')], [x.reshape(r)], 14)
    case('Reshape_z', 'Reshape', [np.zeros((0, 3, 4), 'f4'), i64(3, 4, 0)], [np.zeros((3, 4, 0), 'f4')], 14,
         allowzero=1)
    case('Reshape_s', 'Reshape', [np.ones((1, 1), 'f4'), np.zeros(0, 'i8')], [np.ones((), 'f4')], 14)
    for ax in range(-3, 4):
        n = int(np.prod(x.shape[:ax])) if ax != 0 else 1
        case(f'Flatten_{ax}', 'Flatten', [x], [x.reshape(n, -1)], 13, axis=ax)
    y = data((1, 3, 1, 5))
    case('Squeeze1', 'Squeeze', [y], [y.reshape(3, 1, 5)], 11, axes=[0])
    case('Squeeze13', 'Squeeze', [y, i64(0, -2)], [y.reshape(3, 5)], 13)
    case('SqueezeAll', 'Squeeze', [y], [y.reshape(3, 5)], 13)
    case('Unsq1', 'Unsqueeze', [x], [x.reshape(1, 2, 3, 1, 4)], 11, axes=[0, 3])
    case('Unsq13', 'Unsqueeze', [x, i64(-1, 0)], [x.reshape(1, 2, 3, 4, 1)], 13)
    case('Unsq0', 'Unsqueeze', [np.array(3.0, 'f4'), i64(0)], [np.array([3.0], 'f4')], 13)
    for st, en in [(None, None), (1, None), (-1, None), (None, -1), (1, -1), (-9, 2), (2, 1)]:
        a = {}
        if st is not None:
            a['start'] = st
        if en is not None:
            a['end'] = en
        case(f'Shape_{st}_{en}', 'Shape', [x], [np.array(x.shape[st:en], 'i8')], 15, **a)
    case('Size', 'Size', [x], [np.int64(24)], 13)
    for dt in NUMBERS + ['bool']:
        v = np.array([1], dt)
        case(f'COS_{dt}', 'ConstantOfShape', [i64(2, 3)], [np.ones((2, 3), dt)], 9, value=v)
        x2 = data((3, 4), dt)
        case(f'Eye_{dt}', 'EyeLike', [x2], [np.eye(3, 4, 1).astype(dt)], 9, k=1)
        case(f'Eye2_{dt}', 'EyeLike', [x2], [np.eye(3, 4, -1).astype('f4')], 9, k=-1, dtype=1)
        e = data((3, 1), dt)
        case(f'Exp_and_{dt}', 'Expand', [e, i64(2, 1, 4)], [np.broadcast_to(e, (2, 3, 4)).copy()], 13)
        case(f'Tile_{dt}', 'Tile', [x2, i64(2, 3)], [np.tile(x2, (2, 3))], 13)
        t = data((2, 3, 4), dt)
        case(f'Tr_{dt}', 'Transpose', [t], [t.transpose(2, 0, 1)], 13, perm=[2, 0, 1])
        case(f'TrD_{dt}', 'Transpose', [t], [t.T], 13)
        case(f'Cat_{dt}', 'Concat', [t, t[:, :1]], [np.concatenate([t, t[:, :1]], 1)], 13, axis=-2)
        case(f'Slice_{dt}', 'Slice', [t, i64(2, -1), i64(-10, -100), i64(1, 2), i64(-1, -2)],
             [t[:, 2:-10:-1, -1:-100:-2]], 13)
        case(f'Slice32_{dt}', 'Slice', [t, np.array([1], 'i4'), np.array([99], 'i4'), np.array([-1], 'i4')],
             [t[:, :, 1:99]], 11)
        o = np.split(t, [1], 1)
        case(f'Split_{dt}', 'Split', [t, i64(1, 2)], o, 13, axis=1)
        case(f'Gather_{dt}', 'Gather', [t, np.array([[0, -1], [1, 2]], 'i8')],
             [np.take(t, [[0, 2], [1, 2]], 1)], 13, axis=1)
        case(f'Gather0_{dt}', 'Gather', [t, np.array(1, 'i4')], [t[1]], 13)
        ix = rng.integers(-3, 3, (2, 2, 4))
        case(f'GE_{dt}', 'GatherElements', [t, ix], [np.take_along_axis(t, np.where(ix < 0, ix + 3, ix), 1)],
             13, axis=1)
        case(f'GND_{dt}', 'GatherND', [t, np.array([[0, 1], [1, -1]], 'i8')], [t[[0, 1], [1, 2]]], 12)
        case(f'GNDb_{dt}', 'GatherND', [t, np.array([[1], [0]], 'i8')], [np.stack([t[0, 1], t[1, 0]])], 12,
             batch_dims=1)
        u = data((2, 4), dt)
        w = t.copy()
        w[[0, 1], [2, 0]] = u
        case(f'SND_{dt}', 'ScatterND', [t, np.array([[0, 2], [1, 0]], 'i8'), u], [w], 11)
        ix = np.array([[[1, 0, 2, 1]], [[0, 0, 1, 2]]])
        u = data((2, 1, 4), dt)
        w = t.copy()
        np.put_along_axis(w, ix, u, 1)
        case(f'SE_{dt}', 'ScatterElements', [t, ix - 3, u], [w], 11, axis=1)
        case(f'Scatter9_{dt}', 'Scatter', [t, ix, u], [w], 9, axis=1)
        if dt != 'bool':
            for red, f in dict(add=np.add, mul=np.multiply, max=np.maximum, min=np.minimum).items():
                ix2 = np.array([[0, 2], [1, 0], [0, 2]])
                u2 = data((3, 4), dt)
                w = t.copy()
                for q, r in enumerate(ix2):
                    w[tuple(r)] = f(w[tuple(r)], u2[q])
                case(f'SND_{red}_{dt}', 'ScatterND', [t, ix2, u2], [w], 18, reduction=red)
                w = t.copy()
                for p_ in np.ndindex(ix.shape):
                    k = (p_[0], ix[p_], p_[2])
                    w[k] = f(w[k], u[p_])
                case(f'SE_{red}_{dt}', 'ScatterElements', [t, ix, u], [w], 18, axis=1, reduction=red)
        case(f'Pad_{dt}', 'Pad', [t, i64(0, 1, 2, 1, 0, -1), np.array(1, dt)],
             [np.pad(t, ((0, 1), (1, 0), (2, 0)), constant_values=1)[:, :, :-1]], 13)
        case(f'Padr_{dt}', 'Pad', [t, i64(0, 1, 2, 0, 2, 3)], [np.pad(t, ((0, 0), (1, 2), (2, 3)), 'reflect')],
             13, mode='reflect')
        case(f'Pade_{dt}', 'Pad', [t, i64(1, 4, 1, 4), None, i64(-1, 0)],
             [np.pad(t, ((4, 4), (0, 0), (1, 1)), 'edge')], 18, mode='edge')
        case(f'Padw_{dt}', 'Pad', [t, i64(0, 1, 3, 0, 2, 1)], [np.pad(t, ((0, 0), (1, 2), (3, 1)), 'wrap')], 19,
             mode='wrap')
        case(f'Padrr_{dt}', 'Pad', [t, i64(5, 0, 0, 4, 0, 0)], [np.pad(t, ((5, 4), (0, 0), (0, 0)), 'reflect')],
             13, mode='reflect')
        d = data((1, 8, 2, 3), dt)
        q = d.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6)
        case(f'D2S_{dt}', 'DepthToSpace', [d], [q], 13, blocksize=2)
        q = d.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6)
        case(f'D2Sc_{dt}', 'DepthToSpace', [d], [q], 13, blocksize=2, mode='CRD')
        s = data((1, 2, 4, 6), dt)
        q = s.reshape(1, 2, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3)
        case(f'S2D_{dt}', 'SpaceToDepth', [s], [q], 13, blocksize=2)
        case(f'Triu_{dt}', 'Trilu', [t, np.int64(1)], [np.triu(t, 1)], 14)
        case(f'Tril_{dt}', 'Trilu', [t], [np.tril(t)], 14, upper=0)
        nz = data((3, 4), dt)
        case(f'NZ_{dt}', 'NonZero', [nz], [np.array(np.nonzero(nz)).astype('i8')], 13)
        v = np.array([2, 5] if dt != 'bool' else [0, 1], dt)
        for it in ('int64', 'int32', 'float32', 'uint8'):
            ix = np.array([0, 2, 1], it) if it == 'uint8' else np.array([0, -1, 7], it)
            res = np.full((3, 4), v[0], dt)
            for q, i in enumerate(ix.astype('i8')):
                if -4 <= i < 4:
                    res[q, i] = v[1]
            case(f'OH_{dt}_{it}', 'OneHot', [ix, np.array(4, it), v], [res], 11)
            case(f'OH0_{dt}_{it}', 'OneHot', [ix, np.array([4], it), v], [res.T], 11, axis=0)
        ccp = data((5, 4, 3), dt)
        case(f'CCP_{dt}', 'CenterCropPad', [ccp, i64(3, 6)], [np.pad(ccp[1:4], ((0, 0), (1, 1), (0, 0)))], 18,
             axes=[0, 1])
        case(f'CCP3_{dt}', 'CenterCropPad', [ccp, i64(2, 7, 3)], [np.pad(ccp[1:3], ((0, 0), (1, 2), (0, 0)))],
             18)
    t = data((7, 2))
    case('Split18', 'Split', [t], [t[:2], t[2:4], t[4:6], t[6:]], 18, num_outputs=4)
    case('Split11', 'Split', [t], [t[:3], t[3:]], 11, split=[3, 4])
    case('SplitEq', 'Split', [t], [t[:, :1], t[:, 1:]], 13, axis=-1)
    case('SplitMiss', 'Split', [t, i64(3, 4)], [t[:3], None], 13)
    case('Slice1', 'Slice', [t], [t[1:3]], 9, starts=[1], ends=[3])
    case('Slice10', 'Slice', [t, i64(1), i64(3)], [t[1:3]], 10)
    case('Pad2', 'Pad', [t], [np.pad(t, ((1, 0), (0, 2)), constant_values=3)], 7, pads=[1, 0, 0, 2], value=3.0)
    for dt, (a, b, c) in {'int32': (1, 10, 3), 'int64': (10, 1, -4), 'float32': (1, 5.5, 0.7)}.items():
        case(f'Range_{dt}', 'Range', [np.array(q, dt) for q in (a, b, c)], [np.arange(a, b, c, dtype=dt)], 11)


def reductions():
    """Sums, extremes and what is built on them."""
    red = {'ReduceSum': np.sum, 'ReduceMean': np.mean, 'ReduceMax': np.max, 'ReduceMin': np.min,
           'ReduceProd': np.prod, 'ReduceL1': lambda x, **k: np.sum(np.abs(x), **k),
           'ReduceL2': lambda x, **k: np.sqrt(np.sum(x * x, **k)),
           'ReduceSumSquare': lambda x, **k: np.sum(x * x, **k),
           'ReduceLogSum': lambda x, **k: np.log(np.sum(x, **k)),
           'ReduceLogSumExp': lambda x, **k: np.log(np.sum(np.exp(x), **k))}
    for op, f in red.items():
        for dt in ['float32', 'float16', 'int32',
             'int64'] + (['int8', 'uint8'] if op in ('ReduceMax', 'ReduceMin') else []):
            x = np.abs(data((2, 3, 4, 5), dt)) + np.array(1, dt)
            if dt == 'float16':
                x = x / 8
            x = x.astype(dt)
            for k, (axes, keep) in enumerate([(None, 1), ((1,), 0), ((0, 2), 1), ((-1,), 0), ((1, 2, 3), 0),
                 ((0, 1), 0)]):
                if np.dtype(dt).kind != 'f' and op in ('ReduceMean', 'ReduceLogSum', 'ReduceL2',
                     'ReduceLogSumExp'):
                    continue
                if op == 'ReduceProd' and (axes is None or len(axes) > 1):
                    continue
                xx = x.astype('f8') if np.dtype(dt).kind == 'f' else x.astype('i8')
                y = np.asarray(f(xx, axis=axes, keepdims=bool(keep))).astype(dt)
                for os_ in (11, 13, 18):
                    inp = os_ >= 18 or (op == 'ReduceSum' and os_ >= 13)
                    if inp:
                        case(f'{op}_{dt}_{k}_{os_}', op, [x] + ([np.array(axes, 'i8')] if axes else []), [y],
                             os_, keepdims=keep)
                    else:
                        case(f'{op}_{dt}_{k}_{os_}', op, [x], [y], os_, keepdims=keep,
                             **{'axes': list(axes)} if axes else {})
    x = data((2, 3))
    case('RS_noop', 'ReduceSum', [x], [x], 13, noop_with_empty_axes=1)
    case('RS_noop2', 'ReduceSum', [x, np.zeros(0, 'i8')], [x], 13, noop_with_empty_axes=1)
    e = np.zeros((2, 0, 4), 'f4')
    for op, v in dict(ReduceSum=0, ReduceProd=1, ReduceL1=0, ReduceL2=0, ReduceSumSquare=0,
         ReduceLogSum=-np.inf, ReduceLogSumExp=-np.inf, ReduceMin=np.inf, ReduceMax=-np.inf).items():
        case(f'{op}_empty', op, [e, i64(1)], [np.full((2, 1, 4), v, 'f4')], 20)
    b = data((2, 3), 'bool')
    case('RMaxB', 'ReduceMax', [b, i64(1)], [b.max(1, keepdims=True)], 20)
    case('RMinB', 'ReduceMin', [b, i64(1)], [b.min(1, keepdims=True)], 20)
    for dt in NUMBERS:
        x = data((3, 4, 5), dt, -3, 3)
        for op, f in dict(ArgMax=np.argmax, ArgMin=np.argmin).items():
            for ax in (0, 1, -1):
                y = np.expand_dims(f(x, axis=ax), ax).astype('i8')
                case(f'{op}_{dt}_{ax}', op, [x], [y], 13, axis=ax)
                fl = np.flip(x, ax)
                y2 = (x.shape[ax] - 1 - f(fl, axis=ax)).astype('i8')
                case(f'{op}L_{dt}_{ax}', op, [x], [y2], 13, axis=ax, keepdims=0, select_last_index=1)
        for lg in (0, 1):
            order = np.argsort(-x.astype('f8') if lg else x.astype('f8'), axis=1, kind='stable')[:, :2]
            case(f'TopK_{dt}_{lg}', 'TopK', [x, i64(2)], [np.take_along_axis(x, order, 1), order.astype('i8')],
                 11, axis=1, largest=lg)
    for dt in ('float32', 'int32', 'int64'):
        x = data((3, 4), dt)
        case(f'CumSum_{dt}', 'CumSum', [x, np.int64(1)], [np.cumsum(x, 1).astype(dt)], 14)
        case(f'CumSumR_{dt}', 'CumSum', [x, np.array(-2, 'i4')],
             [np.flip(np.cumsum(np.flip(x, 0), 0), 0).astype(dt)], 14, reverse=1)
        z = np.cumsum(x, 1) - x
        case(f'CumSumE_{dt}', 'CumSum', [x, np.int64(1)], [z.astype(dt)], 11, exclusive=1)
    x = data((2, 3, 4))
    for axis in (0, 1, 2, -1):
        for p, nm in ((1, np.sum(np.abs(x), axis, keepdims=True)),
             (2, np.sqrt(np.sum(x * x, axis, keepdims=True)))):
            case(f'Lp_{axis}_{p}', 'LpNormalization', [x], [x / nm], 7, axis=axis, p=p)
    x4 = data((2, 3, 4, 5))
    for k, ax in enumerate([None, (0, 2, 3), (1,), (0, 1, 2, 3)]):
        a = ax or (0, 2, 3)
        y = (x4 - x4.mean(a,
             keepdims=True)) / (np.sqrt((x4.astype('f8') ** 2).mean(a, keepdims=True) - x4.astype('f8').mean(a,
                  keepdims=True) ** 2) + 1e-09)
        case(f'MVN_{k}', 'MeanVarianceNormalization', [x4], [y.astype('f4')], 13,
             **{'axes': list(ax)} if ax else {})
    def smax(x, a):
        e = np.exp(x - x.max(a, keepdims=True))
        return e / e.sum(a, keepdims=True)
    for axis in (0, 1, 2, -1):
        case(f'Softmax_{axis}', 'Softmax', [x], [smax(x, axis)], 13, axis=axis)
        case(f'LogSoftmax_{axis}', 'LogSoftmax', [x], [np.log(smax(x.astype('f8'), axis)).astype('f4')], 13,
             axis=axis)
        hm = (np.expand_dims(np.argmax(x, axis),
             axis) == np.arange(x.shape[axis]).reshape([-1 if d == axis % 3 else 1 for d in range(3)])).astype('f4')
        case(f'Hardmax_{axis}', 'Hardmax', [x], [hm], 13, axis=axis)
        a = axis % 3
        f2 = x.reshape(int(np.prod(x.shape[:a])), -1)
        case(f'Softmax11_{axis}', 'Softmax', [x], [smax(f2, 1).reshape(x.shape)], 11, axis=axis)
        hm = (np.argmax(f2, 1)[:, None] == np.arange(f2.shape[1])).astype('f4').reshape(x.shape)
        case(f'Hardmax11_{axis}', 'Hardmax', [x], [hm], 11, axis=axis)
    x = data((2, 5, 3, 3))
    sq = np.zeros_like(x)
    for c in range(5):
        sq[:, c] = (x[:, max(0, c - 1):min(4, c + 1) + 1] ** 2).sum(1)
    case('LRN3', 'LRN', [x], [x / (1.5 + 0.3 / 3 * sq) ** 0.6], 13, size=3, alpha=0.3, beta=0.6, bias=1.5)
    sq = np.zeros_like(x)
    for c in range(5):
        sq[:, c] = (x[:, max(0, c - 1):min(4, c + 2) + 1] ** 2).sum(1)
    case('LRN4', 'LRN', [x], [x / (1 + 0.0001 / 4 * sq) ** 0.75], 13, size=4)
    equations = [
        ('ij,jk->ik', (5, 6), (6, 7)), ('bij,bjk->bik', (3, 5, 6), (3, 6, 7)), ('ij->i', (3, 4)),
        ('bhid,bhjd->bhij', (1, 2, 5, 8), (1, 2, 6, 8)), ('bhij,bhjd->bhid', (2, 2, 5, 6), (2, 2, 6, 8)),
        ('i,i', (4,), (4,)), ('i,i->', (8,), (8,)), ('ij->ji', (3, 4)), ('ij->', (3, 4)), ('ji', (3, 4)),
        ('ii->i', (4, 4)), ('...ii->...i', (2, 3, 4, 4)), ('...ij,...jk->...ik', (2, 5, 6), (2, 6, 4)),
        ('...ij,jk', (2, 5, 6), (6, 4)), ('i,j->ij', (5,), (6,)), ('bn,anm,bm->ba', (2, 3), (4, 3, 5), (2, 5)),
        ('bi,io->bo', (4, 6), (6, 5)), ('bchw,oc->bohw', (2, 4, 3, 3), (5, 4)),
        ('bqhd,bkhd->bhqk', (2, 5, 3, 8), (2, 6, 3, 8)), ('bhqk,bkhd->bqhd', (2, 3, 5, 6), (2, 6, 3, 8)),
        ('bhwc,hkc->bhwk', (2, 4, 5, 8), (4, 6, 8)), (' i j , j k -> i k ', (5, 6), (6, 4)),
        ('...i,...i->...', (2, 3, 4), (3, 4))]
    for k, (eq, *sh) in enumerate(equations):
        xs = [data(s) for s in sh]
        case(f'Einsum_{k}', 'Einsum', xs,
             [np.asarray(np.einsum(eq.replace(' ', ''),
                  *[v.astype('f8') for v in xs])).astype('f4')], 12, equation=eq)
    xs = [data((3, 4), 'int32'), data((4, 5), 'int32')]
    case('Einsum_i', 'Einsum', xs, [xs[0] @ xs[1]], 12, equation='ij,jk->ik')
    x = data((2, 3, 4))
    case('Dropout', 'Dropout', [x], [x], 7)
    case('Dropout10', 'Dropout', [x], [x, np.ones(x.shape, bool)], 10)
    case('Dropout7m', 'Dropout', [x], [x, np.ones(x.shape, 'f4')], 7)
    case('Dropout13', 'Dropout', [x, np.array(0.3, 'f4'), np.array(False)], [x, np.ones(x.shape, bool)], 13)
    x = data((1, 1, 2, 2))
    up = x.repeat(2, 2).repeat(3, 3)
    case('Upsample9', 'Upsample', [x, np.array([1, 1, 2, 3], 'f4')], [up], 9)
    case('Upsample7', 'Upsample', [x], [up], 7, scales=[1.0, 1.0, 2.0, 3.0])
    case('Resize10', 'Resize', [x, np.array([1, 1, 2, 3], 'f4')], [up], 10)


def no_number():
    """NaN goes through every activation and pool, alone and fused: it must never become a score."""
    x = np.array([[[[np.nan, 1, -2, 3] * 5] * 4] * 2], 'f4')
    for op, f, opset in [('Relu', lambda v: np.maximum(v, 0), 14),
                         ('LeakyRelu', lambda v: np.where(v < 0, v * .01, v), 13),
                         ('HardSigmoid', lambda v: np.clip(v * .2 + .5, 0, 1), 13), ('Tanh', np.tanh, 13),
                         ('HardSwish', lambda v: v * np.clip(v / 6 + .5, 0, 1), 14),
                         ('Sigmoid', lambda v: 1 / (1 + np.exp(-v)), 13)]:
        case('nan_' + op, op, [x], [f(x).astype('f4')], opset)
    case('nan_Clip', 'Clip', [x, np.float32(0), np.float32(6)], [np.clip(x, 0, 6)], 13)
    case('nan_Softmax', 'Softmax', [x], [np.full_like(x, np.nan)], 13, axis=3)
    case('nan_MaxPool', 'MaxPool', [x], [np.full((1, 2, 4, 5), np.nan, 'f4')], 13, kernel_shape=[1, 4], strides=[1, 4])
    for op in ('GlobalMaxPool', 'GlobalAveragePool'):
        case('nan_' + op, op, [x], [np.full((1, 2, 1, 1), np.nan, 'f4')], 13)
    for side in (1, 3):  # an infinite weight times a black pixel
        w, x = np.zeros((16, 16, side, side), 'f4'), np.zeros((1, 16, 8, 8), 'f4')
        w[0, 0, side // 2, side // 2] = np.inf
        y = np.zeros_like(x)
        y[:, 0] = np.nan
        conv = node('Conv', ['x', 'w'], ['c'], pads=[side // 2] * 4)
        write(f'nan_conv{side}_relu', [conv, node('Relu', ['c'], ['y'])], [('x', x)], [('y', y)], 13, {'w': w})
        write(f'nan_conv{side}_pool', [conv, node('Relu', ['c'], ['r']),
                                       node('MaxPool', ['r'], ['y'], kernel_shape=[2, 2], strides=[2, 2])],
              [('x', x)], [('y', y[:, :, ::2, ::2].copy())], 13, {'w': w})
    w, y = np.zeros((4, 16), 'f4'), np.zeros((1, 4), 'f4')
    w[0, 0], y[0, 0] = np.inf, np.nan
    write('nan_gemm_relu', [node('Gemm', ['x', 'w'], ['c'], transB=1), node('Relu', ['c'], ['y'])],
          [('x', np.zeros((1, 16), 'f4'))], [('y', y)], 13, {'w': w})


def main():
    global root
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    keep = len(sys.argv) > 2
    root = sys.argv[2] if keep else tempfile.mkdtemp(prefix='mt-onnx-forms-')
    try:
        with np.errstate(all='ignore'):
            for write_some in (elements_one, elements_two, casts, clips, places, reductions, no_number):
                write_some()
        code = 0
        for cpu in ('ref', 'avx2', 'avx512'):
            done = subprocess.run([sys.argv[1], '--cpu', cpu, root], stdout=subprocess.PIPE, text=True)
            print(f'{cpu}: {done.stdout}', end='')
            if done.returncode != 77:  # 77: this machine has no such instructions
                whole = done.stdout.endswith(f'{count} passed, 0 failed, 0 skipped\n')
                code = code or done.returncode or (0 if whole else 1)
        return code
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)


sys.exit(main())
