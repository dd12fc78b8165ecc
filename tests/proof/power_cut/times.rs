//! Requirement 20 under the machine's kernel, whose file times are coarser than those
//! of newer kernels. The tests are those that also run on the host.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::disk::Disk;
use crate::machine::{Event, Machine};
use crate::say::{figure, skip};
use crate::tools::output;
use crate::{Host, initramfs::Archive};

/// The targets with tests of this requirement. The library has some too.
const TARGETS: [&str; 3] = ["maint", "store", "gate"];

/// Runs the tests in a machine.
pub(crate) fn under_this_kernel(host: &Host) -> Result<(), Vec<String>> {
    run(host).map_err(|why| vec![why])
}

fn run(host: &Host) -> Result<(), String> {
    let mut archive = Archive::default();
    for (name, program) in programs()? {
        archive.program(&format!("/tests/{name}"), &program)?;
    }
    let parts = host.parts("times", include_bytes!("times.sh"), archive)?;
    let disk = Arc::new(Mutex::new(Disk::new(host.empty_disk.clone())));
    let machine = Machine::start(&parts, &disk, "times", &[("options", "defaults")])?;
    let mut kernel = String::new();
    let mut printed = Vec::new();
    let mut passed = 0;
    loop {
        let line = match machine.next()? {
            Event::Line(line) => line,
            Event::PowerFailed | Event::Ended => return Err(format!("it ended: {printed:#?}")),
        };
        let text = |said: &str| said.split_once(": ").map_or(said, |(_, text)| text).to_owned();
        if let Some(version) = line.strip_prefix("kernel ") {
            if !version.starts_with("6.1.") {
                skip(&format!("this kernel is Linux {version}"));
                return Ok(());
            }
            version.clone_into(&mut kernel);
        } else if let Some(said) = line.strip_prefix("figure: ") {
            figure(&format!("Linux {kernel}: {}", text(said)));
        } else if let Some(said) = line.strip_prefix("SKIPPED: ") {
            skip(&text(said));
        } else if let Some(end) = line.strip_prefix("ended ") {
            passed += usize::from(end.starts_with("0 ") && !end.contains(" 0 passed"));
        } else if line == "end" {
            break;
        }
        printed.push(line);
    }
    machine.kill();
    if passed == TARGETS.len() { Ok(()) } else { Err(printed.join("\n")) }
}

/// The test programs, built by cargo if they are not yet.
fn programs() -> Result<Vec<(&'static str, PathBuf)>, String> {
    let words = [
        "test",
        "--no-run",
        "--locked",
        "--all-features",
        "--lib",
        "--test",
        "store",
        "--test",
        "gate",
        "--message-format",
        "json",
    ];
    let messages = output(env!("CARGO"), &words)?;
    let messages: Vec<Value> = messages
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(|message: &Value| message["profile"]["test"] == true)
        .collect();
    let program = |name: &'static str| {
        let it = messages.iter().find(|message| message["target"]["name"] == name);
        let path = it.and_then(|message| message["executable"].as_str());
        path.map(|path| (name, Path::new(path).to_owned()))
            .ok_or_else(|| format!("cargo built no test {name}"))
    };
    TARGETS.into_iter().map(program).collect()
}
