//! Writers that come at once.

use std::thread;

use crate::say::{amount, figure};
use crate::site::Site;

#[test]
fn eight_writers_at_once_lose_no_change() {
    let Some(site) = Site::new() else { return };
    let rounds = amount(3, 20);
    thread::scope(|scope| {
        for writer in 0..8 {
            let site = &site;
            scope.spawn(move || {
                for round in 0..rounds {
                    let address = format!("10.0.{writer}.{round}");
                    site.ok(&["ignore", "add", "ip", &address, "--wait", "120s"]);
                }
            });
        }
    });
    let state = site.state();
    let mut expected: Vec<String> = (0..8)
        .flat_map(|writer| (0..rounds).map(move |round| format!("10.0.{writer}.{round}")))
        .collect();
    expected.sort();
    let list = site.ok(&["ignore", "list"]);
    let mut found: Vec<&str> =
        list.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(state["revision"], 1 + 8 * rounds, "one revision for each change");
    let history = std::fs::read_to_string(site.file("history.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 1 + 8 * rounds, "one record for each change");
    assert_eq!(site.leftovers(), [""; 0]);
    figure(&format!("8 writers at once, {} changes, none lost", 8 * rounds));
}
