//! Sorts.

use qembed::gpu::{BoundSort, SortArgs};
use qembed::reference;
use qembed::verify::compare;

use super::super::batch::Batches;
use super::super::check::right;
use super::super::point::Point;
use super::super::ready::{Ready, in_turn, nothing};
use super::super::refusal::Refusal;
use super::super::scale::Scale;
use super::super::traffic::Traffic;
use super::Gpu;

pub fn prepare<'a>(
    (session, clock): Gpu<'a>,
    point: &Point,
    scale: &Scale,
) -> Result<Ready<'a>, Refusal> {
    // A position's key and itself.
    let batches = Batches::new(point, 8, scale.touched_bytes)?;
    let count = batches.indices[0].len() as u32;
    let kernels = session.kernels();
    let buffers = kernels.sort_buffers(count)?;
    let sort = kernels.sort()?;
    let bind = |keys: &Vec<u32>| {
        let keys = session.filled("keys", bytemuck::cast_slice(keys))?;
        let args = SortArgs {
            count,
            rows: point.rows,
            keys: keys.as_entire_buffer_binding(),
        };
        sort.bind(&buffers, args)
    };
    let bound: Vec<_> = batches.indices.iter().map(bind).collect::<Result<_, _>>()?;
    session.submit(|pass| bound[0].record(pass))?;
    let expected = reference::sort(&batches.indices[0], point.rows);
    for (name, buffer, words) in [
        ("positions", buffers.positions(), &expected.positions[..]),
        ("ranks", buffers.ranks(), &expected.ranks[..]),
        ("totals", buffers.totals(), &expected.totals[..]),
    ] {
        let got = session.read(buffer, 0, 4 * words.len() as u64)?;
        right("sort", compare::words(name, words, &got))?;
    }
    Ok(Ready {
        run: in_turn(clock, bound, BoundSort::record),
        // Keys and positions, read and written once.
        traffic: Traffic::stream(16 * u64::from(count)),
        items: count.into(),
        after: nothing(),
    })
}
