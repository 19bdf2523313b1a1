//! Ring 4, dequantize and gathers: the GPU against PyTorch's bits.

mod common;

use common::{Bench, gpu, oracles};
use qembed::gpu::DequantizeArgs;
use qembed::verify::compare;
use qembed::{Bits, Format, Method, PackedTable, reference};

/// Gathers of rows with f16 headers, and dequantize, give PyTorch's bits.
#[test]
fn the_gpu_gives_every_bit_of_pytorch_at_4_and_2_bits() {
    let Some(session) = gpu() else { return };
    for oracle in oracles("pack") {
        for bits in [Bits::B4, Bits::B2] {
            let table = session.upload(&oracle.table(bits)).unwrap();
            let expected = oracle.f32(&format!("dequantized{}", bits.count()));
            let dequantized = session.dequantize(&table).unwrap();
            assert_eq!(
                compare::bits(&expected, &dequantized).failure,
                None,
                "{}",
                oracle.name
            );
            let rows: Vec<u32> = (0..table.desc().rows).collect();
            let gathered = session.gather(&table, &rows).unwrap();
            assert_eq!(
                compare::bits(&expected, &gathered).failure,
                None,
                "{}",
                oracle.name
            );
        }
    }
}

/// At 8 bits PyTorch fuses; the reference's two roundings are met bit for bit.
#[test]
fn the_gpu_gives_every_bit_of_the_reference_at_8_bits() {
    let Some(session) = gpu() else { return };
    for oracle in oracles("pack") {
        let packed = oracle.table(Bits::B8);
        let table = session.upload(&packed).unwrap();
        let expected = reference::dequantize(&packed);
        let got = session.dequantize(&table).unwrap();
        assert_eq!(
            compare::bits(&expected, &got).failure,
            None,
            "{}",
            oracle.name
        );
    }
}

/// A range of rows, wherever it lies in the table; nothing is written behind it.
#[test]
fn some_rows() {
    let Some(session) = gpu() else { return };
    let bench = Bench { session };
    let values: Vec<f32> = (0..63).map(|i| (i * i) as f32).collect();
    let packed = PackedTable::quantize(&values, 7, Format::affine(Bits::B8), Method::Asym).unwrap();
    let expected = packed.dequantize();
    let table = session.upload(&packed).unwrap();
    let kernel = session.kernels().dequantize(packed.format()).unwrap();
    for rows in [0..9, 3..4, 5..9] {
        let output = bench.buffer(&[u32::MAX; 64]);
        let args = DequantizeArgs {
            rows: rows.clone(),
            values: Some(output.as_entire_buffer_binding()),
        };
        let bound = kernel.bind(&table, args).unwrap();
        bench.submit(|pass| bound.record(pass));
        let memory = bench.read(&output);
        let (written, behind) = memory.split_at(7 * rows.len());
        let expected = &expected[7 * rows.start as usize..7 * rows.end as usize];
        assert_eq!(
            written,
            bytemuck::cast_slice::<f32, u32>(expected),
            "{rows:?}"
        );
        assert!(behind.iter().all(|word| *word == u32::MAX), "{rows:?}");
    }
}
