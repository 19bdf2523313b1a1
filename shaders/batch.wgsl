// What the kernels of an update share: the size of a batch, what is found wrong with it, and its gradients.

struct Work {
    bags: u32,
    indices: u32,
    // What this dispatch may do; see shader::Pass.
    pass_kind: u32,
    pad: u32,
}

struct Status {
    bad_indices: atomic<u32>,
    first_position: atomic<u32>,
    bad_bags: atomic<u32>,
    first_bag: atomic<u32>,
    bad_rows: atomic<u32>,
    first_row: atomic<u32>,
    unfinished: atomic<u32>,
    first_unfinished: atomic<u32>,
}

// A position's bag, and the bits of what the bag's gradient is multiplied by; NaN where that is not finite.
struct Occurrence {
    bag: u32,
    coefficient: u32,
}

const NO_ROW: u32 = 0xffffffffu;

// How many of four columns from this one on a row has.
fn columns_left(column: u32) -> u32 {
    return min(table.dim - column, 4u);
}
