//! Timing: how often work runs, and what its runs come to.

mod gpu;

use std::time::{Duration, Instant};

pub use gpu::{Clock, GpuClock, copy_rate, lookup_seconds};
use qembed::Result;
use rayon::prelude::*;

/// Bytes of the copy that everything is measured against, unless a measurement chooses others.
const COPY_BYTES: u64 = 32 << 20;
/// Bytes that a task copies.
const COPY_PART_BYTES: usize = 1 << 18;
/// The most repetitions of a run: they are one submit on a GPU.
const MOST_REPETITIONS: u32 = 1 << 16;

/// How much of something is timed.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The shortest run that is timed.
    pub least: Duration,
    /// Runs that the median is taken of, where they do not take longer than `most`.
    pub runs: usize,
    /// The longest that all runs take together, unless it is not enough for three of them.
    pub most: Duration,
    /// Repetitions in every run; as many as take `least` where it is `None`.
    pub repetitions: Option<u32>,
}

impl Effort {
    /// Enough for figures that can be told to others.
    pub const USUAL: Self = Self {
        least: Duration::from_millis(40),
        runs: 7,
        most: Duration::from_secs(4),
        repetitions: None,
    };
    /// Enough for a first impression.
    pub const QUICK: Self = Self {
        least: Duration::from_millis(10),
        runs: 5,
        most: Duration::from_secs(1),
        repetitions: None,
    };
}

impl Effort {
    /// Runs of works that take so many seconds together.
    fn runs_of(&self, seconds: f64) -> usize {
        const LEAST: usize = 3;
        // A quotient that is no number, or too large for one, becomes the nearest that is.
        let affordable = (self.most.as_secs_f64() / seconds) as usize;
        self.runs.min(affordable.max(LEAST))
    }
}

/// Seconds of one repetition, run by run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Shortest first, never none.
    sorted: Vec<f64>,
    /// Repetitions in every run.
    pub repetitions: u32,
}

impl Timing {
    fn new(mut seconds: Vec<f64>, repetitions: u32) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            sorted: seconds,
            repetitions,
        }
    }

    /// The runs of both.
    pub fn and(self, other: Self) -> Self {
        Self::new([self.sorted, other.sorted].concat(), self.repetitions)
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.sorted.len()
    }

    /// The run in the middle.
    pub fn median(&self) -> f64 {
        self.sorted[self.sorted.len() / 2]
    }

    /// The shortest run.
    pub fn least(&self) -> f64 {
        self.sorted[0]
    }

    /// The longest run.
    pub fn most(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }
}

/// Does so many repetitions and gives the seconds that they took together.
pub type Run<'a> = Box<dyn FnMut(u32) -> Result<f64> + 'a>;

/// Times several works in turn, so that what disturbs the machine disturbs all of them.
pub fn alternate(works: &mut [&mut Run<'_>], effort: Effort) -> Result<Vec<Timing>> {
    let enough = works.iter_mut().map(|work| enough(work, effort));
    let enough: Vec<_> = enough.collect::<Result<_>>()?;
    let once: f64 = enough.iter().map(|(_, seconds)| seconds).sum();
    let mut seconds = vec![vec![]; works.len()];
    for _ in 0..effort.runs_of(once) {
        for (at, work) in works.iter_mut().enumerate() {
            let repetitions = enough[at].0;
            let run = work(repetitions)?;
            seconds[at].push(run / f64::from(repetitions));
        }
    }
    let timings = seconds.into_iter().zip(enough);
    Ok(timings
        .map(|(seconds, (repetitions, _))| Timing::new(seconds, repetitions))
        .collect())
}

/// Repetitions that take long enough to be timed, and about how many seconds that is.
fn enough(work: &mut Run<'_>, effort: Effort) -> Result<(u32, f64)> {
    // The first run compiles and touches memory.
    let first = work(1)?;
    if let Some(repetitions) = effort.repetitions {
        return Ok((repetitions, first * f64::from(repetitions)));
    }
    let least = effort.least.as_secs_f64();
    let (mut repetitions, mut seconds) = (1, first);
    // So long a run is one, whatever its first repetition did beside.
    const SURELY: f64 = 10.0;
    if first < SURELY * least {
        seconds = work(1)?;
    }
    while repetitions < MOST_REPETITIONS && seconds < least {
        repetitions *= 2;
        seconds = work(repetitions)?;
    }
    Ok((repetitions, seconds))
}

/// Times one work.
pub fn alone(mut work: Run<'_>, effort: Effort) -> Result<Timing> {
    Ok(alternate(&mut [&mut work], effort)?.remove(0))
}

/// Median seconds of one repetition, by the clock on the wall; `run` is told how many to do.
pub fn median_seconds(mut run: impl FnMut(u32) -> Result<()>) -> Result<f64> {
    let work = move |repetitions| {
        let start = Instant::now();
        run(repetitions).map(|()| start.elapsed().as_secs_f64())
    };
    Ok(alone(Box::new(work), Effort::USUAL)?.median())
}

/// Bytes per second, read and written, of a copy in memory on every thread of rayon's pool.
pub fn copy_rate_of_memory() -> Result<f64> {
    let mut copy = memory_copy(COPY_BYTES as usize);
    let seconds = median_seconds(|repetitions| {
        (0..repetitions).for_each(|_| copy());
        Ok(())
    })?;
    Ok(2.0 * COPY_BYTES as f64 / seconds)
}

/// A copy of so many bytes, on every thread of the pool that it runs in.
pub fn memory_copy(bytes: usize) -> impl FnMut() + Send {
    let from = vec![1u8; bytes];
    let mut to = vec![0u8; bytes];
    move || {
        let parts = to.par_chunks_mut(COPY_PART_BYTES);
        let parts = parts.zip(from.par_chunks(COPY_PART_BYTES));
        parts.for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&mut to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_sorted() {
        let timing = Timing::new(vec![3.0, 1.0, 2.0], 4);
        assert_eq!(
            (timing.least(), timing.median(), timing.most()),
            (1.0, 2.0, 3.0)
        );
        assert_eq!((timing.runs(), timing.repetitions), (3, 4));
    }

    /// Works take turns, and run as often as they were told, or until they take long enough.
    #[test]
    fn works_alternate() {
        let log = std::cell::RefCell::new(vec![]);
        let work = |name: char, second: f64| -> Run<'_> {
            let log = &log;
            Box::new(move |repetitions| {
                log.borrow_mut().push((name, repetitions));
                Ok(f64::from(repetitions) * second)
            })
        };
        let pinned = Effort {
            runs: 2,
            repetitions: Some(3),
            ..Effort::USUAL
        };
        let (mut a, mut b) = (work('a', 0.5), work('b', 2.0));
        let timings = alternate(&mut [&mut a, &mut b], pinned).unwrap();
        assert_eq!((timings[0].median(), timings[1].median()), (0.5, 2.0));
        let turns = [('a', 1), ('b', 1), ('a', 3), ('b', 3), ('a', 3), ('b', 3)];
        assert_eq!(log.take(), turns);

        let timing = alone(work('c', 0.009), Effort::USUAL).unwrap();
        assert_eq!((timing.repetitions, timing.runs()), (8, 7));
        // What takes long runs less often: once to warm up, and three times.
        log.take();
        let timing = alone(work('d', 5.0), Effort::USUAL).unwrap();
        assert_eq!((timing.repetitions, timing.runs()), (1, 3));
        assert_eq!(log.take(), [('d', 1); 4]);
    }
}
