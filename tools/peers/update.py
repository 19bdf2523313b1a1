"""How fast PyTorch trains float32 embeddings and qembed packed ones, on the same batch.

tools/peers/update runs it; README.md says what is compared.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

# No __pycache__ beside the scripts.
sys.dont_write_bytecode = True
from shared import Program, built, cores, cpu_model, positive

BAGS, BAG_LENGTH, SEED = 4096, 32, 1
DIMS = (16, 64, 128)
# qembed's optimizers, and what PyTorch is asked for beside each.
CASES = [("sgd", "SGD"), ("rowwise-adagrad", "Adagrad"), ("adagrad", "Adagrad")]


def arguments():
    parser = argparse.ArgumentParser(prog="tools/peers/update", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=positive, default=262144, help="of the table (default: 262144)")
    parser.add_argument("--bits", type=int, choices=(2, 4, 8), default=8, help="of qembed's codes (default: 8)")
    parser.add_argument("--repeat", type=positive, default=11, help="how often each is timed (default: 11)")
    parser.add_argument("--threads", type=positive, default=cores(), help="of each (default: all cores)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file to write the figures to")
    program = built("examples/update_steps")
    parser.add_argument(
        "--qembed", default=program, help="the program (default: target/release/examples/update_steps)"
    )
    return parser.parse_args()


def batches(rows):
    """A batch without duplicates, where there are rows enough, and one with the frequencies of words."""
    random = np.random.default_rng(SEED)
    count = BAGS * BAG_LENGTH
    order = random.permutation(rows)
    named = {}
    if rows >= count:
        named["distinct"] = order[:count]
    frequencies = 1.0 / np.arange(1, rows + 1)
    named["zipf"] = order[random.choice(rows, size=count, p=frequencies / frequencies.sum())]
    return {name: indices.astype(np.uint32) for name, indices in named.items()}


class Torch:
    """A float32 table; its forward is not timed."""

    def __init__(self, optimizer, rows, dim, indices):
        self.bag = torch.nn.EmbeddingBag(rows, dim, mode="sum", sparse=True)
        with torch.no_grad():
            self.bag.weight.uniform_(-0.05, 0.05)
        self.optimizer = getattr(torch.optim, optimizer)(self.bag.parameters(), lr=0.01)
        self.indices = torch.from_numpy(indices.astype(np.int64))
        self.offsets = torch.arange(0, BAGS * BAG_LENGTH, BAG_LENGTH)
        self.gradient = torch.empty(BAGS, dim).uniform_(-1e-3, 1e-3)

    def __call__(self):
        """Seconds from the gradient of the output to the updated rows."""
        self.optimizer.zero_grad(set_to_none=True)
        out = self.bag(self.indices, self.offsets)
        start = time.perf_counter()
        out.backward(self.gradient)
        self.optimizer.step()
        return time.perf_counter() - start


def rates(rows, seconds):
    return {
        "median": rows / statistics.median(seconds),
        "min": rows / max(seconds),
        "max": rows / min(seconds),
    }


def compare(args, name, indices, dim, case, folder):
    optimizer, theirs = case
    file = folder / f"{name}.u32"
    indices.tofile(file)
    distinct = len(np.unique(indices))
    torch_step = Torch(theirs, args.rows, dim, indices)
    command = [args.qembed, file, BAGS, args.rows, dim, args.bits, optimizer]
    qembed = Program(command, args.threads)
    seconds = {"torch": [], "qembed": []}
    # The first rounds warm up threads and memory, and are not counted.
    for _ in range(args.repeat + 2):
        seconds["torch"].append(torch_step())
        # A step for every line.
        seconds["qembed"].append(float(qembed.ask("")))
    qembed.close()
    result = {"batch": name, "distinct_rows": distinct, "dim": dim, "optimizer": optimizer, "torch": theirs}
    for side, all_of_it in seconds.items():
        result[f"{side}_rows_per_second"] = rates(distinct, all_of_it[2:])
    sides = [result[f"{side}_rows_per_second"]["median"] for side in ("qembed", "torch")]
    result["ratio"] = sides[0] / sides[1]
    return result


def show(result):
    what = f"{result['batch']}, dim {result['dim']}"
    lines = [
        (what, f"torch {result['torch']}", "torch", ""),
        ("", f"qembed {result['optimizer']}", "qembed", f"{result['ratio']:.2f}"),
    ]
    for what, who, side, ratio in lines:
        rate = result[f"{side}_rows_per_second"]
        figures = "".join(f"{rate[key]:>14,.0f}" for key in ("median", "min", "max"))
        print(f"{what:<20}{who:<26}{figures}{ratio:>10}".rstrip())
    sys.stdout.flush()


def main(args, folder):
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    about = {
        "torch_version": torch.__version__,
        "threads": args.threads,
        "cpu": cpu_model(),
        "rows": args.rows,
        "bits": args.bits,
        "bags": BAGS,
        "bag_length": BAG_LENGTH,
        "repeat": args.repeat,
    }
    print(f"torch {about['torch_version']} and qembed, {args.threads} threads, {about['cpu']}")
    print(f"{args.rows} rows, {BAGS} bags of {BAG_LENGTH}; torch float32, qembed {args.bits} bits, stochastic rounding")
    print("torch: backward of EmbeddingBag(sparse=True), which makes the sparse gradient, and optimizer.step()")
    print("qembed: Training::backward_update, from indices and gradient to packed rows and state")
    print(f"distinct rows updated per second, {args.repeat} steps each, in turn; the ratio is of the medians")
    print()
    print(f"{'':<46}{'median':>14}{'min':>14}{'max':>14}{'ratio':>10}", flush=True)
    results = []
    for name, indices in batches(args.rows).items():
        for dim in DIMS:
            for case in CASES:
                results.append(compare(args, name, indices, dim, case, folder))
                show(results[-1])
    if args.json:
        args.json.write_text(json.dumps({**about, "steps": results}, indent=2) + "\n")


if __name__ == "__main__":
    args = arguments()
    # Not before: --help and a bad argument need none of them.
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as temporary:
        main(args, Path(temporary))
