// Packing: what the kernels that write rows share. A kernel declares `rows` or whatever it stores to, and
// supplies new_value(column).

// The codes that lie in one word of a row, low bits first.
fn packed_word(row: u32, word: u32, ruler: Ruler, stochastic: bool) -> u32 {
    let mask = (1u << BITS) - 1u;
    let first = word * (32u / BITS);
    let end = min(first + 32u / BITS, table.dim);
    var packed = 0u;
    for (var column = first; column < end; column += 4u) {
        var values = vec4<f32>();
        for (var i = 0u; i < columns_left(column); i++) {
            values[i] = new_value(column + i);
        }
        var draws = vec4<u32>();
        if stochastic {
            draws = row_draws(row, column);
        }
        let codes = bitcast<vec4<u32>>(rounded(values, ruler, stochastic, draws)) & vec4<u32>(mask);
        for (var i = 0u; i < columns_left(column); i++) {
            packed |= codes[i] << ((column + i - first) * BITS);
        }
    }
    return packed;
}
