//! Opening a page in the browser of whoever is at this desktop.
//!
//! The crates for it bring more of their own than the few lines they save. The order is that of
//! Python's webbrowser: `BROWSER`, then what the desktop has.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::thread;

use maint::site::PASSWORD;

/// Opens a page, if there is a browser. Whether it shows is between the two of them: nothing
/// here waits, and nothing fails.
pub(super) fn open(url: &str) {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    for words in candidates(url, variable, is_root()) {
        if start(&words) {
            return;
        }
    }
}

/// The command lines to try, in order.
fn candidates(
    url: &str,
    variable: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    if let Some(browsers) = variable("BROWSER") {
        let browsers = browsers.to_string_lossy().into_owned();
        let separator = if cfg!(windows) { ';' } else { ':' };
        found.extend(browsers.split(separator).filter_map(|line| of_line(line, url)));
    }
    // Browsers refuse to run as root, or leave files of root in the user's profile. In a
    // session from elsewhere the desktop is before nobody, or somebody else.
    let is_elsewhere = variable("SSH_CONNECTION").is_some();
    let desktop: &[&[&str]] = if is_root {
        &[]
    } else if cfg!(windows) {
        &[&["rundll32", "url.dll,FileProtocolHandler"]]
    } else if cfg!(target_os = "macos") && !is_elsewhere {
        &[&["open"]]
    } else if variable("DISPLAY").or_else(|| variable("WAYLAND_DISPLAY")).is_some() {
        &[&["xdg-open"], &["gio", "open"], &["wslview"]]
    } else {
        &[]
    };
    let whole = |words: &&[&str]| words.iter().chain([&url]).map(ToString::to_string).collect();
    found.extend(desktop.iter().map(whole));
    found
}

/// An entry of `BROWSER`: words, of which `%s` is the address, or else the address follows.
/// No shell reads it.
fn of_line(line: &str, url: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> =
        line.split_whitespace().map(|word| word.replace("%s", url)).collect();
    if words.is_empty() {
        return None;
    }
    if !line.contains("%s") {
        words.push(url.to_owned());
    }
    Some(words)
}

/// Starts a program beside this one; `false` if there is none of that name.
fn start(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return false };
    let mut command = Command::new(program);
    command.env_remove(PASSWORD);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C ends the demo and not the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let Ok(mut child) = command.spawn() else { return false };
    let _ = thread::Builder::new().spawn(move || child.wait());
    true
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], is_root: bool) -> Vec<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        candidates("http://x/", variable, is_root).iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn the_browser_is_that_of_the_variable_or_else_of_the_desktop() {
        let desktop = ["xdg-open http://x/", "gio open http://x/", "wslview http://x/"];
        assert_eq!(of(&[("DISPLAY", ":0")], false), desktop);
        assert_eq!(of(&[("WAYLAND_DISPLAY", "wayland-0")], false), desktop);
        assert_eq!(
            of(&[("BROWSER", "firefox --new-tab: :elinks %s -x")], false),
            ["firefox --new-tab http://x/", "elinks http://x/ -x"]
        );
        let both = of(&[("BROWSER", "firefox"), ("DISPLAY", ":0")], false);
        assert_eq!((both.len(), both[0].as_str()), (4, "firefox http://x/"));
    }

    #[test]
    fn there_is_none_without_a_desktop_and_none_for_root_unless_named() {
        assert!(of(&[], false).is_empty(), "as over ssh");
        assert!(of(&[("DISPLAY", ":0")], true).is_empty());
        assert_eq!(of(&[("BROWSER", "w3m"), ("DISPLAY", ":0")], true), ["w3m http://x/"]);
    }

    #[test]
    fn a_browser_that_is_not_there_is_no_failure() {
        assert!(!start(&["no-such-browser-here".to_owned(), "http://x/".to_owned()]));
        assert!(start(&["true".to_owned()]));
    }
}
