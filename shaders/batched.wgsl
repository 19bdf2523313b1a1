// Bags of many tables pooled at once: a lookup whose table, and what becomes of its rows, change from one workgroup to the
// next. A feature is a table and how its bags are pooled; features may share a table.
//
// Grid: the workgroups of a feature are those from its first_group on; in them lane = bag * tiles + tile of the bag's row.
// Bindings: 0 batch, 1 requested, 2 rows: the arena, which holds every table's rows, codebooks and block ids, and remap;
//   3 indices, 4 offsets [features * bags + 1], feature by feature, 5 weights, 6 output, 7 status, as in lookup.wgsl;
//   8 features [batch.features].
// Host guarantees: there is a feature; tile is that of the plan, and the constants name what any feature has; every range
// holds what batch says, of which requested may ask for less; what a feature names lies in the arena; output elements
// <= 2^31; first_group increases; of f16 rows length and place are even.
// Determinism: as of lookup.wgsl; the order of summation is that of a lookup in the one table.

struct Batch {
    features: u32,
    // What the ranges hold, and of how many bags to a feature they hold offsets.
    bags: u32,
    indices: u32,
    offset_bags: u32,
}

struct Feature {
    rows: u32,
    dim: u32,
    row_words: u32,
    // Always 0. The compiler cannot know, which is what exact.wgsl needs.
    zero: u32,
    blocks: u32,
    id_bits: u32,
    // Where the table's rows, its codebooks and its remap begin in the arena, in words.
    first_word: u32,
    first_codebook: u32,
    first_remap: u32,
    // Entries of the remap; 0 where indices are rows.
    remap_len: u32,
    // How a row is read: batched_decode.wgsl.
    kind: u32,
    bits: u32,
    header_words: u32,
    // Whether scale, bias or step are f16, and so of floats of 16 bits.
    is_half: u32,
    pooling: u32,
    // Columns that a lane pools.
    tile: u32,
    first_group: u32,
    // Where the row of the feature's first bag begins in the output, and from one bag to the next, in elements.
    output_first: u32,
    output_stride: u32,
    // Whether few tables have such rows: is_rare().
    is_rare: u32,
}

const POOLING_MEAN: u32 = 2u;
const POOLING_MAX: u32 = 3u;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> requested: Counts;
@group(0) @binding(8) var<storage, read> features: array<Feature>;

// What no feature of the batch has is left out of the kernel.
override MAXIMA: bool;
override REMAPS: bool;

// What a lookup in one table knows when it is compiled, or from a uniform: here the entry point says it.
var<private> table: Feature;
var<private> counts: Counts;
var<private> first_bag: u32;
var<private> MEAN: bool;

fn enter(feature: u32) {
    table = features[feature];
    enter_format();
    MEAN = table.pooling == POOLING_MEAN;
    counts = Counts(min(requested.bags, batch.bags), min(requested.indices, batch.indices));
    // Offsets lie as the request says, also where the output holds fewer bags.
    first_bag = feature * min(requested.bags, batch.offset_bags);
}

// The last feature whose workgroups do not begin behind this one.
fn feature_of(group: u32) -> u32 {
    var low = 0u;
    var high = batch.features;
    while low + 1u < high {
        let middle = (low + high) / 2u;
        if features[middle].first_group <= group {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

fn row_start(row: u32) -> u32 {
    return table.first_word + row * table.row_words;
}

// The row at a position; NO_ROW, too, where the remap says that the row was pruned, which is no fault.
fn row_at(position: u32, leads: bool) -> u32 {
    let index = index_at(position);
    if REMAPS && table.remap_len > 0u {
        if index < table.remap_len {
            let row = rows[table.first_remap + index];
            if row < table.rows || row == NO_ROW {
                return row;
            }
        }
    } else if index < table.rows {
        return index;
    }
    if leads {
        report_index(position);
    }
    return NO_ROW;
}

fn output_start(bag: u32) -> u32 {
    return table.output_first + (bag - first_bag) * table.output_stride;
}

@compute @workgroup_size(WORKGROUP)
fn batched(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = group_number(group);
    enter(feature_of(number));
    let lane = (number - table.first_group) * WORKGROUP + local;
    let tiles = (table.dim + table.tile - 1u) / table.tile;
    let bag = first_bag + lane / tiles;
    let column = lane % tiles * table.tile;
    if bag >= first_bag + counts.bags {
        return;
    }
    let leads = column == 0u;
    if MAXIMA && table.pooling == POOLING_MAX {
        store_columns(bag, column, max_columns(bag, column, leads));
        return;
    }
    let range = bag_range(bag, leads);
    if is_rare() {
        let sum = bag_sum(bag, range, column, leads);
        store_columns(bag, column, sum * pooled_share(range));
        return;
    }
    store_sum(bag, column, tile_sum(bag, range, column, leads), pooled_share(range));
}
