// Method kmeans: Lloyd's algorithm from equally spaced centroids between the row's minimum and maximum;
// centroids in f16, the code of a value that of the first of the nearest.
//
// Grid: a team of 16 lanes owns one row; a workgroup holds four teams. Lane k owns centroid k and sums, in
//   order of columns, the values nearest to it.
// Memory: as in quantize_team.wgsl.
// Host guarantees: WORKGROUP is 64; BITS is at most 4; CACHED is 0 or no less than dim; CACHE is
//   max(1, 4 * CACHED).

override CACHED: u32;
override CACHE: u32;

const TEAM: u32 = 16u;
const TEAMS: u32 = 4u;

var<workgroup> cache: array<f32, CACHE>;
var<workgroup> keys: array<vec2<u32>, WORKGROUP>;
var<workgroup> centroids: array<f32, WORKGROUP>;
var<workgroup> busy: array<u32, WORKGROUP>;
var<workgroup> running: u32;

var<private> lane: u32;
var<private> team: u32;
var<private> row: u32;

fn value(column: u32) -> f32 {
    if CACHED > 0u {
        return cache[team * CACHED + column];
    }
    return bitcast<f32>(value_bits(row, column));
}

fn centroid_count() -> u32 {
    return 1u << BITS;
}

// The first of the nearest centroids.
fn nearest(x: f32) -> u32 {
    var best = 0u;
    var least = abs(sub_rn(x, centroids[team * TEAM]));
    for (var code = 1u; code < centroid_count(); code++) {
        let distance = abs(sub_rn(x, centroids[team * TEAM + code]));
        if distance < least {
            best = code;
            least = distance;
        }
    }
    return best;
}

// Sum and number of the values nearest to this lane's centroid.
struct Members {
    sum: f32,
    count: u32,
}

// With the value of a column, if there is one and it is nearest.
fn add_member(members: Members, column: u32) -> Members {
    if column >= table.dim {
        return members;
    }
    let x = value(column);
    if nearest(x) != lane {
        return members;
    }
    return Members(add_rn(members.sum, x), members.count + 1u);
}

// Columns to an iteration: some drivers count a lane's iterations, see STEP in lookup_bags.wgsl.
const STEP: u32 = 8u;

// The mean of the values nearest to this lane's centroid; itself where there are none.
fn mean() -> f32 {
    var members = Members();
    for (var column = 0u; column < table.dim; column += STEP) {
        members = add_member(members, column);
        members = add_member(members, column + 1u);
        members = add_member(members, column + 2u);
        members = add_member(members, column + 3u);
        members = add_member(members, column + 4u);
        members = add_member(members, column + 5u);
        members = add_member(members, column + 6u);
        members = add_member(members, column + 7u);
    }
    if members.count == 0u {
        return centroids[team * TEAM + lane];
    }
    return div_rn(members.sum, integer(members.count));
}

// Whether any lane of the workgroup says so; the same in all.
fn any_lane(is: bool) -> bool {
    let local = team * TEAM + lane;
    busy[local] = select(0u, 1u, is);
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if local < stride {
            busy[local] |= busy[local + stride];
        }
    }
    workgroupBarrier();
    if local == 0u {
        running = busy[0];
    }
    return workgroupUniformLoad(&running) != 0u;
}

fn code_at(column: u32) -> u32 {
    return nearest(value(column));
}

fn store_row(good: bool) {
    let base = row_base(row);
    if lane < HEADER_WORDS {
        let low = f32_to_f16(centroids[team * TEAM + 2u * lane]);
        let high = f32_to_f16(centroids[team * TEAM + 2u * lane + 1u]);
        rows[base + lane] = select(0u, low | (high << 16u), good);
    }
    store_codes(row, lane, TEAM, good);
    report_if_unfinished(row);
}

// Whether f16 holds both ends of a row.
fn fits(low: f32, high: f32) -> bool {
    return (f32_to_f16(low) & 0x7fffu) < 0x7c00u && (f32_to_f16(high) & 0x7fffu) < 0x7c00u;
}

@compute @workgroup_size(WORKGROUP)
fn quantize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    lane = local % TEAM;
    team = local / TEAM;
    row = group_number(group) * TEAMS + team;
    var range = vec2<u32>(0xffffffffu, 0u);
    if row < work.rows {
        for (var column = lane; column < table.dim; column += TEAM) {
            let bits = value_bits(row, column);
            let key = ordered(bits);
            range = vec2<u32>(min(range.x, key), max(range.y, key));
            if CACHED > 0u {
                cache[team * CACHED + column] = bitcast<f32>(bits);
            }
        }
    }
    keys[local] = range;
    for (var stride = TEAM / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if lane < stride {
            let other = keys[local + stride];
            keys[local] = vec2<u32>(min(keys[local].x, other.x), max(keys[local].y, other.y));
        }
    }
    workgroupBarrier();
    range = keys[team * TEAM];
    let finite = is_finite_key(range.x) && is_finite_key(range.y);
    var good = false;
    centroids[local] = 0.0;
    if finite {
        let low = unordered(range.x);
        let high = unordered(range.y);
        good = fits(low, high);
        if good {
            let step = div_rn(sub_rn(high, low), integer(centroid_count() - 1u));
            centroids[local] = add_rn(low, mul_rn(step, integer(lane)));
        }
    }
    workgroupBarrier();
    var moving = good && lane < centroid_count();
    for (var i = 0u; i < work.iterations; i++) {
        if !any_lane(moving) {
            break;
        }
        var next = centroids[local];
        if good && lane < centroid_count() {
            next = mean();
        }
        workgroupBarrier();
        moving = bitcast<u32>(next) != bitcast<u32>(centroids[local]);
        centroids[local] = next;
        workgroupBarrier();
    }
    if good {
        centroids[local] = f16_to_f32(f32_to_f16(centroids[local]));
    }
    workgroupBarrier();
    if row < work.rows {
        if lane == 0u && !finite {
            report_not_finite(row);
        } else if lane == 0u && !good {
            report_out_of_range(row);
        }
        store_row(good);
    }
}
