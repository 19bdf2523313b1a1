//! What a record says of the machine, and of the time.

use std::time::{SystemTime, UNIX_EPOCH};

use qembed::wgpu::DeviceType;
use serde_json::{Value, json};

use crate::device::{Device, driver};

/// What a record says of the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The adapter, or the CPU.
    pub name: String,
    /// The driver with its version; of an adapter.
    pub driver: Option<String>,
    /// The API that leads to it.
    pub backend: String,
    /// What kind of device it is, in wgpu's words.
    pub kind: String,
    /// A CPU that plays GPU.
    pub software: bool,
}

impl Machine {
    /// What is known of a device.
    pub fn of(device: &Device) -> Self {
        let Device::Gpu(session) = device else {
            return Self {
                name: cpu_name().unwrap_or_else(|| format!("a CPU ({})", std::env::consts::ARCH)),
                driver: None,
                backend: "cpu".into(),
                kind: "Cpu".into(),
                software: false,
            };
        };
        let info = session.adapter();
        Self {
            name: info.name.clone(),
            driver: Some(driver(info)),
            backend: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            software: info.device_type == DeviceType::Cpu,
        }
    }

    /// One line.
    pub fn line(&self) -> String {
        let software = if self.software {
            ", a software adapter"
        } else {
            ""
        };
        let driver = self.driver.as_ref().map(|driver| format!(" ({driver})"));
        let (name, driver) = (&self.name, driver.unwrap_or_default());
        format!("{name}{driver}, {}{software}", self.backend)
    }

    /// For a file.
    pub fn json(&self) -> Value {
        json!({
            "adapter": self.name,
            "driver": self.driver,
            "backend": self.backend,
            "type": self.kind,
            "software": self.software,
        })
    }
}

/// What the system calls its CPU, where it tells.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// The time in UTC, as `2026-01-31T23:59:59Z`.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs()))
}

/// Seconds since 1970 as a date. Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Counted from 0000-03-01, so that a leap day ends its year, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + 400 * era + next;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let second = second % 60;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_by_hand() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(date(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(date(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
