"""How fast ONNX Runtime's WebGPU provider and qembed look the same 4-bit rows up, on one adapter.

tools/peers/gather runs it; README.md says what is compared.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

# No __pycache__ beside the scripts.
sys.dont_write_bytecode = True
from shared import Program, built, cpu_model, load, positive

SEED = 1
# Longer bags than any here whose sums still are exact in float32: 15 * 127 * 8192 < 2^24.
LONGEST_BAG = 8192
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
# How rows are fetched, and how they are added up.
GRAPHS = [
    ("GatherBlockQuantized", "ReduceSum"),
    ("GatherBlockQuantized", "Einsum"),
    ("Gather", "ReduceSum"),
    ("Gather", "Einsum"),
]


def arguments():
    def even(text):
        if positive(text) % 2:
            raise ValueError
        return int(text)

    def length(text):
        if positive(text) > LONGEST_BAG:
            raise ValueError
        return int(text)

    parser = argparse.ArgumentParser(
        prog="tools/peers/gather",
        description=__doc__.splitlines()[0],
        epilog="VK_DRIVER_FILES chooses the Vulkan driver of both (default: SwiftShader, where Debian's chromium is"
        " installed; empty: the machine's own).",
    )
    parser.add_argument("--rows", type=positive, default=200_000, help="of the table (default: 200000)")
    parser.add_argument("--dim", type=even, default=64, help="columns, an even number (default: 64)")
    parser.add_argument("--bags", type=positive, default=4096, help="in a batch (default: 4096)")
    parser.add_argument(
        "--bag-length", type=length, default=32, help=f"rows in each, at most {LONGEST_BAG} (default: 32)"
    )
    parser.add_argument("--repeat", type=positive, default=5, help="how often each is timed (default: 5)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file to write the figures to")
    program = built("examples/lookup_gpu")
    parser.add_argument(
        "--qembed", default=program, help="the program (default: target/release/examples/lookup_gpu)"
    )
    return parser.parse_args()


def choose_driver():
    """Before either side opens a device."""
    if "VK_DRIVER_FILES" not in os.environ and SWIFTSHADER.exists():
        os.environ["VK_DRIVER_FILES"] = str(SWIFTSHADER)
    # Older loaders know another name.
    if os.environ.get("VK_DRIVER_FILES"):
        os.environ["VK_ICD_FILENAMES"] = os.environ["VK_DRIVER_FILES"]
    else:
        os.environ.pop("VK_DRIVER_FILES", None)


def libraries(process):
    """The files that a process has mapped."""
    try:
        lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {Path(line.split(maxsplit=5)[5]).name for line in lines if line.count("/") and ".so" in line}


def drivers(process):
    """The Vulkan drivers that a process has mapped, as far as their names tell; where nothing tells, none."""
    loader = ("libvulkan.so",)
    return sorted(
        name
        for name in libraries(process)
        if ("vulkan" in name or "swiftshader" in name or "nvidia" in name) and not name.startswith(loader)
    )


class Batch:
    """4-bit rows, (code - zero point) * scale, and bags of them.

    Scales are k / 2^14 with 64 <= k < 128, so that bias = -zero point * scale is exact in float16, and every sum is
    exact in float32, in any order: what differs is wrong.
    """

    def __init__(self, args):
        random = np.random.default_rng(SEED)
        self.codes = random.integers(0, 16, (args.rows, args.dim), dtype=np.uint8)
        self.scales = (random.integers(64, 128, (args.rows, 1)) / 2.0**14).astype(np.float32)
        self.zeros = random.integers(0, 16, (args.rows, 1), dtype=np.uint8)
        self.values = (self.codes.astype(np.float32) - self.zeros) * self.scales
        self.indices = random.integers(0, args.rows, (args.bags, args.bag_length), dtype=np.int32)
        self.sums = np.zeros((args.bags, args.dim), np.float32)
        for column in self.indices.T:
            self.sums += self.values[column]

    def rows(self):
        """As PyTorch lays them out: codes, scale, bias."""
        header = np.concatenate([self.scales, self.scales * -self.zeros.astype(np.float32)], 1).astype(np.float16)
        return np.concatenate([nibbles(self.codes).reshape(len(self.codes), -1), header.view(np.uint8)], 1)

    def check(self, what, sums):
        if not np.array_equal(self.sums, sums.reshape(self.sums.shape)):
            sys.exit(f"{what}: sums differ, by {np.abs(self.sums - sums.reshape(self.sums.shape)).max():.3g}")


def nibbles(codes):
    """Two codes to a byte, the first in its low half."""
    flat = codes.ravel()
    flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
    return flat[0::2] | flat[1::2] << 4


class OnnxRuntime:
    """A graph in a session of its own, whose every node runs on the WebGPU provider."""

    def __init__(self, batch, fetch, add, repeat, folder):
        self.batch, self.name = batch, f"{fetch}, {add}"
        rows, dim = batch.values.shape
        if fetch == "GatherBlockQuantized":
            attributes = {
                "domain": "com.microsoft",
                "bits": 4,
                # One block to a row.
                "block_size": max(16, 1 << (dim - 1).bit_length()),
                "gather_axis": 0,
                "quantize_axis": 1,
            }
            # As uint4: of uint8 data the provider takes no zero points with an odd number of blocks to a row.
            table = [
                helper.make_tensor("codes", TensorProto.UINT4, [rows, dim], nibbles(batch.codes).tobytes(), raw=True),
                numpy_helper.from_array(batch.scales, "scales"),
                helper.make_tensor("zeros", TensorProto.UINT4, [rows, 1], nibbles(batch.zeros).tobytes(), raw=True),
            ]
            inputs = ["codes", "indices", "scales", "zeros"]
        else:
            attributes = {"axis": 0}
            table = [numpy_helper.from_array(batch.values, "values")]
            inputs = ["values", "indices"]
        nodes = [helper.make_node(fetch, inputs, ["rows"], **attributes)]
        if add == "ReduceSum":
            table.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
            nodes.append(helper.make_node(add, ["rows", "axes"], ["sums"], keepdims=0))
        else:
            nodes.append(helper.make_node(add, ["rows"], ["sums"], equation="bld->bd"))
        graph = helper.make_graph(
            nodes,
            "lookup",
            [helper.make_tensor_value_info("indices", TensorProto.INT32, batch.indices.shape)],
            [helper.make_tensor_value_info("sums", TensorProto.FLOAT, batch.sums.shape)],
            table,
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Nothing for threads to do, and none that spin while qembed runs.
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        try:
            self.session = onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=[("WebGpuExecutionProvider", {"dawnBackendType": "Vulkan"})],
                enable_fallback=0,
            )
        except Exception as error:
            sys.exit(f"ONNX Runtime: {error}\n(it refuses Mesa's lavapipe; SwiftShader is in Debian's chromium)")
        # Before anything is timed: the profiled runs, of which the first compiles.
        for _ in range(1 + repeat):
            self.seconds()
        events = json.loads(Path(self.session.end_profiling()).read_text())
        self.kernels = self.profiled(events, 1 + repeat)

    def profiled(self, events, runs):
        """The median seconds of every kernel, by the device's clock, or None where it has none; exits where a node
        ran elsewhere."""
        nodes = [event for event in events if event["name"].endswith("_kernel_time")]
        providers = {event["args"]["provider"] for event in nodes}
        if providers != {"WebGpuExecutionProvider"} or len(nodes) != 2 * runs:
            sys.exit(f"{self.name}: {len(nodes)} nodes in {runs} runs, on {', '.join(sorted(providers))}")
        kernels = [event for event in events if event["cat"] == "Api"]
        if not kernels:
            return None
        each = len(kernels) // runs
        if each < 2 or len(kernels) != each * runs:
            sys.exit(f"{self.name}: {len(kernels)} kernels in {runs} runs")
        return [
            (event["name"], statistics.median(again["dur"] for again in kernels[each + place :: each]) / 1e6)
            for place, event in enumerate(kernels[:each])
        ]

    def seconds(self):
        start = time.perf_counter()
        (sums,) = self.session.run(None, {"indices": self.batch.indices})
        taken = time.perf_counter() - start
        self.batch.check(f"ONNX Runtime, {self.name}", sums)
        return taken


class Qembed:
    """The same rows in a program of its own."""

    def __init__(self, args, batch, folder):
        self.batch, self.folder = batch, folder
        batch.rows().tofile(folder / "rows.u8")
        batch.indices.astype(np.uint32).tofile(folder / "indices.u32")
        command = [args.qembed, folder / "rows.u8", 4, args.dim, folder / "indices.u32", args.bags]
        self.program = Program(command)

    def seconds(self, what):
        taken = float(self.program.ask(what))
        self.program.ask(f"answer {self.folder / 'sums.f32'}")
        self.batch.check(f"qembed, {what}", np.fromfile(self.folder / "sums.f32", np.float32))
        return taken


def summary(seconds):
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


def measure(args, ours, theirs):
    """Seconds of qembed's two ways and of every graph, in turn."""
    ways = {"session": [], "gpu": []}
    seconds = {peer.name: [] for peer in theirs}
    # Compiles; the peers have run already.
    for way in ways:
        ours.seconds(way)
    for _ in range(args.repeat):
        for peer in theirs:
            for way, taken in ways.items():
                taken.append(ours.seconds(way))
            seconds[peer.name].append(peer.seconds())
    return {way: summary(taken) for way, taken in ways.items()}, seconds


def show(name, lookups, call, kernels, ratios=(None, None)):
    times = "".join(f"{1e3 * call[which]:>11.2f}" for which in ("median", "min", "max"))
    kernels = "-" if kernels is None else f"{1e3 * kernels:.2f}"
    ratios = ["" if ratio is None else f"{ratio:.1f}" for ratio in ratios]
    print(f"{name:<46}{times}{lookups / call['median'] / 1e6:>12.3f}{ratios[0]:>10}{kernels:>13}{ratios[1]:>10}")


def main(args, folder):
    lookups = args.bags * args.bag_length
    batch = Batch(args)
    ours = Qembed(args, batch, folder)
    adapter = ours.program.ask("adapter")
    theirs = [OnnxRuntime(batch, *graph, args.repeat, folder) for graph in GRAPHS]
    used = drivers(os.getpid())
    if used != drivers(ours.program.process.pid):
        sys.exit(f"not on one adapter: ONNX Runtime loaded {used}, qembed {drivers(ours.program.process.pid)}")
    ways, seconds = measure(args, ours, theirs)
    ours.program.close()
    about = {
        "onnxruntime_version": onnxruntime.__version__,
        "adapter": adapter,
        "drivers": used,
        "cpu": cpu_model(),
        "rows": args.rows,
        "dim": args.dim,
        "bits": 4,
        "bags": args.bags,
        "bag_length": args.bag_length,
        "repeat": args.repeat,
        "load": load(),
    }
    print(f"onnxruntime-webgpu {about['onnxruntime_version']} and qembed on {adapter}, {about['cpu']}")
    print(f"Vulkan driver loaded by both: {', '.join(used) or 'unknown'}; load {about['load']:.1f}")
    print(f"sums of {args.bags} bags of {args.bag_length} rows, uniform; {args.rows:,} rows x {args.dim}, 4 bits")
    print(f"a call sends indices and reads sums back; milliseconds, medians of {args.repeat} in turn")
    print()
    print(
        f"{'':<46}{'call':>11}{'min':>11}{'max':>11}{'Mlookups/s':>12}{'/ qembed':>10}{'kernels':>13}{'/ qembed':>10}"
    )
    call, alone = ways["session"], ways["gpu"]
    show("qembed", lookups, call, alone["median"])
    results = []
    for peer in theirs:
        taken = summary(seconds[peer.name])
        kernels = peer.kernels and sum(median for _, median in peer.kernels)
        ratios = taken["median"] / call["median"], kernels and kernels / alone["median"]
        show(f"onnxruntime {peer.name}", lookups, taken, kernels, ratios)
        parts = peer.kernels and [{"kernel": name, "median": median} for name, median in peer.kernels]
        results.append(
            {
                "graph": peer.name,
                "call_seconds": taken,
                "kernel_seconds": parts,
                "call_over_qembed": ratios[0],
                "kernels_over_qembed": ratios[1],
            }
        )
    if args.json:
        qembed = {"call_seconds": call, "submit_to_end_seconds": alone}
        args.json.write_text(json.dumps({**about, "qembed": qembed, "onnxruntime": results}, indent=2) + "\n")


if __name__ == "__main__":
    args = arguments()
    choose_driver()
    # Not before: --help and a bad argument need none of them.
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    with tempfile.TemporaryDirectory() as temporary:
        main(args, Path(temporary))
