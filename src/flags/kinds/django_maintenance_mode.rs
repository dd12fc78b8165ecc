//! `django-maintenance-mode`: its state file.
//!
//! Off is `0` and never a missing file: where it is missing, the middleware makes it anew, and
//! if it may not, every request gets 500.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::kinds::parent::check_parent;
use crate::flags::notice::Notice;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::DjangoMaintenanceMode,
    path: "its state file",
    on: "`1`, or JSON with the times; `0` while it is clear",
    carries: &[Fact::Start, Fact::End],
    drive: Drive::Files { check: check_parent, pieces, is_blank },
};

/// What version 0.23 and later read in place of `0` and `1`. One of the two is not null.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Times {
    #[serde(default)]
    start: Option<Timestamp>,
    #[serde(default)]
    end: Option<Timestamp>,
}

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let path = order.flag.place()?.to_owned();
    let times = order.flag.options.times;
    let bytes = order.notice.map_or_else(|| b"0".to_vec(), |notice| on(notice, times));
    Ok(vec![Piece::there(path, Some(bytes))])
}

fn on(notice: &Notice<'_>, with_times: bool) -> Vec<u8> {
    let (start, end) = (notice.window.start, notice.end());
    // Without any time, JSON is an error there.
    let times = (with_times && (start.is_some() || end.is_some())).then_some(Times { start, end });
    times.and_then(|times| serde_json::to_vec(&times).ok()).unwrap_or_else(|| b"1".to_vec())
}

/// Whether the file says off, whoever wrote it: the app does so by itself.
fn is_blank(bytes: &[u8]) -> bool {
    if bytes.is_empty() || bytes.trim_ascii() == b"0" {
        return true;
    }
    let times = serde_json::from_slice::<Times>(bytes);
    // The software goes by the clock as well.
    times.is_ok_and(|times| times.end.is_some_and(|end| end <= Timestamp::now()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;
    use crate::flags::flag::{Flag, Options};
    use crate::flags::tests::{Host, NOW, at, mode, write};
    use crate::flags::{Found, Missing};
    use crate::state::WindowSettings;
    use crate::store;

    fn host(times: bool) -> Host {
        let options = Options { times, ..Options::default() };
        Host::with(|folder| {
            Flag::new(Kind::DjangoMaintenanceMode).at(folder.join("state.txt")).options(options)
        })
    }

    fn text(host: &Host) -> String {
        fs::read_to_string(host.folder.join("state.txt")).unwrap()
    }

    #[test]
    fn requirement_76_off_is_a_zero_and_never_a_missing_file() {
        let host = host(false);
        assert_eq!(text(&host), "0", "from the beginning, so the app never has to make it");
        let end = WindowSettings::new().end(at("2999-01-01T00:00:00Z"));
        let lacks = host.on(&end).flags[0].lacks.clone();
        assert_eq!(text(&host), "1", "version 0.22 reads nothing else");
        assert_eq!(lacks.iter().map(|lack| lack.what).collect::<Vec<_>>(), [Missing::End]);
        host.off();
        assert_eq!(text(&host), "0");
        fs::remove_file(host.folder.join("state.txt")).unwrap();
        assert_eq!(host.look().in_step, Some(false));
        assert!(host.sync(NOW).is_in_step());
        assert_eq!(text(&host), "0");
        host.on(&WindowSettings::new());
        store::remove_flag(&host.site, &Host::options(NOW), "it", false).unwrap();
        assert_eq!(text(&host), "0", "removing the flag leaves the app a file");
    }

    #[test]
    fn requirement_76_times_are_carried_where_they_were_asked_for() {
        let host = host(true);
        host.on(&WindowSettings::new());
        assert_eq!(text(&host), "1", "without any time");
        host.off();
        let window =
            WindowSettings::new().start(at("2999-01-01T00:00:00Z")).end(at("2999-01-02T00:00:00Z"));
        let report = host.on(&window);
        assert_eq!(text(&host), r#"{"start":"2999-01-01T00:00:00Z","end":"2999-01-02T00:00:00Z"}"#);
        assert_eq!(report.flags[0].lacks, []);
        assert!(report.is_in_step(), "set before the window begins");
        host.off();
        assert_eq!(text(&host), "0");
        host.on(&WindowSettings::new().end(at("2999-01-02T00:00:00Z")));
        assert_eq!(text(&host), r#"{"start":null,"end":"2999-01-02T00:00:00Z"}"#);
    }

    #[test]
    fn requirement_78_what_says_off_is_nobodys_and_all_else_stays() {
        for blank in ["", "0", "0\n", r#"{"start": null, "end": "2020-01-01T00:00:00+00:00"}"#] {
            assert!(is_blank(blank.as_bytes()), "{blank}");
            let host = Host::new();
            let path = host.folder.join("state.txt");
            write(&path, blank);
            host.add("it", Flag::new(Kind::DjangoMaintenanceMode).at(&path)).unwrap();
            assert_eq!(host.look().found, Found::Clear, "{blank}");
            host.on(&WindowSettings::new());
            assert_eq!((text(&host).as_str(), mode(&path)), ("1", 0o644));
        }
        for other in [
            "1",
            "on",
            r#"{"start": null, "end": "2999-01-01T00:00:00+00:00"}"#,
            r#"{"start": "2020-01-01T00:00:00+00:00", "end": null}"#,
        ] {
            assert!(!is_blank(other.as_bytes()), "{other}");
            let host = Host::new();
            let path = host.folder.join("state.txt");
            write(&path, other);
            host.add("it", Flag::new(Kind::DjangoMaintenanceMode).at(&path)).unwrap_err();
            assert_eq!(text(&host), other);
        }
    }

    #[test]
    fn what_has_ended_by_its_own_end_counts_as_clear_and_becomes_a_zero() {
        let host = host(true);
        // Over for the clock of the machine, and not for that of the test.
        let end = "2020-01-02T00:00:00Z";
        let window = WindowSettings::new().end(at(end));
        let now = "2020-01-01T00:00:00Z";
        host.change(now, |state, stamp| state.open_window("w", &window, stamp));
        assert_eq!(text(&host), format!(r#"{{"start":null,"end":"{end}"}}"#));
        assert_eq!(host.look().found, Found::Clear, "the software is up");
        assert!(host.sync(NOW).flags[0].is_changed);
        assert_eq!(text(&host), "0", "were the clock set back, it would be down again");
    }

    #[test]
    fn requirement_79_the_release_before_is_left_with_a_zero() {
        let host = Host::new();
        let release = |number: u32| {
            let release = host.folder.join(number.to_string());
            fs::create_dir(&release).unwrap();
            let link = host.folder.join("next");
            std::os::unix::fs::symlink(&release, &link).unwrap();
            crate::sys::rename(&link, &host.folder.join("current")).unwrap();
            release.join("state.txt")
        };
        let text = |path: &std::path::Path| fs::read_to_string(path).unwrap();
        let first = release(1);
        let path = host.folder.join("current/state.txt");
        host.add("it", Flag::new(Kind::DjangoMaintenanceMode).at(path)).unwrap();
        host.on(&WindowSettings::new());
        let second = release(2);
        assert!(host.sync(NOW).is_in_step());
        assert_eq!((text(&first), text(&second)), ("1".to_owned(), "1".to_owned()));
        host.off();
        assert_eq!((text(&first), text(&second)), ("0".to_owned(), "0".to_owned()));
        assert_eq!(host.look().found, Found::Clear);
        let third = release(3);
        assert!(host.sync(NOW).is_in_step());
        assert_eq!((text(&second), text(&third)), ("0".to_owned(), "0".to_owned()));
        host.on(&WindowSettings::new());
        let fourth = release(4);
        host.sync(NOW);
        store::remove_flag(&host.site, &Host::options(NOW), "it", false).unwrap();
        assert_eq!((text(&third), text(&fourth)), ("0".to_owned(), "0".to_owned()));
    }
}
