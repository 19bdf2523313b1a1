// Indices as a caller gives them.

// Type of indices and offsets; else u32.
override INDEX_I64: bool;

// No row has this number: a table has at most 2^32 - 1 of them.
const NO_ROW: u32 = 0xffffffffu;

// An i64 as u32; as NO_ROW, which is neither a row nor a position, where 32 bits do not hold it.
fn narrowed(low: u32, high: u32) -> u32 {
    return select(NO_ROW, low, high == 0u);
}

fn index_at(position: u32) -> u32 {
    if INDEX_I64 {
        return narrowed(indices[2u * position], indices[2u * position + 1u]);
    }
    return indices[position];
}
