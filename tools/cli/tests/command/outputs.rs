//! What the command leaves behind.

use std::path::Path;
use std::process::Command;

use crate::common::{Folder, run, s};

#[test]
fn outputs_that_cannot_be_written() {
    let folder = Folder::new();
    let input = s(&folder.npy("w.npy", &[1, 2], &[0.5f32; 2]));
    let quantize = |output: &str| run(&["quantize", &input, "--bits", "4", "--output", output]);
    let missing = s(&folder.path("no/such/folder/t.safetensors"));
    quantize(&missing).fails(
        1,
        &["no/such/folder/t.safetensors", "its folder does not exist"],
    );
    quantize(&s(folder.0.path())).fails(1, &["not a regular file"]);
    let (under, names) = (s(&folder.path("w.npy/t.safetensors")), folder.names());
    quantize(&under).fails(1, &["w.npy/t.safetensors", "cannot be written"]);
    let long = s(&folder.path(&"x".repeat(300)));
    quantize(&long).fails(1, &["cannot be written", "too long"]);
    quantize(&s(&folder.path("new/"))).fails(1, &["new/", "names a folder"]);
    assert_eq!(folder.names(), names);
}

/// A failed command leaves the file that was there; a good one replaces it whole.
#[test]
fn an_existing_output_is_replaced_whole_or_not_at_all() {
    let folder = Folder::new();
    let output = folder.path("t.safetensors");
    std::fs::write(&output, "precious").unwrap();
    let bad = s(&folder.npy("bad.npy", &[1, 2], &[f32::NAN, 0.0]));
    run(&["quantize", &bad, "--bits", "4", "--output", &s(&output)]).fails(1, &["NaN"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"precious");
    let good = s(&folder.npy("good.npy", &[1, 2], &[1.0f32, 0.0]));
    run(&["quantize", &good, "--bits", "4", "--output", &s(&output)]).succeeds();
    run(&["inspect", &s(&output)]).succeeds();
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["bad.npy", "good.npy", "t.safetensors"]);
}

/// A new file has the permissions that the umask leaves, an old one keeps its own; links are followed.
#[cfg(unix)]
#[test]
fn permissions_and_links() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let input = folder.npy("good.npy", &[1, 2], &[1.0f32, 0.0]);
    let (output, link) = (
        folder.path("t.safetensors"),
        folder.path("link.safetensors"),
    );
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let quantize = |output: &Path| {
        run(&[
            "quantize",
            &s(&input),
            "--bits",
            "4",
            "--output",
            &s(output),
        ])
        .succeeds();
    };
    quantize(&output);
    assert_eq!(mode(&output), mode(&input));
    std::fs::set_permissions(&output, PermissionsExt::from_mode(0o640)).unwrap();
    std::fs::write(&output, "old").unwrap();
    std::os::unix::fs::symlink(&output, &link).unwrap();
    quantize(&link);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(mode(&output), 0o640);
    run(&["inspect", &s(&output)]).succeeds();
}

/// A disk that is full is an error, on standard output too.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    for args in ["info", "--help"] {
        let command = format!("{} {args} > /dev/full", env!("CARGO_BIN_EXE_qembed"));
        let output = Command::new("bash")
            .args(["-c", &command])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
    }
}

/// An output that is an input would be gone.
#[test]
fn an_input_is_not_overwritten() {
    let folder = Folder::new();
    let table = s(&folder.table());
    let input = s(&folder.path("weights.npy"));
    let before = std::fs::read(&input).unwrap();
    run(&["quantize", &input, "--bits", "4", "--output", &input])
        .fails(2, &["weights.npy", "both"]);
    run(&["dequantize", &table, "--output", &table]).fails(2, &["table.safetensors", "both"]);
    assert_eq!(std::fs::read(&input).unwrap(), before);
}

/// A person who ends the command finds nothing half-written, whatever it was started to ignore.
#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_nothing_behind() {
    let folder = Folder::new();
    let input = folder.npy("w.npy", &[40_000, 64], &vec![0.5f32; 40_000 * 64]);
    let table = s(&folder.path("t.safetensors"));
    run(&["quantize", &s(&input), "--bits", "8", "--output", &table]).succeeds();
    for (ignored, signal) in [("", "INT"), ("HUP", "INT"), ("INT", "TERM"), ("", "HUP")] {
        for delay in [0, 20, 60, 90, 120, 160] {
            interrupt(&folder, &table, (ignored, signal), delay);
        }
    }
}

/// Sends a signal to a command that ignores another, so many milliseconds after its start.
#[cfg(unix)]
fn interrupt(folder: &Folder, table: &str, (ignored, signal): (&str, &str), delay: u64) {
    let before = folder.names().len();
    let output = folder.path("x.npy");
    let script = format!("trap '' {ignored}; exec \"$@\"");
    let mut child = Command::new("bash")
        .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_qembed")])
        .args(["dequantize", table, "--device", "cpu", "--output"])
        .arg(&output)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(delay));
    let kill = format!("kill -{signal} {} 2>/dev/null || true", child.id());
    Command::new("bash").args(["-c", &kill]).status().unwrap();
    let status = child.wait().unwrap();
    let whole = output.exists();
    let names = folder.names();
    let left = format!("{signal} after {delay} ms, {ignored} ignored: {status}: {names:?}");
    assert_eq!(names.len(), before + usize::from(whole), "{left}");
    // Done, ended by the handler, or ended before there was one.
    let done = matches!(status.code(), Some(0 | 130));
    assert!(done || status.code().is_none(), "{left}");
    let _ = std::fs::remove_file(&output);
}

/// A reader that goes away early is no error.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() {
    let command = format!(
        "set -o pipefail; {} info | true",
        env!("CARGO_BIN_EXE_qembed")
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
