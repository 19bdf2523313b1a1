//! One thread for every training.

/// The variables that candle reads the number of its threads from.
#[cfg(unix)]
const VARIABLES: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Starts this process anew with one thread for every operation of candle, unless it was told how many.
///
/// candle spreads each operation over threads that all trainings share and that wait for each other by
/// spinning; where an operation is as short as here that takes several times the work. Nothing but the
/// environment tells it otherwise, and a process cannot safely change its own.
#[cfg(unix)]
pub fn begin() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    if VARIABLES
        .iter()
        .any(|name| std::env::var_os(name).is_some())
    {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut anew = Command::new(program);
        anew.args(std::env::args_os().skip(1));
        // It returns where it failed: then this process goes on, slower.
        let _ = anew.envs(VARIABLES.map(|name| (name, "1"))).exec();
    }
}

/// Elsewhere a process cannot be replaced; trainings are slower there.
#[cfg(not(unix))]
pub fn begin() {}
