//! Ring 4, dequantize and gathers: the GPU against PyTorch's bits.

mod common;

use common::{gpu, oracles};
use qembed::verify::compare;
use qembed::{Bits, reference};

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
