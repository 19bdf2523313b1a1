//! Which adapter a session opens.

use crate::{Error, Result};

/// Which adapters a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Adapters {
    /// Hardware first, software where there is none.
    #[default]
    Any,
    /// Hardware alone.
    Hardware,
}

/// The best adapter of a kind: hardware before software.
///
/// # Errors
/// [`Error::NoAdapter`].
pub(super) fn best(adapters: Adapters) -> Result<wgpu::Adapter> {
    let (wanted, least) = match adapters {
        Adapters::Any => ("GPU adapter", Rank::Software),
        Adapters::Hardware => ("hardware GPU adapter", Rank::Other),
    };
    let available = available();
    let chosen = available.is_empty().then(fault_of_choice).flatten();
    available
        .into_iter()
        .filter(|adapter| rank(&adapter.get_info()) >= least)
        // `max_by_key` takes the last of equals; the driver lists its preference first.
        .rev()
        .max_by_key(|adapter| rank(&adapter.get_info()))
        .ok_or(Error::NoAdapter { wanted, chosen })
}

/// How much an adapter is preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Software,
    Other,
    Virtual,
    Integrated,
    Discrete,
}

fn rank(info: &wgpu::AdapterInfo) -> Rank {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => Rank::Discrete,
        wgpu::DeviceType::IntegratedGpu => Rank::Integrated,
        wgpu::DeviceType::VirtualGpu => Rank::Virtual,
        wgpu::DeviceType::Other => Rank::Other,
        wgpu::DeviceType::Cpu => Rank::Software,
    }
}

/// wgpu's environment variables that choose among adapters, where they leave none of those there are.
fn fault_of_choice() -> Option<String> {
    let chosen = ["WGPU_BACKEND", "WGPU_ADAPTER_NAME"].map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(format!("{name}={value}"))
    });
    let chosen: Vec<_> = chosen.into_iter().flatten().collect();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    (!chosen.is_empty() && !all.is_empty()).then(|| chosen.join(" "))
}

/// Adapters of the backends built in, filtered by wgpu's environment variables.
pub(super) fn available() -> Vec<wgpu::Adapter> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let backends = descriptor.backends;
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    if let Ok(name) = std::env::var("WGPU_ADAPTER_NAME") {
        let name = name.to_lowercase();
        adapters.retain(|adapter| adapter.get_info().name.to_lowercase().contains(&name));
    }
    adapters
}
