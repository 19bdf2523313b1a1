//! Leaves nothing half-written behind when the person ends the command.

use qembed::io::abandon;

const INTERRUPTED: i32 = 130;

fn end() {
    abandon();
    std::process::exit(INTERRUPTED);
}

/// From now on an interrupt, a hang-up and a termination remove temporary files first.
///
/// On Linux a signal that is ignored stays so, and the command goes on: interrupts in the background, hang-ups under
/// nohup.
#[cfg(unix)]
pub fn clear_when_interrupted() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored_signals();
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter();
    let heard = heard.filter(|signal| ignored & (1 << (signal - 1)) == 0);
    // Nothing to be done where the system refuses.
    if let Ok(mut signals) = signal_hook::iterator::Signals::new(heard) {
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                end();
            }
        });
    }
}

/// A bit for every signal that this process was started to ignore. Linux tells; elsewhere hang-ups are taken to be,
/// because not to hear them is what a person who asked for that expects.
#[cfg(unix)]
fn ignored_signals() -> u64 {
    const HANG_UPS: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(HANG_UPS)
}

/// From now on Ctrl-C removes temporary files first.
#[cfg(not(unix))]
pub fn clear_when_interrupted() {
    // Nothing to be done where the system refuses.
    let _ = ctrlc::try_set_handler(end);
}
