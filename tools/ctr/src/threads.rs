//! Trainings side by side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::failure::{Failure, Result};

/// What comes of every job, in their order, or a failure.
///
/// A training is a long chain of short operations, which gains less from a second thread than it loses by
/// waiting for it. So every job stays on one thread, with all that the libraries below it would spread.
pub fn each<J: Sync, T: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let finished = Mutex::new(vec![]);
    let take_jobs = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            let result = work(job);
            if result.is_err() {
                next.store(jobs.len(), Ordering::Relaxed);
            }
            let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
            finished.push((number, result));
        }
    };
    thread::scope(|scope| -> Result<()> {
        for _ in 0..threads.min(jobs.len()) {
            let pool = ThreadPoolBuilder::new().num_threads(1).build();
            let pool = pool.map_err(|error| Failure::Failed(format!("--threads: {error}")))?;
            scope.spawn(move || pool.install(take_jobs));
        }
        Ok(())
    })?;
    let mut finished = finished
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    finished.sort_unstable_by_key(|(number, _)| *number);
    finished.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_jobs() {
        let jobs: Vec<usize> = (0..100).collect();
        let doubled = each(&jobs, 4, |job| Ok(2 * job)).unwrap();
        assert_eq!(doubled, jobs.iter().map(|job| 2 * job).collect::<Vec<_>>());
        let threads = each(&jobs, 4, |_| Ok(rayon::current_num_threads())).unwrap();
        assert_eq!(threads, [1; 100]);
    }

    #[test]
    fn a_failure_ends_the_rest() {
        let done = AtomicUsize::new(0);
        let failed = each(&[0; 100], 1, |_| {
            match done.fetch_add(1, Ordering::Relaxed) {
                3 => Err(Failure::Failed("the fourth".into())),
                number => Ok(number),
            }
        });
        assert_eq!(failed.unwrap_err().to_string(), "the fourth");
        assert_eq!(done.into_inner(), 4);
    }
}
