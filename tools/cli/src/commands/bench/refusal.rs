//! Why something is not measured.

use qembed::Error;

use crate::failure::Failure;

/// Why something is not measured.
#[derive(Debug)]
pub enum Refusal {
    /// It does not fit this device, or does not exist here: the others are measured all the same.
    Skip(String),
    /// Something is wrong: nothing more is measured.
    Fail(Failure),
}

impl From<Error> for Refusal {
    /// What a device is too small for is no failure of the command.
    fn from(error: Error) -> Self {
        match error {
            Error::Limit { .. }
            | Error::OutOfMemory { .. }
            | Error::Unsupported { .. }
            | Error::Shape { .. } => Self::Skip(error.to_string()),
            error => Self::Fail(error.into()),
        }
    }
}

/// Memory that is taken where the system does not tell how much it has.
const UNTOLD_BYTES: u64 = 8 << 30;

/// # Errors
/// Where the host has not that much memory to give.
pub fn host_memory(what: &str, bytes: u64) -> Result<(), Refusal> {
    let refused = |available: String| {
        let needed = bytes.div_ceil(1 << 20);
        Refusal::Skip(format!("{what}: needs {needed} MiB of memory{available}"))
    };
    let available = available_bytes().unwrap_or(UNTOLD_BYTES);
    if bytes > available {
        let available = available >> 20;
        return Err(refused(format!(", of which {available} MiB may be had")));
    }
    // Asks the allocator, and gives back what it gave.
    let length = usize::try_from(bytes).map_err(|_| refused(String::new()))?;
    let asked = Vec::<u8>::new().try_reserve_exact(length);
    asked.map_err(|_| refused(", more than there is".into()))
}

/// Memory that programs can have without others losing theirs, where the system tells.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nobody_has_is_refused() {
        assert!(host_memory("rows", 4096).is_ok());
        for bytes in [1 << 60, u64::MAX] {
            let refused = host_memory("rows", bytes);
            assert!(matches!(refused, Err(Refusal::Skip(_))), "{refused:?}");
        }
    }
}
