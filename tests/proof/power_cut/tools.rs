//! The tools that the host must have.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The place for what is fetched or made once.
pub(crate) const KEPT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/power_cut");

/// A program's output if it succeeded, otherwise its messages.
pub(crate) fn output(program: &str, args: &[impl AsRef<OsStr>]) -> Result<Vec<u8>, String> {
    // Debian puts mkfs.ext4(8) where only root looks.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let done = Command::new(program)
        .args(args)
        .env("PATH", path)
        .output()
        .map_err(|cause| format!("{program}: {cause}"))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    Err(format!("{program}: {}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim()))
}

/// The missing tools; `make power-cut-tools` installs them.
pub(crate) fn missing() -> Vec<&'static str> {
    let tools = [
        ("qemu-system-x86_64", "--version"),
        ("busybox", "--help"),
        ("mkfs.ext4", "-V"),
        ("strace", "--version"),
        ("strip", "--version"),
        ("apt-get", "--version"),
        ("dpkg-deb", "--version"),
    ];
    tools
        .into_iter()
        .filter(|(program, version)| output(program, &[version]).is_err())
        .map(|(program, _)| program)
        .collect()
}

/// The path of a program.
pub(crate) fn find(program: &str) -> Result<PathBuf, String> {
    let found = output("sh", &["-c", "command -v \"$1\"", "sh", program])?;
    Ok(PathBuf::from(String::from_utf8_lossy(&found).trim_end()))
}

/// An empty ext4.
pub(crate) fn empty_disk() -> Result<Vec<u8>, String> {
    const SIZE: &str = "64M";
    fs::create_dir_all(KEPT).map_err(|cause| cause.to_string())?;
    let image = Path::new(KEPT).join(format!("disk-{}", std::process::id()));
    let path = image.to_str().ok_or("the target folder has a strange name")?;
    let lazy = "lazy_itable_init=0,lazy_journal_init=0";
    // The block size of larger disks; one this small would get smaller blocks.
    let made = output("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", lazy, path, SIZE]);
    let bytes = fs::read(&image).map_err(|cause| cause.to_string());
    let _ = fs::remove_file(&image);
    made.and(bytes)
}
