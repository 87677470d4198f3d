#!/usr/bin/python3
"""How the time of an image grows with the batch and with the image's size: a table and an SVG plot, to look for cliffs.

    tools/bench/sweep.py --model mobilenet_v2 --batches 1,2,4,8,16,32,64,128,256 --sizes 48,64,96,128,160,192,224 --out sweep

Writes sweep.md and sweep.svg. The batch is varied at --size, the size at --batch. A cliff is a step of the axis at which an
image becomes dearer by more than a quarter than growth asks for: not at all with the batch, with its pixels for the size.
"""
import argparse
import datetime
import json
import math
import os
import subprocess
import sys

ALLOWED = 1.25  # times what growth asks for


def bench(options, size, batch):
    command = [options.vkfer, "bench", options.what, "--model", options.model, "--size", str(size), "--batch", str(batch),
               "--warmup", str(options.warmup), "--repeats", str(options.repeats), "--json"]
    if options.device:
        command += ["--device", options.device]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        message = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"size {size}, batch {batch}: {message}", file=sys.stderr)
        return {"size": size, "batch": batch, "failed": message}
    answer = json.loads(ran.stdout)
    scale = 1 / batch
    point = {"size": size, "batch": batch, "image": answer["milliseconds_per_step"] * scale, "q1": answer["spread"]["q1"] * scale,
             "q3": answer["spread"]["q3"] * scale, "peak": answer["peak_bytes"], "device": answer["device"], "driver": answer["driver"]}
    print(f"size {size}, batch {batch}: {point['image']:.3f} ms an image", file=sys.stderr)
    return point


def mark_cliffs(points, growth):
    """growth(before, after): by what factor an image may become dearer."""
    for before, after in zip(points, points[1:]):
        if "failed" not in before and "failed" not in after:
            after["step"] = after["image"] / before["image"] / growth(before, after)
            after["cliff"] = after["step"] > ALLOWED


def table(title, axis, points):
    lines = [f"## {title}", "", f"| {axis} | ms an image | middle half | peak MiB | step beside growth |", "|---|---|---|---|---|"]
    for p in points:
        if "failed" in p:
            lines.append(f"| {p[axis]} | failed: {p['failed']} | | | |")
        else:
            step = f"{p['step']:.2f}{' **cliff**' if p['cliff'] else ''}" if "step" in p else ""
            lines.append(f"| {p[axis]} | {p['image']:.3f} | {p['q1']:.3f} to {p['q3']:.3f} | {p['peak'] / 2**20:.0f} | {step} |")
    return lines + [""]


def plot(x0, title, axis, points):
    """One panel 400 wide, both axes logarithmic."""
    points = [p for p in points if "failed" not in p]
    if not points:
        return [f'<text x="{x0 + 200}" y="150" text-anchor="middle">{title}: nothing to show</text>']
    left, top, width, height = x0 + 60, 40, 310, 220

    def scale(values, span):
        low, high = math.log(min(values)), math.log(max(values))
        room = max(high - low, 0.1)
        return lambda v: (math.log(v) - low + 0.05 * room) / (1.1 * room) * span

    at_x = scale([p[axis] for p in points], width)
    at_y = scale([v for p in points for v in (p["q1"], p["q3"], p["image"])], height)
    xy = [(left + at_x(p[axis]), top + height - at_y(p["image"])) for p in points]
    out = [f'<text x="{left + width / 2:.0f}" y="24" text-anchor="middle">{title}</text>',
           f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>',
           '<polyline fill="none" stroke="#1668b8" stroke-width="2" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in xy) + '"/>']
    for p, (x, y) in zip(points, xy):
        low, high = (top + height - at_y(p[q]) for q in ("q1", "q3"))
        colour = "#c00" if p.get("cliff") else "#1668b8"
        out += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>', f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>',
                f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle" font-size="10">{p[axis]}</text>',
                f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle" font-size="10">{p["image"]:.3g}</text>']
    return out + [f'<text x="{left + width / 2:.0f}" y="{top + height + 34}" text-anchor="middle" font-size="12">{axis}</text>',
                  f'<text transform="translate({x0 + 20},{top + height / 2:.0f}) rotate(-90)" text-anchor="middle" font-size="12">ms an image</text>']


def svg(panels):
    body = [line for i, panel in enumerate(panels) for line in plot(i * 400, *panel)]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{400 * len(panels)}" height="310" font-family="sans-serif" font-size="14">',
                      '<rect width="100%" height="100%" fill="white"/>'] + body + ["</svg>", ""])


def numbers(text):
    try:
        values = [int(n) for n in text.split(",") if n]
    except ValueError:
        values = [0]
    if any(v < 1 for v in values):
        raise argparse.ArgumentTypeError(f"got '{text}', expected numbers with commas")
    return sorted(set(values))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["train", "infer"], default="train")
    parser.add_argument("--vkfer", default=os.path.join(here, "..", "..", "build", "vkfer"))
    parser.add_argument("--model", default="mobilenetv2")
    parser.add_argument("--batches", type=numbers, default="1,2,4,8,16,32,64,128,256", help="'' for none")
    parser.add_argument("--sizes", type=numbers, default="48,64,96,128,160,192,224", help="'' for none")
    parser.add_argument("--size", type=int, default=48, help="of the images while the batch varies")
    parser.add_argument("--batch", type=int, default=8, help="while the size varies")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="")
    parser.add_argument("--out", default="sweep", help="files OUT.md and OUT.svg")
    options = parser.parse_args()
    if not os.access(options.vkfer, os.X_OK):
        sys.exit(f"sweep.py: no program at {options.vkfer}. Fix: ./vkfer --version builds it; or --vkfer FILE")
    by_batch = [bench(options, options.size, batch) for batch in options.batches]
    by_size = [bench(options, size, options.batch) for size in options.sizes]
    mark_cliffs(by_batch, lambda before, after: 1.0)
    mark_cliffs(by_size, lambda before, after: (after["size"] / before["size"]) ** 2)
    done = [p for p in by_batch + by_size if "failed" not in p]
    if not done:
        sys.exit("sweep.py: nothing could be measured")
    panels = [(title, axis, points) for title, axis, points in
              ((f"size {options.size}, by batch", "batch", by_batch), (f"batch {options.batch}, by size", "size", by_size)) if points]
    lines = [f"# Time of an image, {options.model}, {options.what}", "", f"{done[0]['device']}, {done[0]['driver']}, {datetime.date.today().isoformat()}",
             "", "`" + " ".join(["tools/bench/sweep.py"] + sys.argv[1:]) + "`", "", f"![plot]({os.path.basename(options.out)}.svg)", ""]
    for title, axis, points in panels:
        lines += table(title, axis, points)
    with open(options.out + ".md", "w") as file:
        file.write("\n".join(lines))
    with open(options.out + ".svg", "w") as file:
        file.write(svg(panels))
    cliffs = [p for p in done if p.get("cliff")]
    print(f"{options.out}.md, {options.out}.svg; " + (f"{len(cliffs)} cliffs" if cliffs else "no cliff"))


if __name__ == "__main__":
    main()
