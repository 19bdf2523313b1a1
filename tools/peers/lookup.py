"""How fast PyTorch and qembed look the same packed rows up, on the CPU.

tools/peers/lookup runs it; README.md says what is compared.
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
from shared import Program, built, cores, cpu_model, load, positive

BAGS, BAG_LENGTH, SEED = 4096, 32, 1
LOOKUPS = BAGS * BAG_LENGTH
# Different ones, taken in turn, so that a batch finds in no cache what the same left there.
BATCHES = 8
# A side that has its turn runs for so many seconds first, which are not counted.
WARM_SECONDS = 0.02
# Rows, columns, bits.
TABLES = [
    (rows, dim, bits) for rows in (200_000, 1_000_000) for dim in (64, 128) for bits in (8, 4, 2)
]
# Beyond any cache.
LARGE = (4_000_000, 64, 4)
NAMES = {8: "byte", 4: "4bit", 2: "2bit"}


def arguments():
    parser = argparse.ArgumentParser(prog="tools/peers/lookup", description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=positive, default=15, help="turns of each (default: 15)")
    parser.add_argument("--calls", type=positive, default=5, help="calls that a turn times (default: 5)")
    parser.add_argument(
        "--threads", type=positive, nargs="+", default=sorted({1, cores()}), help="of each (default: 1, and all cores)"
    )
    parser.add_argument("--rows", type=positive, help="tables of so many rows alone (default: 200000, 1000000, 4000000)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file to write the figures to")
    program = built("examples/lookup_batches")
    parser.add_argument(
        "--qembed", default=program, help="the program (default: target/release/examples/lookup_batches)"
    )
    return parser.parse_args()


class Table:
    """Rows that PyTorch packed, and the same values in float32."""

    def __init__(self, rows, dim, bits):
        self.rows, self.dim, self.bits = rows, dim, bits
        torch.manual_seed(SEED)
        values = torch.empty(rows, dim).uniform_(-0.05, 0.05)
        self.packed = getattr(torch.ops.quantized, f"embedding_bag_{NAMES[bits]}_prepack")(values)
        self.values = getattr(torch.ops.quantized, f"embedding_bag_{NAMES[bits]}_unpack")(self.packed)
        self.indices = np.random.default_rng(SEED).integers(0, rows, (BATCHES, LOOKUPS)).astype(np.uint32)


class Torch:
    """PyTorch's operators; int32 is the faster of the two types that they take."""

    def __init__(self, table):
        self.table = table
        self.batches = list(torch.from_numpy(table.indices.astype(np.int32)))
        self.next = 0
        self.offsets = torch.arange(0, LOOKUPS + 1, BAG_LENGTH, dtype=torch.int32)
        self.operator = getattr(torch.ops.quantized, f"embedding_bag_{NAMES[table.bits]}_rowwise_offsets")

    def packed(self, indices):
        return self.operator(
            self.table.packed,
            indices,
            self.offsets,
            scale_grad_by_freq=False,
            mode=0,
            pruned_weights=False,
            per_sample_weights=None,
            compressed_indices_mapping=None,
            include_last_offset=True,
        )

    def floats(self, indices):
        return torch.nn.functional.embedding_bag(
            indices, self.table.values, self.offsets, mode="sum", include_last_offset=True
        )

    def seconds(self, operator, count):
        def timed():
            indices = self.batches[self.next % BATCHES]
            self.next += 1
            start = time.perf_counter()
            operator(indices)
            return time.perf_counter() - start

        begun = time.perf_counter()
        while time.perf_counter() - begun < WARM_SECONDS:
            timed()
        return [timed() for _ in range(count)]


class Qembed:
    """The same rows in a program of its own."""

    def __init__(self, args, threads, table, folder):
        self.folder = folder
        table.packed.numpy().tofile(folder / "rows.u8")
        table.indices.tofile(folder / "indices.u32")
        files = folder / "rows.u8", folder / "indices.u32"
        command = [args.qembed, files[0], table.bits, table.dim, files[1], BAGS, BAG_LENGTH]
        self.program = Program(command, threads)

    def seconds(self, what, count):
        return [float(text) for text in self.program.ask(f"{what} {count}").split()]

    def answer(self, dim):
        self.program.ask(f"answer {self.folder / 'sums.f32'}")
        return np.fromfile(self.folder / "sums.f32", np.float32).reshape(BAGS, dim)


def same(what, expected, got, largest):
    """Exits where sums differ by more than both roundings may: docs/accuracy.md, for values up to `largest`,
    whose scale * code and bias are together at most three times that."""
    bound = 2 * 2.0**-23 * (BAG_LENGTH + 2) * BAG_LENGTH * 3 * largest
    difference = np.abs(expected.astype(np.float64) - got).max()
    if not difference <= bound:
        sys.exit(f"{what}: sums differ by {difference:.3g}, more than {bound:.3g}")


def compare(args, threads, table, folder):
    torch.set_num_threads(threads)
    theirs, ours = Torch(table), Qembed(args, threads, table, folder)
    sides = {
        "qembed": lambda: ours.seconds("lookup", args.calls),
        "torch": lambda: theirs.seconds(theirs.packed, args.calls),
        "torch_f32": lambda: theirs.seconds(theirs.floats, args.calls),
        "limit": lambda: ours.seconds("limit", args.calls),
    }
    seconds = {side: [] for side in sides}
    for _ in range(args.repeat):
        for side, run in sides.items():
            seconds[side] += run()
    largest = table.values.abs().max().item()
    sums = ours.answer(table.dim)
    ours.program.close()
    same("PyTorch's packed rows", theirs.packed(theirs.batches[0]).numpy(), sums, largest)
    same("PyTorch's float32 rows", theirs.floats(theirs.batches[0]).numpy(), sums, largest)
    result = {"rows": table.rows, "dim": table.dim, "bits": table.bits, "threads": threads, "load": load()}
    for side, taken in seconds.items():
        result[f"{side}_lookups_per_second"] = {
            "median": LOOKUPS / statistics.median(taken),
            "min": LOOKUPS / max(taken),
            "max": LOOKUPS / min(taken),
        }
    return result


def show(result):
    rate = {
        side: result[f"{side}_lookups_per_second"]["median"] for side in ("torch", "torch_f32", "qembed", "limit")
    }
    print(
        f"{result['rows']:>9,} x {result['dim']:<4}{result['bits']:>5}{result['threads']:>9}"
        f"{rate['torch'] / 1e6:>10.1f}{rate['torch_f32'] / 1e6:>10.1f}{rate['qembed'] / 1e6:>10.1f}"
        f"{rate['qembed'] / rate['torch']:>9.2f}{rate['qembed'] / rate['torch_f32']:>9.2f}"
        f"{100 * rate['qembed'] / rate['limit']:>9.0f} %{result['load']:>7.1f}",
        flush=True,
    )


def main(args, folder):
    about = {
        "torch_version": torch.__version__,
        "cpu": cpu_model(),
        "bags": BAGS,
        "bag_length": BAG_LENGTH,
        "batches": BATCHES,
        "repeat": args.repeat,
        "calls": args.calls,
    }
    print(f"torch {about['torch_version']} and qembed, {about['cpu']}")
    print(f"sums of {BAGS} bags of {BAG_LENGTH} rows, uniform; millions of lookups per second, medians of {args.repeat} turns of {args.calls}")
    print()
    print(
        f"{'table':<16}{'bits':>5}{'threads':>9}{'torch':>10}{'torch f32':>10}{'qembed':>10}"
        f"{'/ torch':>9}{'/ f32':>9}{'of limit':>11}{'load':>7}",
        flush=True,
    )
    results = []
    for rows, dim, bits in [*TABLES, LARGE]:
        if args.rows not in (None, rows):
            continue
        table = Table(rows, dim, bits)
        for threads in args.threads:
            results.append(compare(args, threads, table, folder))
            show(results[-1])
    if args.json:
        args.json.write_text(json.dumps({**about, "lookups": results}, indent=2) + "\n")


if __name__ == "__main__":
    args = arguments()
    # Not before: --help and a bad argument need none of them.
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as temporary:
        main(args, Path(temporary))
