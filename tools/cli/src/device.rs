//! Where the kernels run.

use qembed::gpu::Table;
use qembed::wgpu::Features;
use qembed::{
    Adapters, Error, Format, Looked, LookupRequest, Method, PackedTable, Result, Session, cpu,
};

use crate::args::DeviceChoice;

/// What a choice became.
#[derive(Debug)]
pub enum Device {
    /// Kernels on a GPU.
    Gpu(Box<Session>),
    /// Kernels on the CPU.
    Cpu,
}

/// Whether `auto` takes a software adapter before the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// It does: the command is about the kernels.
    Welcome,
    /// It does not: the CPU is faster.
    Avoided,
}

impl Device {
    /// Opens the device of a choice.
    pub fn open(choice: DeviceChoice, software: Software) -> Result<Self> {
        Self::with_features(choice, software, Features::empty())
    }

    /// [`Device::open`], with those of a GPU's features that it has.
    pub fn with_features(
        choice: DeviceChoice,
        software: Software,
        wanted: Features,
    ) -> Result<Self> {
        let session = match (choice, software) {
            (DeviceChoice::Cpu, _) => return Ok(Self::Cpu),
            (DeviceChoice::Gpu, _) => Session::with_features(Adapters::Any, wanted)?,
            (DeviceChoice::Auto, software) => {
                let adapters = match software {
                    Software::Welcome => Adapters::Any,
                    Software::Avoided => Adapters::Hardware,
                };
                match Session::with_features(adapters, wanted) {
                    Err(Error::NoAdapter { chosen: None, .. }) => return Ok(Self::Cpu),
                    session => session?,
                }
            }
        };
        Ok(Self::Gpu(Box::new(session)))
    }

    /// Name and driver, as `adapter (driver)`.
    pub fn name(&self) -> String {
        match self {
            Self::Gpu(session) => {
                let info = session.adapter();
                format!("{} ({})", info.name, driver(info))
            }
            Self::Cpu => "the CPU".into(),
        }
    }

    /// Quantizes `[rows, dim]` values.
    pub fn quantize(
        &self,
        values: &[f32],
        dim: usize,
        format: Format,
        method: Method,
    ) -> Result<PackedTable> {
        match self {
            Self::Gpu(session) => session.download(&session.quantize(values, dim, format, method)?),
            Self::Cpu => PackedTable::quantize(values, dim, format, method),
        }
    }

    /// Makes a table ready for lookups.
    pub fn upload<'a>(&'a self, packed: &'a PackedTable) -> Result<Uploaded<'a>> {
        Ok(match self {
            Self::Gpu(session) => Uploaded::Gpu(session, session.upload(packed)?),
            Self::Cpu => Uploaded::Cpu(packed),
        })
    }
}

/// A table on a device.
#[derive(Debug)]
pub enum Uploaded<'a> {
    /// On a GPU.
    Gpu(&'a Session, Table),
    /// On the CPU.
    Cpu(&'a PackedTable),
}

impl Uploaded<'_> {
    /// Any lookup.
    pub fn lookup(&self, request: LookupRequest<'_>) -> Result<Looked> {
        match self {
            Self::Gpu(session, table) => session.lookup(table, request),
            Self::Cpu(table) => cpu::lookup(table, request),
        }
    }

    /// Every value.
    pub fn dequantize(&self) -> Result<Vec<f32>> {
        match self {
            Self::Gpu(session, table) => session.dequantize(table),
            Self::Cpu(table) => Ok(cpu::dequantize(table)),
        }
    }
}

/// The driver's name and version, whichever of them it tells.
pub fn driver(info: &qembed::wgpu::AdapterInfo) -> String {
    let parts = [info.driver.as_str(), info.driver_info.as_str()];
    let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    match told.is_empty() {
        true => info.backend.to_string(),
        false => told.join(" "),
    }
}
