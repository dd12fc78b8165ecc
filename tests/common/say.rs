//! What a test reports past the harness's capture, which hides what a passing test
//! prints. `tests/proof/report/` reads these lines.
#![allow(dead_code, reason = "shared by several test targets, and no one of them needs all")]

use std::io::Write as _;

/// Reports what was seen in this run, in numbers.
pub(crate) fn figure(text: &str) {
    aloud("figure", text);
}

/// Reports that a test shows nothing here, or less. A silent skip looks like a pass.
pub(crate) fn skip(why: &str) {
    aloud("SKIPPED", why);
}

/// The short amount, or the long one of `make proof`, before a release.
pub(crate) fn amount<N>(short: N, long: N) -> N {
    if std::env::var_os("MAINT_PROOF").is_some_and(|size| size == "long") { long } else { short }
}

#[expect(clippy::disallowed_methods, reason = "a test shows its own words")]
fn aloud(what: &str, text: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // In one piece, so that the harness cannot write its own lines into it.
    let line = format!("{what}: {name}: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
