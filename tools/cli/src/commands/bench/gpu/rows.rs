//! Kernels that go through rows from the first to the last.

use qembed::gpu::{BoundDequantize, BoundQuantize, DequantizeArgs, QuantizeArgs, TableDesc};
use qembed::verify::{Engine, GpuEngine, compare};
use qembed::{Format, Method, QuantizeSpec, QuantizeStatus, reference, shader};

use super::super::check::{evenly, right, written};
use super::super::point::Point;
use super::super::ready::{Ready, in_turn, nothing};
use super::super::refusal::{Refusal, host_memory};
use super::super::traffic::Traffic;
use super::super::{rows, tables};
use super::{Gpu, bindable, poisoned};

pub fn dequantize<'a>(
    (session, clock): Gpu<'a>,
    format: Format,
    point: &Point,
) -> Result<Ready<'a>, Refusal> {
    let packed = tables::packed(format, point.rows, point.dim)?;
    let table = session.upload(&packed)?;
    let values = poisoned(session, "values", rows::value_bytes(point))?;
    let args = DequantizeArgs {
        rows: 0..point.rows,
        values: Some(values.as_entire_buffer_binding()),
    };
    let bound = session.kernels().dequantize(format)?.bind(&table, args)?;
    session.submit(|pass| bound.record(pass))?;
    let words = session.read(&values, 0, values.size())?;
    let label = shader::dequantize(format).label;
    right(&label, written(&words))?;
    right(
        &label,
        rows::compare_values(&packed, &bytemuck::cast_vec(words)),
    )?;
    Ok(Ready {
        run: in_turn(clock, vec![bound], BoundDequantize::record),
        traffic: rows::traffic(&packed),
        items: point.rows.into(),
        after: nothing(),
    })
}

pub fn quantize<'a>(
    (session, clock): Gpu<'a>,
    (format, method): (Format, Method),
    point: &Point,
) -> Result<Ready<'a>, Refusal> {
    let (rows, dim) = (point.rows, point.dim);
    bindable(session, "values", rows::value_bytes(point))?;
    host_memory("values", 2 * rows::value_bytes(point))?;
    let values = tables::values(rows as usize * dim as usize);
    let table = session
        .kernels()
        .allocate(TableDesc { format, rows, dim })?;
    let uploaded = session.filled("values", bytemuck::cast_slice(&values))?;
    let status = session.filled("status", bytemuck::bytes_of(&QuantizeStatus::CLEAR))?;
    let spec = QuantizeSpec {
        format,
        method,
        dim,
    };
    let args = QuantizeArgs {
        rows: 0..rows,
        values: Some(uploaded.as_entire_buffer_binding()),
        status: Some(status.as_entire_buffer_binding()),
    };
    let bound = session.kernels().quantize(spec)?.bind(&table, args)?;
    session.submit(|pass| bound.record(pass))?;
    let status = session.read(&status, 0, status.size())?;
    if status != bytemuck::cast_slice::<_, u32>(&[QuantizeStatus::CLEAR]) {
        let ended = "the driver ended the search of a row early; take fewer columns";
        return Err(Refusal::Skip(ended.into()));
    }
    let row_bytes = u64::from(format.row_bytes(dim));
    let packed = session.download(&table)?;
    for row in evenly(rows as usize, rows::most_checked(method, dim)) {
        let got = packed.row_words(row);
        let mut expected = vec![0; got.len()];
        let values = &values[row * dim as usize..][..dim as usize];
        let solver = <GpuEngine<'_> as Engine>::SOLVER;
        reference::quantize_row(values, format, (method, solver), &mut expected);
        right(&spec.label(), compare::words("a row", &expected, got))?;
    }
    Ok(Ready {
        run: in_turn(clock, vec![bound], BoundQuantize::record),
        traffic: Traffic::stream(rows::value_bytes(point))
            .and(Traffic::stream(u64::from(rows) * row_bytes)),
        items: rows.into(),
        after: nothing(),
    })
}
