//! Others that read the state, or keep its file open.

use std::thread;
use std::time::{Duration, Instant};

use crate::meanwhile::Meanwhile;
use crate::say::{amount, figure};
use crate::site::Site;

/// What a program shares of a file that it opens, as in winnt.h.
const READ_WRITE: &str = "3";
const READ_WRITE_DELETE: &str = "7";

#[test]
fn readers_see_whole_states_and_stop_no_writer() {
    let Some(site) = Site::new() else { return };
    let changes = amount(40, 250);
    let holders = [site.holder(&["read"]), site.holder(&["read"])];
    let meanwhile = Meanwhile::new();
    let (asked, waited) = thread::scope(|scope| {
        let ask = |words: &'static [&'static str], good: [i32; 2]| {
            let (site, meanwhile) = (&site, &meanwhile);
            scope.spawn(move || {
                let mut asked = 0;
                while meanwhile.goes_on() {
                    let ran = site.run(words);
                    assert!(good.contains(&ran.code), "{words:?}: {ran:?}");
                    assert_eq!(ran.stderr, "", "{words:?}");
                    asked += 1;
                }
                asked
            })
        };
        let readers = [ask(&["status", "--json"], [0, 0]), ask(&["check", "/"], [0, 1])];
        // It looks every 40 ms, and ends with the last change.
        let watcher = scope.spawn(|| site.run(&["wait", "on", "--timeout", "280s", "--json"]));
        meanwhile.of(|| {
            thread::scope(|scope| {
                for writer in 0..2 {
                    let site = &site;
                    scope.spawn(move || {
                        for change in 0..changes / 2 {
                            let address = format!("10.2.{writer}.{change}");
                            site.ok(&["ignore", "add", "ip", &address, "--wait", "60s"]);
                        }
                    });
                }
            });
            site.ok(&["on", "-m", "the last change"]);
        });
        let asked: u32 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        (asked, watcher.join().unwrap())
    });
    assert_eq!(waited.code, 0, "{waited:?}");
    assert!(!waited.stderr.contains("maint:"), "an error while it waited: {waited:?}");
    let mut read = 0;
    for holder in holders {
        let said = holder.end().unwrap();
        let (whole, broken) = said.trim().split_once(' ').unwrap();
        assert_eq!(broken, "0", "half a file");
        read += whole.parse::<u32>().unwrap();
    }
    assert_eq!(site.state()["revision"], 2 + changes);
    figure(&format!(
        "{changes} replacements while the command read {asked} times, and others {read} times"
    ));
}

#[test]
fn a_program_that_has_the_state_open_for_a_moment_delays_a_change_and_fails_none() {
    let Some(site) = Site::new() else { return };
    for share in [READ_WRITE, READ_WRITE_DELETE] {
        let holder = site.holder(&["keep", share]);
        let before = site.state()["revision"].clone();
        thread::scope(|scope| {
            let writer = scope.spawn(|| site.ok(&["ignore", "add", "path", &format!("/{share}")]));
            // The writer has its turn by now, and meets the open file.
            let begun = Instant::now();
            while site.leftovers().is_empty() && !writer.is_finished() {
                assert!(begun.elapsed() < Duration::from_secs(60), "no writer came");
            }
            thread::sleep(Duration::from_millis(300));
            holder.end();
            writer.join().unwrap();
        });
        assert_eq!(site.state()["revision"], before.as_u64().unwrap() + 1);
    }
}

#[test]
fn a_program_that_never_lets_go_of_the_state_fails_a_change_whole() {
    let Some(site) = Site::new() else { return };
    let template = site.root().join("closed.html");
    std::fs::write(&template, "<p>one</p>").unwrap();
    site.ok(&["template", "add", "closed", "closed.html"]);
    site.ok(&["template", "use", "closed"]);
    let before = site.state();
    let holder = site.holder(&["keep", READ_WRITE]);
    let ran = site.run(&["on", "--yes"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("could not replace"), "{ran:?}");
    std::fs::write(&template, "<p>two</p>").unwrap();
    let ran = site.run(&["template", "add", "closed", "closed.html", "--replace"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(site.state(), before);
    let kept = std::fs::read_to_string(site.file("templates/closed.html")).unwrap();
    assert_eq!(kept, "<p>one</p>", "the template of a change that failed");
    let status = site.json(&["status"]);
    assert_eq!(status["state"], "off", "it can be read meanwhile");
    holder.end();
    site.ok(&["on", "--yes"]);
    assert_eq!(site.leftovers(), [""; 0]);
}
