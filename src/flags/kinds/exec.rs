//! `exec`: commands, for software that has one and nothing else.

use std::fs;
use std::time::Duration;

use super::command::{Command, Ended};
use crate::actor::sudo_name;
use crate::error::{Error, Result};
use crate::flags::definition::{Calls, Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::{Did, Flag, Kind};
use crate::flags::standing::Found;
use crate::site::Site;
use crate::sys;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Exec,
    path: "",
    on: "what its commands do",
    carries: &[Fact::Reason],
    drive: Drive::Calls(&Exec),
};

/// How long a command may take unless the flag says so, in seconds.
const TIMEOUT: u32 = 30;

/// The longest timeout, in seconds: the lock of the site is held all the time.
const MAX_TIMEOUT: u32 = 3600;

struct Exec;

impl Calls for Exec {
    fn check(&self, flag: &Flag) -> Result<()> {
        if flag.path.is_some() {
            return Err(Error::invalid("a flag of kind `exec` has no path"));
        }
        let options = &flag.options;
        for (name, command) in [("on", &options.on), ("off", &options.off)] {
            let is_missing = command.as_ref().is_none_or(|command| command.trim().is_empty());
            if is_missing {
                return Err(missing(name));
            }
        }
        match options.timeout {
            Some(seconds) if !(1..=MAX_TIMEOUT).contains(&seconds) => Err(Error::invalid(format!(
                "the timeout of a command must be between 1 and {MAX_TIMEOUT} seconds"
            ))),
            _ => Ok(()),
        }
    }

    fn look(&self, order: &Order<'_>) -> Result<Found> {
        let options = &order.flag.options;
        let Some(check) = &options.check else {
            return Ok(match order.flag.did {
                Some(Did::On) => Found::Set,
                Some(Did::Off) => Found::Clear,
                None => Found::Unknown,
            });
        };
        let ended = run(order, check)?;
        match ended.code {
            Some(0) => Ok(Found::Set),
            Some(1) => Ok(Found::Clear),
            _ => Err(failed("check", &ended)),
        }
    }

    fn set(&self, order: &Order<'_>) -> Result<()> {
        let options = &order.flag.options;
        let is_set = order.notice.is_some();
        let (name, command) = if is_set { ("on", &options.on) } else { ("off", &options.off) };
        let Some(command) = command else { return Err(missing(name)) };
        let ended = run(order, command)?;
        if ended.code != Some(0) {
            return Err(failed(name, &ended));
        }
        if options.check.is_none() {
            return Ok(());
        }
        let wanted = if is_set { Found::Set } else { Found::Clear };
        if self.look(order)? == wanted {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "its command for `{name}` succeeded, but `check` says that nothing changed"
        )))
    }

    fn is_blind(&self, flag: &Flag) -> bool {
        flag.options.check.is_none()
    }

    fn is_costly(&self) -> bool {
        true
    }
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("a flag of kind `exec` needs the command for `{name}`"))
}

fn failed(name: &str, ended: &Ended) -> Error {
    Error::invalid(format!("its command for `{name}` {ended}"))
}

fn run(order: &Order<'_>, command: &str) -> Result<Ended> {
    let site = order.site.absolute();
    is_ours(&site)?;
    let window = order.notice.map(|notice| notice.window);
    let end = window.and_then(|window| window.end).map(|end| end.to_string());
    let project = site.dir().parent().unwrap_or_else(|| site.dir());
    let command = Command {
        text: command,
        directory: project,
        environment: &[
            ("MAINT_FLAG", order.id),
            ("MAINT_WINDOW", order.notice.map_or("", |notice| notice.name)),
            ("MAINT_REASON", window.and_then(|window| window.reason.as_deref()).unwrap_or("")),
            ("MAINT_END", end.as_deref().unwrap_or("")),
        ],
        timeout: Duration::from_secs(order.flag.options.timeout.unwrap_or(TIMEOUT).into()),
    };
    command.run().map_err(|source| Error::io("run a command in", project, source))
}

/// Refuses to run what somebody else may have written: whoever runs a command lends it
/// everything that they may do.
fn is_ours(site: &Site) -> Result<()> {
    let path = site.flags_file();
    let uid = sys::effective_uid();
    let refused = |reason: String, hint: String| {
        Err(Error::invalid_with(format!("{reason}, in `{}`", path.display()), hint))
    };
    // Root acts as the owner of the site here. A command could become root again.
    if sys::acts_for_another() {
        return refused(
            format!("root runs no commands of `{}`", sys::user_name(uid)),
            format!("run it as that user: `sudo -u {} …`", sudo_name(uid)),
        );
    }
    for path in [site.dir(), &path] {
        // A new flag is not in the file yet.
        let Ok(metadata) = fs::metadata(path) else { continue };
        let owner = sys::ownership(&metadata);
        if owner.uid != uid && owner.uid != 0 {
            return refused(
                format!("these are commands of `{}`", sys::user_name(owner.uid)),
                format!("run it as that user: `sudo -u {} …`", sudo_name(owner.uid)),
            );
        }
        if cfg!(unix) && owner.mode & 0o022 != 0 {
            return Err(Error::invalid_with(
                format!("others can write to `{}`, and so say what is run", path.display()),
                format!("run `chmod go-w {}`", path.display()),
            ));
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    use super::*;
    use crate::flags::Standing;
    use crate::flags::flag::Options;
    use crate::flags::tests::{Host, NOW, at, write};
    use crate::state::WindowSettings;
    use crate::store;

    /// As long as the commands of these tests sleep.
    const SLEEP: Duration = Duration::from_secs(60);

    fn flag(on: &str, off: &str, check: Option<&str>) -> Flag {
        Flag::new(Kind::Exec).options(Options {
            on: Some(on.to_owned()),
            off: Some(off.to_owned()),
            check: check.map(str::to_owned),
            ..Options::default()
        })
    }

    fn with_check() -> Host {
        let flag = flag("touch folder/down", "rm -f folder/down", Some("test -e folder/down"));
        Host::with(|_| flag)
    }

    fn problem(standing: &Standing) -> &str {
        standing.problem.as_deref().unwrap_or_default()
    }

    #[test]
    fn requirement_76_commands_are_run_in_the_project_when_something_is_to_change() {
        let host = with_check();
        let down = host.folder.join("down");
        assert!(host.on(&WindowSettings::new()).flags[0].is_changed && down.exists());
        assert!(!host.on(&WindowSettings::new()).flags[0].is_changed);
        fs::remove_file(&down).unwrap();
        assert_eq!(host.look().found, Found::Clear, "requirement 79");
        assert!(host.sync(NOW).is_in_step() && down.exists());
        assert!(host.off().is_in_step() && !down.exists());
    }

    #[test]
    fn a_command_is_told_of_the_window_and_of_its_end() {
        let tell = "echo $MAINT_FLAG,$MAINT_WINDOW,$MAINT_REASON,$MAINT_END >> folder/told; cat";
        let host = Host::with(|_| flag(tell, tell, None));
        host.on(&WindowSettings::new().reason("a  $(b)").end(at("2026-11-29T13:00:00Z")));
        host.off();
        assert_eq!(
            fs::read_to_string(host.folder.join("told")).unwrap(),
            "it,,,\nit,w,a $(b),2026-11-29T13:00:00Z\nit,,,\n",
            "first when it is declared, since nobody knows how it stands"
        );
    }

    #[test]
    fn without_a_check_what_was_done_last_is_remembered() {
        let host = Host::with(|_| flag("echo on >> folder/log", "echo off >> folder/log", None));
        let log = || fs::read_to_string(host.folder.join("log")).unwrap();
        assert_eq!((host.look().found, log().as_str()), (Found::Clear, "off\n"));
        host.on(&WindowSettings::new());
        host.on(&WindowSettings::new());
        assert_eq!((host.look().found, log().as_str()), (Found::Set, "off\non\n"));
        host.sync(NOW);
        assert_eq!(log(), "off\non\non\n", "a sync does again what nobody can look at");
    }

    #[test]
    fn requirement_78_what_somebody_else_took_down_stays_down() {
        let host = with_check();
        let down = host.folder.join("down");
        write(&down, "");
        assert_eq!(host.look().found, Found::SomebodyElses);
        let report = host.sync(NOW);
        assert!(!report.is_in_step() && down.exists(), "{report:?}");
        assert!(problem(&report.flags[0]).contains("somebody else set it"), "{report:?}");
        store::sync_flags(&host.site, &Host::options(NOW), &[], true).unwrap();
        assert!(!down.exists(), "taken over");
        write(&down, "");
        assert!(host.on(&WindowSettings::new()).is_in_step());
        host.off();
        assert!(down.exists(), "it was down before");

        let host = Host::new();
        write(&host.folder.join("down"), "");
        let flag = flag("touch folder/down", "rm folder/down", Some("test -e folder/down"));
        host.add("it", flag.clone()).unwrap_err();
        store::add_flag(&host.site, &Host::options(NOW), "it", flag, true).unwrap();
        assert!(!host.folder.join("down").exists());
    }

    #[test]
    fn a_command_that_fails_is_reported_with_the_first_line_of_what_it_said() {
        let on = "echo out; echo 'no\x1b[31m disk' >&2; echo more >&2; exit 3";
        let host = Host::with(|_| flag(on, "exit 0", Some("exit 1")));
        let report = host.on(&WindowSettings::new());
        let problem = problem(&report.flags[0]);
        assert_eq!(problem, "its command for `on` exited with 3: no\\u{1b}[31m disk", "{report:?}");
        assert_eq!(report.flags[0].in_step, Some(false));
        let host = Host::with(|_| flag("exit 0", "exit 0", Some("exit 7")));
        let standing = host.look();
        assert_eq!(standing.in_step, None);
        assert!(super::tests::problem(&standing).contains("`check` exited with 7"));
        let host = Host::with(|_| flag("exit 0", "exit 0", Some("exit 1")));
        let report = host.on(&WindowSettings::new());
        assert!(super::tests::problem(&report.flags[0]).contains("nothing changed"), "{report:?}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
        let on = "(sleep 60; touch folder/late) & echo $! > folder/pid; sleep 60";
        let mut slow = flag(on, "exit 0", Some("exit 1"));
        slow.options.timeout = Some(1);
        let host = Host::with(|_| slow);
        let began = Instant::now();
        let report = host.on(&WindowSettings::new());
        assert!(began.elapsed() < SLEEP, "it waits for those that sleep");
        assert!(problem(&report.flags[0]).contains("took more than 1 s"), "{report:?}");
        let pid = fs::read_to_string(host.folder.join("pid")).unwrap();
        let status = format!("/proc/{}/status", pid.trim());
        let is_gone =
            || fs::read_to_string(&status).map_or(true, |status| status.contains("State:\tZ"));
        while !is_gone() {
            assert!(began.elapsed() < Duration::from_secs(30), "the one in the background lives");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_stays_in_the_background_does_not_hold_the_lock() {
        let on = "sleep 60 & echo $! > folder/pid; touch folder/down";
        let host = Host::with(|_| flag(on, "rm -f folder/down", Some("test -e folder/down")));
        let began = Instant::now();
        assert!(host.on(&WindowSettings::new()).is_in_step());
        assert!(began.elapsed() < SLEEP, "it waits for those that sleep");
        let pid = fs::read_to_string(host.folder.join("pid")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn endless_output_is_neither_kept_nor_waited_for() {
        let host = Host::with(|_| {
            flag("head -c 3000000 /dev/zero | tr '\\0' x; exit 4", "exit 0", Some("exit 1"))
        });
        let report = host.on(&WindowSettings::new());
        let problem = problem(&report.flags[0]);
        assert!(problem.contains("exited with 4: xxx") && problem.len() < 1000, "{problem}");
    }

    #[test]
    fn requirement_61_what_others_can_write_is_not_run() {
        let host = with_check();
        fs::set_permissions(host.site.flags_file(), fs::Permissions::from_mode(0o660)).unwrap();
        let report = host.on(&WindowSettings::new());
        // Root looks at the file before it looks at the flag.
        assert!(report.complaints().concat().contains("others can write"), "{report:?}");
        assert!(!host.folder.join("down").exists());
    }

    #[test]
    fn a_flag_without_its_commands_is_refused() {
        let host = Host::new();
        host.add("it", Flag::new(Kind::Exec)).unwrap_err();
        host.add("it", flag("true", " ", None)).unwrap_err();
        host.add("it", flag("true", "true", None).at("/tmp/x")).unwrap_err();
        let mut endless = flag("true", "true", None);
        endless.options.timeout = Some(0);
        host.add("it", endless).unwrap_err();
        // Somebody wrote it down by hand.
        let text = r#"{"version":1,"flags":{"it":{"kind":"exec"}}}"#;
        write(&host.site.flags_file(), text);
        let report = host.on(&WindowSettings::new());
        assert!(problem(&report.flags[0]).contains("needs the command for `on`"), "{report:?}");
    }
}
