//! Where things are measured.

use qembed::Session;
use rayon::ThreadPool;

use super::plan::Engine;
use super::point::Point;
use super::ready::Ready;
use super::refusal::Refusal;
use super::scale::Scale;
use super::subject::Subject;
use super::{cpu, gpu};
use crate::measure::{Clock, GpuClock};

/// Where things are measured.
pub enum Platform<'a> {
    /// On a GPU.
    Gpu(&'a Session, GpuClock<'a>),
    /// On the CPU, by the threads of a pool.
    Cpu(&'a ThreadPool),
}

impl Platform<'_> {
    /// Which engine runs.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Gpu(..) => Engine::Gpu,
            Self::Cpu(_) => Engine::Cpu,
        }
    }

    /// How the time is taken.
    pub fn clock(&self) -> Clock {
        match self {
            Self::Gpu(_, clock) => clock.kind(),
            Self::Cpu(_) => Clock::Wall,
        }
    }

    /// Threads of the CPU's engine.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Self::Gpu(..) => None,
            Self::Cpu(pool) => Some(pool.current_num_threads()),
        }
    }

    /// Makes what a subject needs, and checks its answer.
    pub fn prepare(
        &self,
        subject: &Subject,
        (point, scale): (&Point, &Scale),
    ) -> Result<Ready<'_>, Refusal> {
        match self {
            Self::Gpu(session, clock) => gpu::prepare((session, clock), subject, (point, scale)),
            Self::Cpu(pool) => cpu::prepare(pool, subject, (point, scale)),
        }
    }
}
