//! Flags as the store brings them in step.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Flag, Found, Kind, Missing, Report, Standing};
use crate::error::Error;
use crate::format::Format;
use crate::rules::{self, Matcher};
use crate::site::Site;
use crate::state::{PageSettings, RuleSettings, Scope, State, WindowSettings};
use crate::store::{self, Applied, Options, Stamp};

/// A site, and a folder that software looks into.
pub(super) struct Host {
    temp: TempDir,
    pub(super) site: Site,
    pub(super) folder: PathBuf,
}

pub(super) const NOW: &str = "2026-11-29T12:00:00Z";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Host {
    pub(super) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let (site, folder) = (Site::at(root.join(".maint")), root.join("folder"));
        store::create(&site).unwrap();
        fs::create_dir(&folder).unwrap();
        Self { temp, site, folder }
    }

    pub(super) fn with(flag: impl FnOnce(&Path) -> Flag) -> Self {
        let host = Self::new();
        host.add("it", flag(&host.folder)).unwrap();
        host
    }

    pub(super) fn options(now: &str) -> Options<'static> {
        Options::new("test").now(at(now))
    }

    pub(super) fn add(&self, id: &str, flag: Flag) -> crate::Result<Report> {
        Ok(store::add_flag(&self.site, &Self::options(NOW), id, flag, false)?.flags)
    }

    pub(super) fn change<T>(
        &self,
        now: &str,
        change: impl Fn(&mut State, Stamp<'_>) -> crate::Result<T>,
    ) -> Applied<T> {
        store::update(&self.site, &Self::options(now), change).unwrap()
    }

    pub(super) fn on(&self, settings: &WindowSettings) -> Report {
        self.change(NOW, |state, stamp| state.open_window("w", settings, stamp)).flags
    }

    pub(super) fn off(&self) -> Report {
        self.change(NOW, |state, stamp| state.close_window("w", stamp.now)).flags
    }

    pub(super) fn sync(&self, now: &str) -> Report {
        store::sync_flags(&self.site, &Self::options(now), &[], false).unwrap()
    }

    pub(super) fn look(&self) -> Standing {
        let standings = super::look(&self.site, &self.site.state().unwrap(), at(NOW)).unwrap();
        standings.into_iter().next().unwrap()
    }

    fn down(&self) -> PathBuf {
        self.folder.join("down")
    }
}

#[expect(clippy::disallowed_methods, reason = "somebody else writes")]
pub(super) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn file(folder: &Path) -> Flag {
    Flag::new(Kind::File).at(folder.join("down"))
}

/// Lets addresses and networks through.
pub(super) fn allow(host: &Host, values: &[&str]) {
    add_rules(host, &rules::Kind::Ip, values);
}

/// Lets paths through.
pub(super) fn allow_paths(host: &Host, values: &[&str]) {
    add_rules(host, &rules::Kind::Path, values);
}

fn add_rules(host: &Host, kind: &rules::Kind, values: &[&str]) {
    host.change(NOW, |state, stamp| {
        for value in values {
            state.add_rule(&Matcher::parse(kind, value)?, &RuleSettings::new(), stamp)?;
        }
        Ok(())
    });
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn requirement_76_a_flag_follows_each_change_of_the_state() {
    let host = Host::with(file);
    assert!(!host.down().exists());
    let report = host.on(&WindowSettings::new());
    assert!(report.is_in_step() && report.flags[0].is_changed);
    assert_eq!(fs::read(host.down()).unwrap(), b"");
    let again = host.on(&WindowSettings::new());
    assert!(again.is_in_step() && !again.flags[0].is_changed);
    host.off();
    assert!(!host.down().exists());
}

#[test]
fn requirement_76_every_file_of_a_web_server_is_there_before_the_flag() {
    let host = Host::with(|folder| Flag::new(Kind::Web).at(folder.join("web")));
    assert!(host.folder.join("web").is_dir(), "a server can be pointed at it");
    let rule = |state: &mut State, stamp: Stamp<'_>| {
        for value in ["203.0.113.7", "10.0.0.0/8", "2001:DB8::7"] {
            state.add_rule(
                &Matcher::parse(&rules::Kind::Ip, value)?,
                &RuleSettings::new(),
                stamp,
            )?;
        }
        Ok(())
    };
    host.change(NOW, rule);
    host.on(&WindowSettings::new().reason("Back at noon"));
    let web = host.folder.join("web");
    let text = |name: &str| fs::read_to_string(web.join(name)).unwrap();
    assert!(text("page.html").contains("Back at noon") && text("page.html").contains("<html"));
    assert!(
        text("page.json").contains("Back at noon") && text("page.txt").contains("Back at noon")
    );
    assert_eq!(text("retry-after"), "120", "no line feed");
    assert_eq!(text("down"), "");
    let mut allowed: Vec<_> =
        fs::read_dir(web.join("allow")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    allowed.sort();
    assert_eq!(allowed, ["2001:db8::7", "203.0.113.7"], "a network is no file");
    let end = at("2026-11-29T13:00:00Z");
    host.on(&WindowSettings::new().end(end));
    assert_eq!(text("retry-after"), "Sun, 29 Nov 2026 13:00:00 GMT", "a date stays right");
    host.change(NOW, |state, _| {
        state.ignore.clear();
        Ok(())
    });
    assert_eq!(fs::read_dir(web.join("allow")).unwrap().count(), 0);
    host.off();
    assert!(!web.join("down").exists());
    assert!(web.join("page.html").exists(), "a request on its way still finds it");
    store::remove_flag(&host.site, &Host::options(NOW), "it", false).unwrap();
    assert!(!web.join("page.html").exists());
}

#[test]
fn requirement_77_everyone_may_read_a_flag_whatever_it_was_before() {
    let host = Host::with(|folder| Flag::new(Kind::Web).at(folder.join("web")));
    host.on(&WindowSettings::new());
    let page = host.folder.join("web/page.html");
    fs::set_permissions(&page, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(host.look().in_step, Some(false), "nobody could read the page");
    assert!(host.sync(NOW).is_in_step());
    assert_eq!((mode(&page), mode(page.parent().unwrap())), (0o644, 0o755));
}

#[test]
fn requirement_78_what_somebody_else_made_is_neither_replaced_nor_removed() {
    let host = Host::new();
    write(&host.down(), "mine");
    let refused = host.add("it", file(&host.folder)).unwrap_err();
    assert!(refused.to_string().contains("somebody else made it"), "{refused}");
    assert!(super::read(&host.site).unwrap().flags.is_empty());
    fs::remove_file(host.down()).unwrap();
    host.add("it", file(&host.folder)).unwrap();
    write(&host.down(), "mine");
    for report in [host.on(&WindowSettings::new()), host.off(), host.sync(NOW)] {
        assert!(!report.is_in_step());
        assert_eq!(report.flags[0].found, Found::SomebodyElses);
        assert_eq!(fs::read(host.down()).unwrap(), b"mine");
    }
    let options = Host::options(NOW);
    store::sync_flags(&host.site, &options, &[], true).unwrap();
    assert!(!host.down().exists(), "taken over");
}

#[test]
fn requirement_78_what_was_changed_since_is_somebody_elses() {
    let host = Host::with(|folder| Flag::new(Kind::Page).at(folder.join("down")));
    host.on(&WindowSettings::new());
    write(&host.down(), "their own page");
    let report = host.off();
    assert_eq!((report.flags[0].found, report.is_in_step()), (Found::SomebodyElses, false));
    assert_eq!(fs::read(host.down()).unwrap(), b"their own page");
    let removed = store::remove_flag(&host.site, &Host::options(NOW), "it", false);
    assert!(removed.is_err(), "the software stays down");
    store::remove_flag(&host.site, &Host::options(NOW), "it", true).unwrap();
    assert!(host.down().exists());
}

#[test]
fn requirement_79_a_flag_that_was_removed_is_seen_and_mended_by_the_same_change_again() {
    let host = Host::with(file);
    host.on(&WindowSettings::new());
    fs::remove_file(host.down()).unwrap();
    let standing = host.look();
    assert_eq!((standing.found, standing.in_step), (Found::Clear, Some(false)));
    assert!(host.on(&WindowSettings::new()).is_in_step(), "nothing changed but the flag");
    assert!(host.down().exists());
}

#[test]
fn requirement_79_a_flag_behind_a_moved_link_is_set_again_and_cleared_in_both_places() {
    let host = Host::new();
    let release = |number: u32| {
        let release = host.folder.join(number.to_string());
        let _ = fs::create_dir(&release);
        let link = host.folder.join("next");
        symlink(&release, &link).unwrap();
        crate::sys::rename(&link, &host.folder.join("current")).unwrap();
        release.join("down")
    };
    let first = release(1);
    host.add("it", Flag::new(Kind::File).at(host.folder.join("current/down"))).unwrap();
    host.on(&WindowSettings::new());
    assert!(first.exists());
    let second = release(2);
    assert_eq!(host.look().in_step, Some(false));
    assert!(host.sync(NOW).is_in_step());
    assert!(first.exists() && second.exists(), "going back to it meets the flag");
    host.off();
    assert!(!first.exists() && !second.exists());
}

#[test]
fn requirement_80_the_clock_alone_sets_and_clears_a_flag() {
    let host = Host::with(file);
    let window =
        WindowSettings::new().start(at("2026-11-29T13:00:00Z")).end(at("2026-11-29T14:00:00Z"));
    let lacks = host.on(&window).flags[0].lacks.clone();
    assert_eq!(
        lacks.iter().map(|lack| lack.what).collect::<Vec<_>>(),
        [Missing::Start, Missing::End]
    );
    for (now, is_set) in [
        ("2026-11-29T12:59:59Z", false),
        ("2026-11-29T13:00:00Z", true),
        ("2026-11-29T13:59:59Z", true),
        ("2026-11-29T12:30:00Z", false),
        ("2026-11-29T13:30:00Z", true),
        ("2026-11-29T14:00:00Z", false),
    ] {
        assert!(host.sync(now).is_in_step());
        assert_eq!(host.down().exists(), is_set, "{now}");
    }
}

#[test]
fn requirement_81_a_window_that_covers_less_leaves_the_flag_clear_and_is_named() {
    let host = Host::with(file);
    let settings = WindowSettings::new().scope(Scope::new().paths(["/shop/**"]).unwrap());
    let report = host.on(&settings);
    assert!(!host.down().exists() && report.is_in_step());
    let lacks = &report.flags[0].lacks;
    assert_eq!((lacks[0].what, lacks[0].window.as_deref()), (Missing::Scope, Some("w")));
    host.off();
    host.change(NOW, |state, stamp| {
        let settings = RuleSettings::new();
        state.add_rule(&Matcher::parse(&rules::Kind::Path, "/health")?, &settings, stamp)
    });
    let lacks = host.on(&WindowSettings::new()).flags[0].lacks.clone();
    assert_eq!((lacks[0].what, lacks[0].ids.len()), (Missing::Rules, 1));
}

#[test]
fn a_format_and_messages_in_languages_are_carried_or_named() {
    let window = || {
        let page = PageSettings::new().format(Format::Json);
        let mut settings = WindowSettings::new().reason("Disks").page(page);
        settings.reasons = [("de".to_owned(), "Platten".to_owned())].into();
        settings
    };
    let lacking = |host: &Host| -> Vec<Missing> {
        host.on(&window()).flags[0].lacks.iter().map(|lack| lack.what).collect()
    };
    assert_eq!(lacking(&Host::with(file)), [Missing::Format], "it says nothing");
    let page = |folder: &Path| Flag::new(Kind::Page).at(folder.join("page.html"));
    assert_eq!(lacking(&Host::with(page)), [Missing::Format, Missing::Languages]);
    let host = Host::new();
    write(&host.folder.join("wp-load.php"), "");
    host.add("it", Flag::new(Kind::Wordpress).at(&host.folder)).unwrap();
    assert_eq!(lacking(&host), [Missing::Languages]);
    let data = fs::read_to_string(host.site.flags().join("it.json")).unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["usual"], "json");
    let body = data["pages"]["html"]["body"].as_str().unwrap();
    assert!(body.starts_with("<!doctype html>"), "who asks for HTML gets it: {body}");
    host.off();
    host.on(&WindowSettings::new().page(PageSettings::new().format(Format::Html)));
    assert_eq!(host.look().lacks, []);
}

#[test]
fn requirement_76_the_flag_of_wordpress_is_a_program_and_no_empty_file() {
    let host = Host::new();
    write(&host.folder.join("wp-load.php"), "");
    host.add("it", Flag::new(Kind::Wordpress).at(&host.folder)).unwrap();
    host.on(&WindowSettings::new());
    let flag = fs::read_to_string(host.folder.join(".maintenance")).unwrap();
    assert!(flag.starts_with("<?php"), "WordPress goes on serving with an empty one: {flag}");
}

#[test]
fn a_flag_that_cannot_be_written_is_reported_with_its_cause_and_the_others_follow() {
    let host = Host::new();
    fs::create_dir(host.folder.join("gone")).unwrap();
    host.add("a", Flag::new(Kind::File).at(host.folder.join("gone/down"))).unwrap();
    host.add("b", file(&host.folder)).unwrap();
    fs::remove_dir(host.folder.join("gone")).unwrap();
    let report = host.on(&WindowSettings::new());
    assert_eq!(
        report.flags.iter().map(|flag| flag.in_step).collect::<Vec<_>>(),
        [Some(false), Some(true)]
    );
    assert!(report.complaints()[0].contains("no such file"), "{:?}", report.complaints());
    assert!(host.down().exists());
    assert!(host.off().is_in_step(), "where there is no folder there is no flag");
}

#[test]
fn flags_that_cannot_be_read_are_no_reason_to_refuse_a_change() {
    let host = Host::with(file);
    write(&host.site.flags_file(), "{");
    let applied =
        host.change(NOW, |state, stamp| state.open_window("w", &WindowSettings::new(), stamp));
    assert!(applied.is_written && !applied.flags.is_in_step());
    assert!(applied.warnings.iter().any(|line| line.contains("flags.json")), "{applied:?}");
    assert_eq!(fs::read(host.site.flags_file()).unwrap(), b"{", "left as it was");
}

#[test]
fn a_flag_of_a_later_version_is_kept_and_left_alone() {
    let host = Host::with(file);
    let text = fs::read_to_string(host.site.flags_file()).unwrap();
    let text = text.replace("\"file\"", "\"carrier-pigeon\"");
    write(&host.site.flags_file(), &text);
    let report = host.on(&WindowSettings::new());
    assert_eq!(report.flags[0].in_step, None);
    assert!(!report.is_in_step(), "nobody knows whether it follows");
    host.add("b", file(&host.folder)).unwrap_err();
    host.add("b", Flag::new(Kind::File).at(host.folder.join("other"))).unwrap();
    assert!(fs::read_to_string(host.site.flags_file()).unwrap().contains("carrier-pigeon"));
}

#[test]
fn a_flag_without_its_folder_a_second_of_its_place_and_a_bad_id_are_refused() {
    let host = Host::with(file);
    let refused =
        |id: &str, path: &str| host.add(id, Flag::new(Kind::File).at(host.folder.join(path)));
    assert!(matches!(refused("b", "missing/down"), Err(Error::Refused { .. })));
    assert!(matches!(refused("b", "down"), Err(Error::Conflict { .. })));
    assert!(matches!(refused("it", "other"), Err(Error::Conflict { .. })));
    assert!(matches!(refused("../x", "other"), Err(Error::Invalid { .. })));
    assert!(matches!(host.add("b", Flag::new(Kind::File)), Err(Error::Invalid { .. })));
    let unknown = store::remove_flag(&host.site, &Host::options(NOW), "b", false);
    assert!(matches!(unknown, Err(Error::Unknown { .. })));
    assert!(host.temp.path().exists());
}
