//! Wine, and the programs that run under it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::say::{figure, skip};

/// What a program may take, in seconds. None takes a tenth of it.
const PATIENCE: &str = "300";

/// The folder that has the programs and what Wine takes for the disk `C:`.
pub(crate) struct Wine(PathBuf);

/// Wine, if it is here; a test that shows nothing says so.
pub(crate) fn wine() -> Option<&'static Wine> {
    static WINE: LazyLock<Result<Wine, String>> = LazyLock::new(Wine::prepare);
    WINE.as_ref().map_err(|why| skip(why)).ok()
}

impl Wine {
    fn prepare() -> Result<Self, String> {
        let command = std::env::var_os("MAINT_WINDOWS_COMMAND")
            .ok_or("needs `maint.exe` in MAINT_WINDOWS_COMMAND, as `make windows` sets it")?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("windows");
        fs::create_dir_all(&folder).map_err(|cause| cause.to_string())?;
        let wine = Self(folder);
        let version = wine.of("--version").output().map_err(|cause| cause.to_string())?;
        if !version.status.success() {
            return Err("needs Wine".to_owned());
        }
        fs::copy(&command, wine.command())
            .map_err(|cause| format!("cannot take `{}`: {cause}", Path::new(&command).display()))?;
        build("holder.c", &wine.holder(), &["-luser32"])?;
        wine.stay().map_err(|cause| cause.to_string())?;
        let library = wine.0.join("bcryptprimitives.dll");
        let _ = fs::remove_file(&library);
        if !wine.works() {
            build("bcryptprimitives.c", &library, &["-shared", "-ladvapi32"])?;
        }
        if !wine.works() {
            return Err("Wine cannot run `maint.exe`".to_owned());
        }
        figure(&format!("under {}", String::from_utf8_lossy(&version.stdout).trim()));
        Ok(wine)
    }

    /// Keeps Wine running until this process ends. What serves the others is started here, and
    /// has none of the pipes that a test reads to their end.
    fn stay(&self) -> io::Result<()> {
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        };
        let mut boot = self.of("wineboot.exe");
        quiet(boot.arg("--init"));
        boot.status()?;
        let mut stays = self.bare(self.holder());
        quiet(stays.arg("stay").stdin(Stdio::piped()));
        // Its input ends with this process.
        std::mem::forget(stays.spawn()?);
        Ok(())
    }

    fn works(&self) -> bool {
        let version = self.of(self.command()).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    }

    fn prefix(&self) -> PathBuf {
        self.0.join("prefix")
    }

    pub(crate) fn command(&self) -> PathBuf {
        self.0.join("maint.exe")
    }

    pub(crate) fn holder(&self) -> PathBuf {
        self.0.join("holder.exe")
    }

    /// A program of Windows, ready to run. Its process is the one that is started.
    pub(crate) fn bare(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("wine");
        self.surround(&mut command).arg(program);
        command
    }

    /// The same, for as long as a test may wait for it.
    pub(crate) fn of(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("timeout");
        self.surround(&mut command).args([PATIENCE, "wine"]).arg(program);
        command
    }

    fn surround<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("WINEPREFIX", self.prefix())
            .env("WINEDEBUG", "-all")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("DISPLAY")
            .env_remove("MAINT_SITE")
            .env_remove("MAINT_STORE")
            .env_remove("MAINT_NOW")
            .stdin(Stdio::null())
    }
}

/// Builds a program of this folder for Windows.
fn build(source: &str, target: &Path, options: &[&str]) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/windows").join(source);
    let built = Command::new("x86_64-w64-mingw32-gcc")
        .args(["-Wall", "-Werror", "-o"])
        .arg(target)
        .arg(source)
        .args(options)
        .output()
        .map_err(|_| "needs the C compiler of mingw-w64")?;
    let complaint = String::from_utf8_lossy(&built.stderr);
    built.status.success().then_some(()).ok_or_else(|| complaint.into_owned())
}
