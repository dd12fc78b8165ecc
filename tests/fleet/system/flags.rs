//! A host is waited for until its flags follow, too.

use std::io::Write as _;

use super::hosts::Hosts;
use crate::pace::until;

/// Two hosts on an engine in a file, the second of which has this flag.
fn with_flag(temp: &tempfile::TempDir, on: &str, off: &str) -> Hosts {
    let mut hosts = Hosts::of(&format!("file://{}/shop", temp.path().display()), &["one", "two"]);
    hosts.ok("two", &["flag", "add", "exec", "--id", "it", "--on", on, "--off", off]);
    hosts.start_agent("one");
    hosts.start_agent("two");
    hosts
}

#[test]
fn a_host_is_waited_for_until_its_slowest_flag_follows() {
    let temp = tempfile::tempdir().unwrap();
    let done = temp.path().join("done");
    let path = done.display();
    let hosts =
        with_flag(&temp, &format!("sleep 1; touch '{path}'"), &format!("sleep 1; rm -f '{path}'"));
    for _ in 0..2 {
        hosts.ok("ci", &["on"]);
        hosts.ok("ci", &["wait", "on", "--all", "--timeout", "60s"]);
        assert!(done.exists(), "the command of the flag has run");
        hosts.ok("ci", &["off"]);
        hosts.ok("ci", &["wait", "off", "--all", "--timeout", "60s"]);
        assert!(!done.exists(), "the command of the flag has run");
    }
}

#[test]
fn a_host_whose_flag_fails_or_cannot_be_read_does_not_have_it() {
    let temp = tempfile::tempdir().unwrap();
    let hosts = with_flag(&temp, "false", "true");
    hosts.ok("ci", &["on"]);
    let args = ["wait", "on", "--all", "--timeout", "3s"];
    let gave_up = hosts.fails("ci", 1, &args);
    assert!(gave_up.stdout.contains("two has flags that do not follow: it"), "{gave_up:?}");
    hosts.ok("ci", &["off"]);
    hosts.ok("ci", &["wait", "off", "--all", "--timeout", "60s"]);
    let flags = hosts.dir("two").join(".maint/flags.json");
    std::fs::remove_file(&flags).unwrap();
    std::fs::File::create_new(&flags).unwrap().write_all(b"{").unwrap();
    let problem = || hosts.json("two", &["agent", "status"])["last"]["problem"].is_string();
    until("the agent cannot read its flags", problem);
    hosts.ok("ci", &["on"]);
    let gave_up = hosts.fails("ci", 1, &args);
    assert!(gave_up.stdout.contains("two says: "), "{gave_up:?}");
}
