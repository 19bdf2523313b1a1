//! Where the table's kernels run.

use clap::ValueEnum;
use qembed::{Adapters, Error, Session};

use crate::failure::Result;

/// Where the table's kernels run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU
    Auto,
    /// A GPU, software adapters included
    Gpu,
    /// The CPU
    Cpu,
}

/// What a choice became.
#[derive(Debug)]
pub enum Device {
    /// Kernels on a GPU.
    Gpu(Box<Session>),
    /// Kernels on the CPU.
    Cpu,
}

impl Device {
    /// Opens the device of a choice.
    pub fn open(choice: DeviceChoice) -> Result<Self> {
        let session = match choice {
            DeviceChoice::Cpu => return Ok(Self::Cpu),
            DeviceChoice::Gpu => Session::open(Adapters::Any)?,
            DeviceChoice::Auto => match Session::open(Adapters::Hardware) {
                Err(Error::NoAdapter { chosen: None, .. }) => return Ok(Self::Cpu),
                session => session?,
            },
        };
        Ok(Self::Gpu(Box::new(session)))
    }

    /// The adapter's name, or what stands for it.
    pub fn name(&self) -> String {
        match self {
            Self::Gpu(session) => session.adapter().name.clone(),
            Self::Cpu => "the CPU".into(),
        }
    }
}
