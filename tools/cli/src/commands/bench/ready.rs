//! Something that was checked and can be timed.

use std::time::Instant;

use qembed::Result;
use qembed::wgpu::ComputePass;
use rayon::ThreadPool;

use super::traffic::Traffic;
use crate::measure::{GpuClock, Run};

/// Something that was checked and can be timed.
pub struct Ready<'a> {
    /// Repeats it.
    pub run: Run<'a>,
    /// What moves at every repetition.
    pub traffic: Traffic,
    /// What is counted, of one repetition.
    pub items: u64,
}

/// Records one after the other of these into a pass, from the first on again after the last.
pub fn in_turn<'a, T: 'a>(
    clock: &'a GpuClock<'a>,
    bound: Vec<T>,
    record: impl Fn(&T, &mut ComputePass<'_>) + 'a,
) -> Run<'a> {
    let mut next = 0;
    Box::new(move |repetitions| {
        clock.pass(|pass| {
            for _ in 0..repetitions {
                record(&bound[next % bound.len()], pass);
                next += 1;
            }
        })
    })
}

/// Runs on the threads of a pool; `work` is told how often it ran before.
pub fn on_threads<'a>(
    pool: &'a ThreadPool,
    mut work: impl FnMut(usize) -> Result<()> + Send + 'a,
) -> Run<'a> {
    let mut done = 0;
    Box::new(move |repetitions| {
        pool.install(|| {
            let start = Instant::now();
            for _ in 0..repetitions {
                work(done)?;
                done += 1;
            }
            Ok(start.elapsed().as_secs_f64())
        })
    })
}
