//! Trains 4-bit rows that exist only as integers: each bag's sum is to become a target of its own.
//!
//! `cargo run --release -p qembed --example train`

use qembed::training::{Batch, LearnedSteps, Optimizer, TrainingSpec};
use qembed::{Bits, Format, PackedTable, Params, Pooling, Session};

const ROWS: u32 = 1000;
const DIM: usize = 16;
const BAGS: u32 = 256;

fn main() -> Result<(), qembed::Error> {
    let session = Session::new()?;
    println!("on {}", session.adapter().name);
    let format = Format::Symmetric {
        bits: Bits::B4,
        params: Params::F32,
    };
    // Zeros whose codes are worth 0.02 each.
    let zeros = vec![0.0; ROWS as usize * DIM];
    let table = PackedTable::with_steps(&zeros, DIM, format, &[0.02])?;

    // A run of ALPT: Adam for the rows, Adam for their step sizes.
    let spec = TrainingSpec::alpt(Optimizer::ADAM, LearnedSteps::default(), 42);
    let mut training = session.train(&table, spec)?;

    // Two rows to a bag.
    let offsets: Vec<u32> = (0..=BAGS).map(|bag| 2 * bag).collect();
    for step in 0..100u32 {
        let row = |at: u32| (at.wrapping_mul(2_654_435_761) ^ (step % 4)) % ROWS;
        let indices: Vec<u32> = (0..2 * BAGS).map(row).collect();
        let batch = Batch {
            pooling: Pooling::Sum,
            indices: &indices,
            offsets: Some(&offsets),
            weights: None,
        };
        let output = training.forward(&batch)?;
        let (loss, gradient) = squared_error(&indices, &output);
        training.backward_stage(&batch, &gradient, 0.005)?;
        let output = training.forward_staged(&batch)?;
        let (_, gradient) = squared_error(&indices, &output);
        training.backward_steps(&batch, &gradient, 1e-4)?;
        if step % 20 == 0 || step == 99 {
            println!("step {step:3}: loss {loss:.5}");
        }
    }

    let memory = training.memory();
    println!(
        "{} bytes of rows, {} of state, {} of scratch; f32 rows would take {}",
        memory.table_bytes,
        memory.state_bytes,
        memory.scratch_bytes,
        4 * ROWS as usize * DIM
    );
    Ok(())
}

/// Half the squared distance from the targets, which every row has its part in, mean over bags; and its gradient.
fn squared_error(indices: &[u32], output: &[f32]) -> (f32, Vec<f32>) {
    let target = |bag: usize, column: usize| {
        let part = |row: u32| 0.1 * (row as f32 + column as f32).sin();
        part(indices[2 * bag]) + part(indices[2 * bag + 1])
    };
    let errors = output
        .iter()
        .enumerate()
        .map(|(at, x)| x - target(at / DIM, at % DIM));
    let errors: Vec<f32> = errors.collect();
    let loss = errors.iter().map(|error| error * error / 2.0).sum::<f32>() / BAGS as f32;
    let gradient = errors.iter().map(|error| error / BAGS as f32).collect();
    (loss, gradient)
}
