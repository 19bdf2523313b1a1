// Rows in the hands of teams: four lanes own a row, and lane i of them the columns 4i to 4i + 3 of every 16.
// So a lane holds the partial sums of four residues mod 16, which is what exact::sum16 adds up.

const TEAM: u32 = 4u;

var<private> lane: u32;
// The first lane of the team in its workgroup.
var<private> first_lane: u32;

var<workgroup> team_terms: array<vec4<f32>, WORKGROUP>;
var<workgroup> team_words: array<vec4<u32>, WORKGROUP>;

fn join_team(local: u32) {
    lane = local % TEAM;
    first_lane = local - lane;
}

// exact::sum16 of the terms of all columns, from every lane's four partial sums.
fn team_sum16(partial: vec4<f32>) -> f32 {
    team_terms[first_lane + lane] = partial;
    workgroupBarrier();
    let a = team_terms[first_lane];
    let b = team_terms[first_lane + 1u];
    let c = team_terms[first_lane + 2u];
    let d = team_terms[first_lane + 3u];
    workgroupBarrier();
    var fours = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        // Residue i takes i + 8's and i + 4 takes i + 12's, then i takes i + 4's.
        fours[i] = add_rn(add_rn(a[i], c[i]), add_rn(b[i], d[i]));
    }
    return add_rn(add_rn(fours.x, fours.z), add_rn(fours.y, fours.w));
}

// The smallest x, the largest y, and the bits of all z together.
fn team_range(mine: vec3<u32>) -> vec3<u32> {
    team_words[first_lane + lane] = vec4<u32>(mine, 0u);
    workgroupBarrier();
    let a = team_words[first_lane].xyz;
    let b = team_words[first_lane + 1u].xyz;
    let c = team_words[first_lane + 2u].xyz;
    let d = team_words[first_lane + 3u].xyz;
    workgroupBarrier();
    return vec3<u32>(
        min(min(a.x, b.x), min(c.x, d.x)),
        max(max(a.y, b.y), max(c.y, d.y)),
        a.z | b.z | c.z | d.z,
    );
}
