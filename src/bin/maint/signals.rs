//! Signals that would end `maint run` go to its command instead.

#[cfg(not(unix))]
pub(crate) use other::*;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(unix)]
mod unix {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{fs, io, thread};

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
    use signal_hook::iterator::Signals;

    /// A write beyond `ulimit -f` must fail, so that it can be reported. Its signal
    /// would end the process in silence.
    pub(crate) fn fail_writes_instead() {
        let seen = Arc::new(AtomicBool::new(false));
        // If it cannot be registered, the signal does what it always did.
        let _ = signal_hook::flag::register(SIGXFSZ, seen);
    }

    /// Takes over the signals that end a program, and calls `seen` with each until it
    /// returns false.
    pub(crate) fn watch(seen: impl Fn(i32) -> bool + Send + 'static) -> io::Result<()> {
        let all = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
        let mut signals = Signals::new(wanted(&all))?;
        thread::spawn(move || signals.forever().all(seen));
        Ok(())
    }

    /// Takes over the signals that end a program, and returns how to wait for one.
    pub(crate) fn ending() -> io::Result<impl FnOnce()> {
        let mut signals = Signals::new(wanted(&[SIGHUP, SIGINT, SIGTERM]))?;
        Ok(move || {
            signals.forever().next();
        })
    }

    /// Takes over the signals that end a server, and returns how to wait for one, again and
    /// again. Without a terminal SIGHUP changes nothing: it means "read it all again" there, and
    /// that is done with each request.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "there is no server"))]
    pub(crate) fn stopping() -> io::Result<impl FnMut()> {
        let has_terminal = fs::File::open("/dev/tty").is_ok();
        let mut signals = Signals::new(wanted(&[SIGHUP, SIGINT, SIGTERM]))?;
        Ok(move || {
            signals.forever().find(|signal| has_terminal || *signal != SIGHUP);
        })
    }

    /// Takes over the signals that end a program, and returns what tells that one came, for
    /// a process with one thread that looks there now and then.
    pub(crate) fn ended() -> io::Result<impl Fn() -> bool> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, seen.clone())?;
        }
        Ok(move || seen.load(Ordering::Relaxed))
    }

    /// These signals without those that our parent ignores.
    fn wanted(signals: &[i32]) -> Vec<i32> {
        let ignored = ignored();
        let is_wanted = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
        signals.iter().copied().filter(is_wanted).collect()
    }

    /// The signals that our parent ignores, as nohup(1) does. The command inherits
    /// that, and a handler here would undo it.
    fn ignored() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }

    /// Sends a signal on; false where the terminal sent it to that process too.
    pub(crate) fn forward(signal: i32, pid: u32) -> bool {
        // What is typed at the terminal reaches every process in the foreground,
        // and a second interrupt means something else to many a command.
        if (signal == SIGINT || signal == SIGQUIT) && is_foreground() {
            return false;
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
            let _ = kill_process(pid, signal);
        }
        true
    }

    fn is_foreground() -> bool {
        fs::File::open("/dev/tty")
            .ok()
            .and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok())
            .is_some_and(|group| group == getpgrp())
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;

    pub(crate) fn fail_writes_instead() {}

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    pub(crate) fn watch(_seen: impl Fn(i32) -> bool + Send + 'static) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    pub(crate) fn ending() -> io::Result<impl FnOnce()> {
        Ok(|| {
            loop {
                std::thread::park();
            }
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "there is no server"))]
    pub(crate) fn stopping() -> io::Result<impl FnMut()> {
        Ok(|| {
            loop {
                std::thread::park();
            }
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    pub(crate) fn ended() -> io::Result<impl Fn() -> bool> {
        Ok(|| false)
    }

    pub(crate) fn forward(_signal: i32, _pid: u32) -> bool {
        true
    }
}
