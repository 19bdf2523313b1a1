//! Usage, and machines without an adapter.

use crate::common::{Folder, devices, run, run_with, s};

#[test]
fn usage_is_exit_code_2_and_one_line() {
    run(&["quantize"]).fails(2, &["--bits", "--output"]);
    run(&["quantize", "x.npy", "--bits", "5", "--output", "t"])
        .fails(2, &["--bits", "2, 3, 4 or 8"]);
    run(&["nonsense"]).fails(2, &["nonsense"]);
    run(&[]).fails(2, &["a command is missing"]);
    run(&["verify", "--device", "tpu"]).fails(2, &["--device"]);
    let help = run(&["--help"]).succeeds().stdout();
    assert!(help.contains("quantize") && help.contains("verify"));
    run(&["--version"]).succeeds();
}

/// Without an adapter `gpu` fails, and `auto` takes the CPU. A choice that fits no adapter is no reason
/// to take another device.
#[test]
fn without_an_adapter() {
    #[cfg(target_os = "linux")]
    {
        let none = [
            ("VK_DRIVER_FILES", "/no/such/driver"),
            ("VK_ICD_FILENAMES", "/no/such/driver"),
        ];
        run_with(&["verify", "--device", "gpu", "--filter", "dim33"], &none)
            .fails(1, &["no GPU adapter found", "mesa-vulkan-drivers"]);
        let info = run_with(&["info"], &none).succeeds().stdout();
        assert!(info.contains("no graphics adapter"), "{info}");
        let ran = run_with(
            &["verify", "--filter", "q2h32.max.unweighted.f16/dim33."],
            &none,
        );
        let text = ran.succeeds().stdout();
        assert!(text.contains("on the CPU"), "{text}");
    }
    let mistyped = [("WGPU_ADAPTER_NAME", "nope")];
    for device in ["auto", "gpu"] {
        run_with(
            &["verify", "--device", device, "--filter", "dim33"],
            &mistyped,
        )
        .fails(1, &["adapter found with WGPU_ADAPTER_NAME=nope"]);
    }
    run_with(&["info"], &mistyped).succeeds();
    if devices().contains(&"gpu") {
        let folder = Folder::new();
        let (table, output) = (s(&folder.table()), s(&folder.path("x.npy")));
        let software = [("WGPU_ADAPTER_NAME", "")];
        run_with(&["dequantize", &table, "--output", &output], &software).succeeds();
    }
}
