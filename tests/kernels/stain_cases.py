#!/usr/bin/python3
"""Writes the figures in stain_cases.def, or compares them (--check): Macenko, Reinhard and Ruifrok again,
in plain Python, by other means (power iteration, sorted lists, Cramer's rule) than the engine's."""
import math
import sys

IO, BETA = 240.0, 0.15
LMS = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
REFERENCE = (((0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581)), (1.9705, 1.0308),
             (8.74108109, -0.12440419, 0.0444982), (0.6135447, 0.10989545, 0.0286032))
KNOWN = {"H": (0.65, 0.70, 0.29), "E": (0.07, 0.99, 0.11), "D": (0.27, 0.57, 0.78)}
# seed, first stain, second stain, their largest amounts
PICTURES = ((1, (0.65, 0.70, 0.29), (0.20, 0.85, 0.48), 2.2, 1.4),
            (2, (0.58, 0.72, 0.38), (0.13, 0.90, 0.42), 1.3, 1.9),
            (3, (0.63, 0.68, 0.37), (0.29, 0.55, 0.78), 1.6, 2.0))
N = 12000


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def unit(v):
    n = math.sqrt(dot(v, v))
    return tuple(x / n for x in v)


def det(a, b, c):
    return (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]))


def cross(a, b):
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def byte(v):
    return int(min(max(math.floor(v + 0.5), 0), 255))


def picture(seed, first, second, most1, most2):
    """Pixels of two stains in changing amounts, with a little noise."""
    x, out = 0x9E3779B97F4A7C15 ^ seed, []

    def u():
        nonlocal x
        x ^= (x << 13) & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= (x << 17) & 0xFFFFFFFFFFFFFFFF
        return (x >> 40) / 16777216.0
    first, second = unit(first), unit(second)
    for _ in range(N):
        a, b = most1 * u() * u(), most2 * u()
        out.append(tuple(byte(IO * math.exp(-(a * first[c] + b * second[c])) - 1 + 2 * u() - 1) for c in range(3)))
    return out


def od(p):
    return tuple(-math.log((v + 1) / IO) for v in p)


def percentile(values, q):
    s = sorted(values)
    at = q / 100 * (len(s) - 1)
    k = int(at)
    return s[k] + (s[min(k + 1, len(s) - 1)] - s[k]) * (at - k)


def largest(m):
    v = (1.0, 0.9, 0.8)
    for _ in range(5000):
        v = unit(tuple(dot(row, v) for row in m))
    return v, dot(v, tuple(dot(row, v) for row in m))


def macenko(pixels):
    rows = [o for o in map(od, pixels) if min(o) >= BETA]
    mean = tuple(sum(r[c] for r in rows) / len(rows) for c in range(3))
    cov = [[sum((r[a] - mean[a]) * (r[b] - mean[b]) for r in rows) / (len(rows) - 1) for b in range(3)] for a in range(3)]
    e1, l1 = largest(cov)
    e2, _ = largest([[cov[a][b] - l1 * e1[a] * e1[b] for b in range(3)] for a in range(3)])
    if sum(e1) < 0:
        e1 = tuple(-x for x in e1)
    phi = [math.atan2(dot(e2, r), dot(e1, r)) for r in rows]
    ends = []
    for q in (1, 99):
        t = percentile(phi, q)
        v = unit(tuple(a * math.cos(t) + b * math.sin(t) for a, b in zip(e1, e2)))
        ends.append(v if sum(v) > 0 else tuple(-x for x in v))
    ends.sort(key=lambda v: -v[0])
    n = cross(*ends)  # least squares: the part at right angles to both is left over
    d = det(ends[0], ends[1], n)
    amounts = [(det(r, ends[1], n) / d, det(ends[0], r, n) / d) for r in rows]
    return ends, [percentile([a[k] for a in amounts], 99) for k in range(2)], len(rows)


def lab(p):
    l, m, s = (math.log(dot(row, tuple(v + 1 for v in p))) for row in LMS)
    return ((l + m + s) / math.sqrt(3), (l + m - 2 * s) / math.sqrt(6), (l - m) / math.sqrt(2))


def reinhard(pixels):
    rows = [lab(p) for p in pixels if max(od(p)) >= BETA]
    mean = [sum(r[c] for r in rows) / len(rows) for c in range(3)]
    return mean, [math.sqrt(sum((r[c] - mean[c]) ** 2 for r in rows) / (len(rows) - 1)) for c in range(3)], len(rows)


def solve(cols, v):
    d = det(*cols)
    return tuple(det(*[v if k == i else cols[k] for k in range(3)]) / d for i in range(3))


def by_macenko(p, ends, strength):
    n = cross(*ends)
    amount = solve((ends[0], ends[1], n), od(p))
    o = [sum(REFERENCE[0][k][c] * amount[k] * REFERENCE[1][k] / strength[k] for k in range(2)) for c in range(3)]
    return tuple(IO * math.exp(-v) - 1 for v in o)


def by_reinhard(p, mean, std):
    a, b, c = ((v - m) * t / s + r for v, m, s, r, t in zip(lab(p), mean, std, REFERENCE[2], REFERENCE[3]))
    a, b, c = a / math.sqrt(3), b / math.sqrt(6), c / math.sqrt(2)
    v = tuple(math.exp(x) for x in (a + b + c, a + b - c, a - 2 * b))
    return tuple(x - 1 for x in solve(tuple(zip(*LMS)), v))


def by_channel(p, stains, k):
    v = [unit(KNOWN[s]) for s in stains]
    if len(v) == 2:
        v.append(unit(cross(*v)))
    amount = solve(v, tuple(-math.log((x + 1) / 256) for x in p))[k]
    return 256 * math.exp(-amount) - 1


def clip(v):
    return min(max(v, 0.0), 255.0)


def lines():
    out = []
    for pic in PICTURES:
        px = picture(*pic)
        ends, strength, stained = macenko(px)
        mean, std, pixels = reinhard(px)
        out.append("STAIN_PICTURE(%d, %d, %d, %s, %s, %s, %s, %s)" % (
            pic[0], pixels, stained, ", ".join("%.6f" % x for x in ends[0]), ", ".join("%.6f" % x for x in ends[1]),
            ", ".join("%.6f" % x for x in strength), ", ".join("%.6f" % x for x in mean), ", ".join("%.6f" % x for x in std)))
        for p in px[::1500] + [(255, 255, 255), (0, 0, 0), (12, 200, 90)]:
            out.append("STAIN_PIXEL(%d, %d, %d, %d, %s, %s, %.3f, %.3f, %.3f, %.3f)" % (
                pic[0], *p, ", ".join("%.3f" % clip(x) for x in by_macenko(p, ends, strength)),
                ", ".join("%.3f" % clip(x) for x in by_reinhard(p, mean, std)),
                clip(by_channel(p, "HE", 0)), clip(by_channel(p, "HE", 1)), clip(by_channel(p, "HD", 1)), clip(by_channel(p, "HED", 2))))
    return out


def main():
    name = __file__[:-3] + ".def"
    head = ("/* What stain_cases.py makes of its pictures: seed, tissue pixels, stained pixels, first and second vector,\n"
            " * strengths, mean and deviation of l, alpha, beta; then pixels: seed, r, g, b, by Macenko, by Reinhard, and\n"
            " * the grey of H of HE, E of HE, DAB of HDAB, DAB of HED. */\n")
    text = head + "\n".join(lines()) + "\n"
    if "--check" in sys.argv:
        same = open(name).read() == text
        print("same" if same else "the figures differ")
        return not same
    open(name, "w").write(text)
    return 0


sys.exit(main())
