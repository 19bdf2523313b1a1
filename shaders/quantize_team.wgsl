// Methods that search: a method's fragment supplies choose(), which runs in all lanes at once, so that
// its barriers are met by all.
//
// Grid: a team of 16 lanes owns one row; a workgroup holds four teams.
// Memory: the rows of a workgroup lie in workgroup memory where they fit, CACHED columns each; where
//   CACHED is 0 they are read from values again and again.
// Host guarantees: WORKGROUP is 64; CACHED is 0 or no less than dim; CACHE is max(1, 4 * CACHED).

override CACHED: u32;
override CACHE: u32;

const TEAM: u32 = 16u;
const TEAMS: u32 = 4u;

// More than any row costs.
const LARGEST: f32 = 0x1.fffffep127f;

var<workgroup> cache: array<f32, CACHE>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;
var<workgroup> counts: array<vec2<u32>, WORKGROUP>;
var<workgroup> busy: array<u32, TEAMS>;

var<private> lane: u32;
var<private> team: u32;
var<private> row: u32;
// Columns that this lane's loops end at: none where there is nothing to search.
var<private> columns: u32;

fn value(column: u32) -> f32 {
    if CACHED > 0u {
        return cache[team * CACHED + column];
    }
    return bitcast<f32>(value_bits(row, column));
}

// The sums of a team's lanes: lane i takes lane i + 8's, then i + 4's, i + 2's, i + 1's.
fn team_sums(terms: vec4<f32>) -> vec4<f32> {
    let local = team * TEAM + lane;
    sums[local] = terms;
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            let a = sums[local];
            let b = sums[local + stride];
            sums[local] = vec4<f32>(
                add_rn(a.x, b.x),
                add_rn(a.y, b.y),
                add_rn(a.z, b.z),
                add_rn(a.w, b.w),
            );
        }
    }
    workgroupBarrier();
    let total = sums[team * TEAM];
    workgroupBarrier();
    return total;
}

fn team_counts(terms: vec2<u32>) -> vec2<u32> {
    let local = team * TEAM + lane;
    counts[local] = terms;
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            counts[local] += counts[local + stride];
        }
    }
    workgroupBarrier();
    let total = counts[team * TEAM];
    workgroupBarrier();
    return total;
}

// Smallest and largest key of a team.
fn team_range(low: u32, high: u32) -> vec2<u32> {
    let local = team * TEAM + lane;
    counts[local] = vec2<u32>(low, high);
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            let a = counts[local];
            let b = counts[local + stride];
            counts[local] = vec2<u32>(min(a.x, b.x), max(a.y, b.y));
        }
    }
    workgroupBarrier();
    let range = counts[team * TEAM];
    workgroupBarrier();
    return range;
}

// Whether any team of the workgroup says so; the same in all lanes.
fn any_team(is: bool) -> bool {
    if lane == 0u {
        busy[team] = select(0u, 1u, is && columns > 0u);
    }
    let flags = workgroupUniformLoad(&busy);
    return (flags[0] | flags[1] | flags[2] | flags[3]) != 0u;
}

// Columns to an iteration of a lane: some drivers count a lane's iterations, see STEP in lookup_bags.wgsl.
const STEP: u32 = 4u * TEAM;

// The sums so far and the squared errors of a column with two grids, if there is one.
fn add_errors(terms: vec4<f32>, column: u32, a: Grid, b: Grid) -> vec4<f32> {
    if column >= columns {
        return terms;
    }
    let x = value(column);
    return vec4<f32>(
        add_rn(terms.x, squared_error(x, a)),
        add_rn(terms.y, squared_error(x, b)),
        0.0,
        0.0,
    );
}

// What storing the row costs; a grid that the header cannot hold costs more than any other.
fn losses(a: Grid, b: Grid) -> vec2<f32> {
    var terms = vec4<f32>();
    for (var column = lane; column < columns; column += STEP) {
        terms = add_errors(terms, column, a, b);
        terms = add_errors(terms, column + TEAM, a, b);
        terms = add_errors(terms, column + 2u * TEAM, a, b);
        terms = add_errors(terms, column + 3u * TEAM, a, b);
    }
    let total = team_sums(terms);
    return select(vec2<f32>(LARGEST), total.xy, vec2<bool>(a.good, b.good));
}

fn loss(grid: Grid) -> f32 {
    return losses(grid, grid).x;
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    lane = local % TEAM;
    team = local / TEAM;
    row = group_number(group) * TEAMS + team;
    var low_key = 0xffffffffu;
    var high_key = 0u;
    if row < work.rows {
        for (var column = lane; column < table.dim; column += TEAM) {
            let bits = value_bits(row, column);
            low_key = min(low_key, ordered(bits));
            high_key = max(high_key, ordered(bits));
            if CACHED > 0u {
                cache[team * CACHED + column] = bitcast<f32>(bits);
            }
        }
    }
    // Its barriers publish the cache too.
    let keys = team_range(low_key, high_key);
    let finite = is_finite_key(keys.x) && is_finite_key(keys.y);
    var low = 0.0;
    var high = 0.0;
    var grid = Grid();
    if finite {
        low = unordered(keys.x);
        high = unordered(keys.y);
        grid = first_grid(low, high);
    }
    if grid.good && is_searchable(low, high) {
        columns = table.dim;
    }
    // Others run along with a row of zeros.
    let searched = columns > 0u;
    let chosen = choose(select(0.0, low, searched), select(0.0, high, searched));
    if searched && chosen.good {
        grid = chosen;
    }
    if row < work.rows {
        if lane == 0u && !finite {
            report_not_finite(row);
        } else if lane == 0u && !grid.good {
            report_out_of_range(row);
        }
        store_row(row, lane, TEAM, grid);
    }
}
