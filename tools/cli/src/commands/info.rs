//! Prints the adapters and what each choice of device takes.

use qembed::wgpu::AdapterInfo;
use qembed::{Error, Session};
use serde_json::json;

use crate::args::{DeviceChoice, Info};
use crate::device::{Device, Software, driver};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// What each `--device` takes here.
const CHOICES: [(&str, DeviceChoice, Software); 3] = [
    ("auto", DeviceChoice::Auto, Software::Avoided),
    (
        "auto in verify and demo",
        DeviceChoice::Auto,
        Software::Welcome,
    ),
    ("gpu", DeviceChoice::Gpu, Software::Welcome),
];

/// Runs the command.
pub fn run(args: &Info, terminal: &Terminal) -> Result<(), Failure> {
    let adapters = Session::adapters();
    let mut choices = vec![];
    for (name, choice, software) in CHOICES {
        let taken = match Device::open(choice, software) {
            Ok(device) => device.name(),
            Err(error @ Error::NoAdapter { .. }) => format!("nothing: {error}"),
            Err(error) => return Err(error.into()),
        };
        choices.push((name, taken));
    }
    let text = match args.json {
        true => json(&adapters, &choices),
        false => plain(&adapters, &choices),
    };
    terminal.print(&text)
}

fn json(adapters: &[AdapterInfo], choices: &[(&str, String)]) -> String {
    let adapters: Vec<_> = adapters
        .iter()
        .map(|info| {
            json!({
                "name": info.name,
                "type": format!("{:?}", info.device_type),
                "backend": info.backend.to_string(),
                "driver": driver(info),
                "subgroup_sizes": [info.subgroup_min_size, info.subgroup_max_size],
            })
        })
        .collect();
    let choices: serde_json::Map<_, _> = choices
        .iter()
        .map(|(name, taken)| (name.to_string(), json!(taken)))
        .collect();
    format!("{:#}", json!({ "adapters": adapters, "device": choices }))
}

fn plain(adapters: &[AdapterInfo], choices: &[(&str, String)]) -> String {
    let mut lines = vec![format!("qembed {}", env!("CARGO_PKG_VERSION"))];
    if adapters.is_empty() {
        lines.push("no graphics adapter".into());
    }
    for info in adapters {
        let kind = format!("{:?}", info.device_type);
        lines.push(format!(
            "adapter  {}, {kind}, {}, {}",
            info.name,
            info.backend,
            driver(info)
        ));
    }
    for (name, taken) in choices {
        lines.push(format!("device   {name}: {taken}"));
    }
    lines.join("\n")
}
