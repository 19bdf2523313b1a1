//! Something that was checked and can be timed.

use std::time::Instant;

use qembed::wgpu::ComputePass;
use rayon::ThreadPool;

use super::refusal::Refusal;
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
    /// Finds out, after it was timed, whether all that was timed was done.
    pub after: After<'a>,
}

/// What is to be seen to in the end.
pub type After<'a> = Box<dyn FnOnce() -> Result<(), Refusal> + 'a>;

/// Nothing is.
pub fn nothing<'a>() -> After<'a> {
    Box::new(|| Ok(()))
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
    mut work: impl FnMut(usize) -> qembed::Result<()> + Send + 'a,
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
