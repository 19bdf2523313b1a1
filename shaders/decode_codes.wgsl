// Rows of codes.

fn row_codes(row: u32, column: u32) -> vec4<u32> {
    return packed_codes(row, column);
}

fn row_octet(row: u32, column: u32, octet: u32) -> Octet {
    return packed_octet(row, column, octet);
}
