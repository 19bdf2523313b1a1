"""How fast PyTorch and qembed quantize the same table to 4 bits, and whether they agree.

tools/peers/quantize runs it; README.md says what is compared.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# No __pycache__ beside the scripts.
sys.dont_write_bytecode = True
from shared import built, cores, cpu_model, positive

# The table of all-MiniLM-L6-v2, which people quantize, is this large.
ROWS, DIM, SEED = 30522, 384, 1
# A method of qembed, and what PyTorch is asked for beside it. The last has no peer there: its error is
# compared, not its bytes.
CASES = [
    ("greedy-torch", {"optimized_qparams": True}, True),
    ("asym", {}, True),
    ("lsq", {"optimized_qparams": True}, False),
]


def arguments():
    parser = argparse.ArgumentParser(prog="tools/peers/quantize", description=__doc__.splitlines()[0])
    parser.add_argument(
        "table",
        nargs="?",
        metavar="TABLE",
        help=f".safetensors or .npy (default: {ROWS} x {DIM} values of N(0,1)*0.05, seed {SEED})",
    )
    parser.add_argument("--tensor", help="which tensor of a .safetensors file that holds several")
    parser.add_argument("--repeat", type=positive, default=5, help="how often each is timed (default: 5)")
    parser.add_argument("--threads", type=positive, default=cores(), help="of each (default: all cores)")
    parser.add_argument("--device", help="qembed's own --device (default: none given)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file to write the figures to")
    parser.add_argument("--qembed", default=built("qembed"), help="the command (default: target/release/qembed)")
    return parser.parse_args()


def made_up(folder):
    """Writes the table that stands in for one, and returns its file and the tensor's name."""
    random = np.random.default_rng(SEED)
    values = random.standard_normal((ROWS, DIM), dtype=np.float32) * np.float32(0.05)
    path = folder / "table.safetensors"
    safetensors.numpy.save_file({"weight": values}, path)
    return path, "weight"


def read(path, tensor):
    """The table as a float32 tensor of PyTorch, and the tensor's name where the file has names."""
    if path.suffix == ".npy":
        if tensor:
            sys.exit(f"{path} holds one array; leave --tensor out")
        values = torch.from_numpy(np.load(path))
    elif path.suffix == ".safetensors":
        with safetensors.safe_open(path, framework="pt") as file:
            names = sorted(file.keys())
            if tensor is None and len(names) == 1:
                tensor = names[0]
            if tensor not in names:
                sys.exit(f"{path}: choose with --tensor one of {', '.join(names)}")
            values = file.get_tensor(tensor)
    else:
        sys.exit(f"{path} is neither .safetensors nor .npy")
    if values.dim() != 2 or values.shape[1] % 2 or not values.is_floating_point():
        shape = " x ".join(map(str, values.shape))
        sys.exit(f"{path}: PyTorch packs floats of rows x an even dim, this is {values.dtype}, {shape}")
    # A copy: the file is mapped, and would be read while PyTorch is timed.
    return values.to(torch.float32, copy=True), tensor


class Qembed:
    def __init__(self, command, threads):
        self.command = command
        self.env = {**os.environ, "RAYON_NUM_THREADS": str(threads)}

    def __call__(self, *args):
        """Runs the command; what it prints, and the seconds that it took."""
        args = [str(self.command), *map(str, args)]
        start = time.perf_counter()
        try:
            done = subprocess.run(args, env=self.env, capture_output=True, text=True)
        except OSError as error:
            sys.exit(f"{self.command}: {error.strerror}")
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"qembed {' '.join(args[1:])}: exit {done.returncode}\n{done.stderr.strip()}")
        return done.stdout, seconds


def quantizing_seconds(printed):
    found = re.search(r"quantized in (\d+(?:\.\d+)?) s\b", printed)
    if not found or not float(found[1]):
        sys.exit(f"qembed quantize should print 'quantized in S s', S above 0; it printed: {printed.strip()}")
    return float(found[1])


def compare_bytes(method, ours, theirs):
    if ours.dtype != np.uint8 or ours.shape != theirs.shape:
        sys.exit(f"{method}: qembed's rows are {ours.dtype} {ours.shape}, PyTorch's uint8 {theirs.shape}")
    differ = ours != theirs
    if differ.any():
        row, column = np.argwhere(differ)[0]
        sys.exit(
            f"{method}: {differ.sum()} bytes in {differ.any(axis=1).sum()} rows are not PyTorch's;"
            f" the first is byte {column} of row {row}: {ours[row, column]}, PyTorch has {theirs[row, column]}"
        )


def error(weights, restored):
    """||X - X'|| / ||X||, in float64."""
    exact = weights.double()
    return ((exact - restored.double()).norm() / exact.norm()).item()


def rates(rows, seconds):
    return {
        "median": rows / statistics.median(seconds),
        "min": rows / max(seconds),
        "max": rows / min(seconds),
    }


def compare(method, options, same_bytes, weights, quantize, qembed, folder, repeat):
    """Times one method of both, in turn, and checks what they made every time."""
    table, rows, values = (folder / name for name in ("tmp.safetensors", "rows.npy", "values.npy"))
    prepack = torch.ops.quantized.embedding_bag_4bit_prepack
    seconds = {"torch": [], "command": [], "quantizing": []}
    # The first round warms up threads and the file cache, and is not counted.
    for _ in range(repeat + 1):
        start = time.perf_counter()
        packed = prepack(weights, **options)
        seconds["torch"].append(time.perf_counter() - start)

        printed, took = qembed(*quantize, "--method", method, "--bits", 4, "--output", table)
        seconds["command"].append(took)
        seconds["quantizing"].append(quantizing_seconds(printed))

        if same_bytes:
            qembed("export", table, "--layout", "pytorch", "--output", rows)
            compare_bytes(method, np.load(rows), packed.numpy())

    result = {"method": method, "torch_options": options}
    for name, all_of_it in seconds.items():
        result[name] = rates(len(weights), all_of_it[1:])
    for name in ("command", "quantizing"):
        result[f"{name}_ratio"] = result[name]["median"] / result["torch"]["median"]
    if same_bytes:
        result["bytes_agree"] = True
    else:
        qembed("dequantize", table, "--output", values)
        unpacked = torch.ops.quantized.embedding_bag_4bit_unpack(packed)
        result["torch_error"] = error(weights, unpacked)
        result["error"] = error(weights, torch.from_numpy(np.load(values)))
    return result


def show(result):
    options = "optimized" if result["torch_options"] else "plain"
    lines = [
        (result["method"], f"torch, {options}", "torch", ""),
        ("", "qembed, whole command", "command", f"{result['command_ratio']:.3f}"),
        ("", "qembed, quantizing alone", "quantizing", f"{result['quantizing_ratio']:.3f}"),
    ]
    for method, what, name, ratio in lines:
        figures = "".join(f"{result[name][key]:>14,.0f}" for key in ("median", "min", "max"))
        print(f"{method:<14}{what:<26}{figures}{ratio:>10}".rstrip())
    if "bytes_agree" in result:
        print(f"{'':<14}bytes agree")
    else:
        print(f"{'':<14}error {result['error']:.6f}, torch's {result['torch_error']:.6f}")
    sys.stdout.flush()


def main(args, folder):
    torch.set_num_threads(args.threads)
    if args.table:
        path, tensor, about = Path(args.table), args.tensor, args.table
    elif args.tensor:
        sys.exit("--tensor: give a TABLE that holds it")
    else:
        path, tensor = made_up(folder)
        about = f"N(0,1)*0.05, numpy's default_rng({SEED})"
    if not path.is_file():
        sys.exit(f"{path}: no such file")
    weights, tensor = read(path, tensor)
    quantize = ["quantize", path]
    if tensor:
        quantize += ["--tensor", tensor]
    if args.device:
        quantize += ["--device", args.device]

    rows, dim = weights.shape
    about = {
        "torch_version": torch.__version__,
        "threads": args.threads,
        "cpu": cpu_model(),
        "rows": rows,
        "dim": dim,
        "table": about,
        "tensor": tensor,
        "device": args.device,
        "repeat": args.repeat,
    }
    print(f"torch {about['torch_version']} and qembed, {args.threads} threads, {about['cpu']}")
    print(f"{rows} rows x {dim} to 4 bits; {about['table']}")
    print(f"rows per second, {args.repeat} runs each, in turn; the ratio is qembed's median over torch's")
    print()
    print(f"{'':<40}{'median':>14}{'min':>14}{'max':>14}{'ratio':>10}", flush=True)
    qembed = Qembed(args.qembed, args.threads)
    results = []
    for case in CASES:
        results.append(compare(*case, weights, quantize, qembed, folder, args.repeat))
        show(results[-1])
    if args.json:
        args.json.write_text(json.dumps({**about, "methods": results}, indent=2) + "\n")


if __name__ == "__main__":
    args = arguments()
    # Not before: --help and a bad argument need none of them.
    import numpy as np
    import safetensors
    import safetensors.numpy
    import torch

    with tempfile.TemporaryDirectory() as temporary:
        main(args, Path(temporary))
