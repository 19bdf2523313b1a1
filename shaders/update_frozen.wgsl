// Symmetric rows that keep their steps.

fn new_header(row: u32, low: f32, high: f32) -> NewHeader {
    return step_header(row_step(row));
}
