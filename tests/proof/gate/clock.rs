//! Requirements 25 and 37: windows open and close by the clock while the file is
//! untouched, and pages show the time left.

use maint::gate::Answer;
use serde_json::json;

use crate::env::{OPENED, TestSite, accepting, at, body, get, reply};
use crate::say::figure;

#[test]
fn requirement_25_a_window_begins_and_ends_by_the_clock_with_the_file_untouched() {
    let site = TestSite::new();
    site.put(
        1,
        &json!({ "windows": { "w": {
            "opened_at": OPENED,
            "start": "2026-11-22T04:00:00Z",
            "end": "2026-11-22T05:00:00Z",
        } } }),
    );
    let before = std::fs::metadata(site.state_file()).unwrap();
    let gate = site.gate();
    // The clock may also step back, over both edges.
    let times = [
        ("2026-11-22T03:00:00Z", None),
        ("2026-11-22T03:59:59.999999999Z", None),
        ("2026-11-22T04:00:00Z", Some(3600)),
        ("2026-11-22T04:00:00.000000001Z", Some(3600)),
        ("2026-11-22T04:00:01Z", Some(3599)),
        ("2026-11-22T04:59:59Z", Some(1)),
        ("2026-11-22T04:59:59.999999999Z", Some(1)),
        ("2026-11-22T05:00:00Z", None),
        ("2026-11-22T04:59:58.5Z", Some(2)),
        ("2026-11-22T03:59:59Z", None),
        ("9999-12-30T00:00:00Z", None),
        ("0001-01-02T00:00:00Z", None),
    ];
    for (now, wait) in times {
        let told = match gate.current().at(at(now)).answer(&get("/")) {
            Answer::Reply(reply) => reply.header("retry-after").map(|text| text.parse().unwrap()),
            Answer::Pass(_) => None,
        };
        assert_eq!(told, wait, "{now}");
    }
    let after = std::fs::metadata(site.state_file()).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    let flips = times.windows(2).filter(|pair| pair[0].1.is_some() != pair[1].1.is_some()).count();
    figure(&format!(
        "{0} of {0} times decided as they should be, a nanosecond before both boundaries and at \
         them too; {flips} flips",
        times.len()
    ));
}

#[test]
fn of_several_windows_the_one_that_ends_last_answers() {
    let site = TestSite::new();
    let window = |end: Option<&str>, reason: &str| {
        json!({
            "opened_at": OPENED, "start": OPENED, "end": end, "reason": reason,
        })
    };
    let mut windows = json!({
        "a": window(Some("2026-11-22T04:00:00Z"), "first"),
        "b": window(Some("2026-11-22T06:00:00Z"), "last"),
        "c": window(Some("2026-11-22T05:00:00Z"), "between"),
        "d": window(Some("2026-11-29T05:00:00Z"), "elsewhere"),
    });
    windows["d"]["scope"] = json!({ "paths": ["/shop/**"] });
    site.put(1, &json!({ "windows": windows }));
    let gate = site.gate();
    let told = |path: &str, now: &str| match gate.current().at(at(now)).answer(&get(path)) {
        Answer::Reply(reply) => {
            let window = reply.window().unwrap().to_owned();
            Some((window, reply.header("retry-after").unwrap()))
        }
        Answer::Pass(_) => None,
    };
    let is = |window: &str, wait: u32| Some((window.to_owned(), wait.to_string()));
    assert_eq!(told("/", "2026-11-22T03:30:00Z"), is("b", 9_000));
    assert_eq!(told("/", "2026-11-22T05:30:00Z"), is("b", 1_800));
    assert_eq!(told("/", "2026-11-22T06:00:00Z"), None);
    assert_eq!(told("/shop/1", "2026-11-22T03:30:00Z"), is("d", 604_800));
    assert_eq!(told("/shop/1", "2026-11-22T06:00:00Z"), is("d", 601_200));
    // A window without an end ends last of all.
    windows["c"] = window(None, "open");
    site.put(2, &json!({ "windows": windows, "page": { "retry_after": 77 } }));
    assert_eq!(told("/", "2026-11-22T03:30:00Z"), is("c", 77));
    let page =
        reply(gate.current().at(at("2026-11-22T03:30:00Z")).answer(&accepting("text/plain")));
    assert!(body(&page).contains("open"), "{}", body(&page));
}

#[test]
fn a_page_that_shows_the_seconds_shows_those_of_its_header() {
    let site = TestSite::new();
    for format in ["html", "json", "txt"] {
        site.template(&format!("wait.{format}"), "{{ retry_after }}");
    }
    site.put(
        1,
        &json!({
            "windows": { "w": {
                "opened_at": OPENED, "start": OPENED, "end": "2026-11-22T04:00:00Z",
            } },
            "page": { "template": "wait" },
        }),
    );
    let gate = site.gate();
    let seconds = (0..3_600).step_by(97).chain([3_599, 0, 1, 1, 0, 3_598]);
    for second in seconds {
        let now = at(OPENED).checked_add(jiff::SignedDuration::from_secs(second)).unwrap();
        for accept in ["text/html", "application/json", "text/plain"] {
            let page = reply(gate.current().at(now).answer(&accepting(accept)));
            let left = (3_600 - second).to_string();
            assert_eq!(page.header("retry-after").as_deref(), Some(&*left));
            assert_eq!(body(&page).trim(), left, "{accept}");
            assert_eq!(page.header("content-length").unwrap(), page.body().len().to_string());
        }
    }
    // Many threads at once, over the same few seconds.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let gate = &gate;
            scope.spawn(move || {
                for number in 0..500_i64 {
                    let second = (number * 7 + thread) % 5;
                    let now = at(OPENED).checked_add(jiff::SignedDuration::from_secs(second));
                    let page =
                        reply(gate.current().at(now.unwrap()).answer(&accepting("text/html")));
                    assert_eq!(body(&page), (3_600 - second).to_string());
                }
            });
        }
    });
}
