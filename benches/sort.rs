//! Sort against a copy of as many bytes. Every answer is checked first.

mod common;

use criterion::{Criterion, criterion_group, criterion_main};
use qembed::gpu::SortArgs;
use qembed::reference;

const ROWS: u32 = 1_000_000;

/// Every row about as often, in no order.
fn keys(count: u32) -> Vec<u32> {
    (0..count)
        .map(|i| i.wrapping_mul(2_654_435_761) % ROWS)
        .collect()
}

fn sort(criterion: &mut Criterion) {
    let Some(session) = common::session() else {
        return;
    };
    for count in [4096u32, 131_072, 1 << 20] {
        let keys = keys(count);
        let kernels = session.kernels();
        let buffers = kernels.sort_buffers(count).unwrap();
        let given = common::filled(&session, bytemuck::cast_slice(&keys));
        let args = SortArgs {
            count,
            rows: ROWS,
            keys: given.as_entire_buffer_binding(),
        };
        let bound = kernels.sort().unwrap().bind(&buffers, args).unwrap();
        common::timed(&session, 1, |pass| bound.record(pass));
        let expected = reference::sort(&keys, ROWS).positions;
        assert_eq!(common::read(&session, buffers.positions()), expected);

        // Keys and positions, read and written once.
        let moved = 16 * u64::from(count);
        let mut group = criterion.benchmark_group(format!("sort/{count}"));
        common::beside_a_copy(&mut group, &session, moved, |pass| bound.record(pass));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = sort
}
criterion_main!(benches);
