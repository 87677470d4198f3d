#!/usr/bin/python3
"""VkFER and PyTorch on one machine in one session: they take turns, so that a disturbance meets both, and the ratios are
of medians over the rounds.

    tools/bench/compare_torch.py --models mobilenet_v2,resnet50 --train 48x32,128x16 --infer 224x1,224x8 --rounds 3 \
        --out tools/bench/results/2026-01-31-machine.md

`48x32` is size 48, batch 32. On a CPU both get the same number of threads; with CUDA (--torch-device cuda) torch runs on
the card and VkFER on --device. Of torch's memory formats, and for inference of its eager and its frozen traced form, the
fastest in a short trial is measured. A training step is AdamW with the batch coming from the host and the loss read back
each step, on both sides. Models that one side lacks are skipped, and the table says so.
"""
import argparse
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys

# VkFER's names where torchvision has another.
TORCHVISION = {"mobilenetv2": "mobilenet_v2"}


def torch_name(model):
    return TORCHVISION.get(model, model)


# ---- the torch side: a process of its own, so that its peak memory is one measurement's --------------------------------

def measure_torch(job):
    import resource
    import time

    import torch
    import torchvision

    torch.manual_seed(1)
    torch.set_num_threads(job["threads"])
    cuda = job["torch_device"] == "cuda"
    device = torch.device(job["torch_device"])
    builder = getattr(torchvision.models, torch_name(job["model"]), None)
    if builder is None:
        return {"missing": f"torchvision {torchvision.__version__} has no {torch_name(job['model'])}"}
    half = job["precision"] == "fp16"
    if half and not cuda:
        return {"missing": "PyTorch has fp16 on CUDA only"}
    autocast = torch.cuda.amp.autocast(enabled=half) if cuda else contextlib.nullcontext()
    size, batch, training = job["size"], job["batch"], job["training"]
    host = torch.rand(batch, 3, size, size)
    host = host.pin_memory() if cuda else host
    labels = (torch.arange(batch) % 7).to(device)

    def synchronize():
        if cuda:
            torch.cuda.synchronize()

    def stepper(variant):
        memory = torch.channels_last if "channels_last" in variant else torch.contiguous_format
        net = builder(num_classes=7).to(device=device, memory_format=memory)
        if not training:
            net.eval()
            if "frozen" in variant:
                example = host.to(device).contiguous(memory_format=memory)
                with torch.no_grad(), autocast:
                    net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, example)))

            def infer():
                with torch.no_grad(), autocast:
                    return net(host.to(device, non_blocking=True).contiguous(memory_format=memory)).softmax(1).cpu()
            return infer
        net.train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
        loss_of = torch.nn.CrossEntropyLoss()
        scaler = torch.cuda.amp.GradScaler(enabled=half)

        def train():
            optimizer.zero_grad(set_to_none=True)
            with autocast:
                loss = loss_of(net(host.to(device, non_blocking=True).contiguous(memory_format=memory)), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.item()
        return train

    def seconds(step, repeats):
        samples = []
        for _ in range(repeats):
            synchronize()
            start = time.perf_counter()
            step()
            synchronize()
            samples.append(time.perf_counter() - start)
        return samples

    variant = job.get("variant")
    if variant is None:  # a trial: the fastest of a few, after two steps of warm-up
        trials = {}
        for name in ["contiguous", "channels_last"] + ([] if training else ["contiguous frozen", "channels_last frozen"]):
            try:
                step = stepper(name)
                seconds(step, 3)
                trials[name] = min(seconds(step, 3))
            except RuntimeError as error:
                trials[name] = float("inf")
                print(f"torch {name}: {str(error).splitlines()[0]}", file=sys.stderr)
        return {"variant": min(trials, key=trials.get), "trials": trials}
    step = stepper(variant)
    seconds(step, job["warmup"])
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    samples = seconds(step, job["repeats"])
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"milliseconds": statistics.median(samples) * 1e3, "peak_bytes": peak, "torch": torch.__version__,
            "torchvision": torchvision.__version__, "device": torch.cuda.get_device_name() if cuda else "CPU"}


def run_torch(job, timeout):
    command = [sys.executable, os.path.abspath(__file__), "--torch-child", json.dumps(job)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(job["threads"]), MKL_NUM_THREADS=str(job["threads"]))
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout)
    if ran.returncode:
        return {"missing": "torch failed: " + (ran.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(ran.stdout)


# ---- the VkFER side -----------------------------------------------------------------------------------------------------

def vkfer_command(options, job):
    command = [options.vkfer, "bench", "train" if job["training"] else "infer", "--model", job["model"], "--size", str(job["size"]),
               "--batch", str(job["batch"]), "--warmup", str(job["warmup"]), "--repeats", str(job["repeats"]), "--precision", job["precision"], "--json"]
    return command + (["--device", options.device] if options.device else [])


def run_vkfer(options, job, timeout):
    environment = dict(os.environ, LP_NUM_THREADS=str(job["threads"]))  # lavapipe's; of no effect on a GPU
    ran = subprocess.run(vkfer_command(options, job), capture_output=True, text=True, env=environment, timeout=timeout)
    if ran.returncode:
        return {"missing": (ran.stderr.strip().splitlines() or ["no message"])[-1]}
    answer = json.loads(ran.stdout)
    return {"milliseconds": answer["milliseconds_per_step"], "peak_bytes": answer["peak_bytes"],
            "host_milliseconds": answer["host_milliseconds_per_step"], "device": answer["device"], "driver": answer["driver"]}


# ---- in turns -----------------------------------------------------------------------------------------------------------

def compare(options, job):
    """One row: both sides measured in turns, or why not."""
    trial = run_torch(job, options.timeout)
    if "missing" in trial:
        return dict(job, skipped=trial["missing"])
    sides = {"torch": [], "vkfer": []}
    for round_index in range(options.rounds):
        turns = [("torch", lambda: run_torch(dict(job, variant=trial["variant"]), options.timeout)),
                 ("vkfer", lambda: run_vkfer(options, job, options.timeout))]
        for side, measure in turns if round_index % 2 == 0 else reversed(turns):
            result = measure()
            if "missing" in result:
                return dict(job, skipped=f"{side}: {result['missing']}")
            sides[side].append(result)
    row = dict(job, variant=trial["variant"], samples=sides)
    for side, results in sides.items():
        row[side] = {"milliseconds": statistics.median(r["milliseconds"] for r in results),
                     "peak_bytes": max(r["peak_bytes"] for r in results)}
    row["ratio"] = row["torch"]["milliseconds"] / row["vkfer"]["milliseconds"]
    return row


def name_of(row):
    return f"{row['model']} {'train' if row['training'] else 'infer'} {row['size']} b{row['batch']}"


def markdown(options, rows):
    done = [r for r in rows if "skipped" not in r]
    lines = ["# VkFER beside PyTorch", ""]
    if done:
        ours, theirs = done[0]["samples"]["vkfer"][0], done[0]["samples"]["torch"][0]
        lines += [f"* VkFER on {ours['device']}, {ours['driver']}",
                  f"* PyTorch {theirs['torch']}, torchvision {theirs['torchvision']}, on {theirs['device']}"]
    lines += [f"* {options.precision}; {options.threads} threads each; {options.rounds} rounds in turns, {options.repeats} steps a round after {options.warmup} of warm-up; medians",
              f"* {datetime.date.today().isoformat()}, load average at the end {os.getloadavg()[0]:.1f}",
              "* `" + " ".join(["tools/bench/compare_torch.py"] + sys.argv[1:]) + "`", "",
              "Ratio: VkFER's speed over PyTorch's; above 1 VkFER is faster. Memory: VkFER's device memory at its peak beside "
              + ("torch.cuda.max_memory_allocated." if options.torch_device == "cuda" else "the resident memory of torch's process at its peak."), "",
              "| model | | size | batch | VkFER images/s | PyTorch images/s | ratio | VkFER MiB | PyTorch MiB | PyTorch's form |",
              "|---|---|---|---|---|---|---|---|---|---|"]
    for r in done:
        rate = {side: r["batch"] * 1e3 / r[side]["milliseconds"] for side in ("vkfer", "torch")}
        lines.append(f"| {r['model']} | {'train' if r['training'] else 'infer'} | {r['size']} | {r['batch']} | {rate['vkfer']:.1f} | {rate['torch']:.1f} | "
                     f"{r['ratio']:.2f} | {r['vkfer']['peak_bytes'] / 2**20:.0f} | {r['torch']['peak_bytes'] / 2**20:.0f} | {r['variant']} |")
    skipped = [r for r in rows if "skipped" in r]
    if skipped:
        lines += ["", "Skipped:", ""] + [f"* {name_of(r)}: {r['skipped']}" for r in skipped]
    return "\n".join(lines) + "\n"


def shapes(text):
    """'48x32,224x8' -> [(48, 32), (224, 8)]; '' -> []"""
    try:
        pairs = [tuple(int(n) for n in word.split("x")) for word in text.split(",") if word]
    except ValueError:
        pairs = [()]
    if any(len(pair) != 2 or min(pair) < 1 for pair in pairs):
        raise argparse.ArgumentTypeError(f"got '{text}', expected SIZExBATCH,...")
    return pairs


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--vkfer", default=os.path.join(here, "..", "..", "build", "vkfer"), help="the binary (default: build/vkfer)")
    parser.add_argument("--models", default="mobilenet_v2", help="torchvision's names, with commas")
    parser.add_argument("--train", type=shapes, default="48x32", help="SIZExBATCH,... ('' for none)")
    parser.add_argument("--infer", type=shapes, default="224x1,224x8", help="SIZExBATCH,... ('' for none)")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32", help="fp16: mixed precision on both sides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=8, help="steps before the measured ones, in every round")
    parser.add_argument("--repeats", type=int, default=5, help="measured steps of a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--torch-device", choices=["cpu", "cuda"], default=None, help="default: cuda where there is one")
    parser.add_argument("--device", default="", help="VkFER's device")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one measurement")
    parser.add_argument("--out", help="markdown file; default: stdout")
    parser.add_argument("--json", help="all samples, as JSON")
    parser.add_argument("--torch-child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    if options.torch_child:
        print(json.dumps(measure_torch(json.loads(options.torch_child))))
        return
    if options.torch_device is None:
        found = subprocess.run([sys.executable, "-c", "import torch; print(torch.cuda.is_available())"], capture_output=True, text=True)
        if found.returncode:
            sys.exit(f"compare_torch.py: {sys.executable} has no PyTorch. Fix: apt-get install python3-torch python3-torchvision, and run with /usr/bin/python3")
        options.torch_device = "cuda" if found.stdout.strip() == "True" else "cpu"
    if not os.access(options.vkfer, os.X_OK):
        sys.exit(f"compare_torch.py: no program at {options.vkfer}. Fix: ./vkfer --version builds it; or --vkfer FILE")
    rows = []
    for model in options.models.split(","):
        for training, pairs in ((True, options.train), (False, options.infer)):
            for size, batch in pairs:
                job = {"model": model, "size": size, "batch": batch, "training": training, "threads": options.threads, "warmup": options.warmup,
                       "repeats": options.repeats, "precision": options.precision, "torch_device": options.torch_device}
                rows.append(compare(options, job))
                row = rows[-1]
                print(f"{name_of(row)}: " + (f"skipped: {row['skipped']}" if "skipped" in row else
                      f"VkFER {row['vkfer']['milliseconds']:.1f} ms, PyTorch {row['torch']['milliseconds']:.1f} ms, ratio {row['ratio']:.2f}"), file=sys.stderr)
    table = markdown(options, rows)
    if options.out:
        with open(options.out, "w") as file:
            file.write(table)
    else:
        print(table, end="")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
