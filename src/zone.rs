//! The time zone of this system.
//!
//! jiff walks the whole zone database to find one zone, which takes longer than
//! everything else in `maint status`, and takes an unknown zone for UTC. Here the one
//! file is read that the system names, and a zone that cannot be known stays unknown.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::error::{Error, Result, describe};
use crate::sys;

/// Where zone databases are, unless `TZDIR` says otherwise.
const DATABASES: [&str; 3] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// The largest zone file read, in bytes. Those of the IANA have a few kilobytes.
const MAX_FILE: u64 = 256 * 1024;

/// Names of UTC, which need no file.
const UTC: [&str; 9] =
    ["UTC", "Etc/UTC", "UCT", "Etc/UCT", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu", "GMT"];

/// A time zone, or why it is unknown.
#[derive(Clone, Debug)]
pub struct Zone {
    shown: TimeZone,
    unknown: Option<String>,
}

impl Zone {
    /// The zone of this system.
    ///
    /// It is what `TZ` says, as in POSIX: a rule like `CET-1CEST,M3.5.0,M10.5.0/3`, the
    /// name of a zone, or the path of a zone file. Without `TZ` it is `/etc/localtime`.
    /// If that is missing, it is UTC (localtime(5)), provided that there are zone data
    /// at all: a minimal container without them was never told where it is.
    #[must_use]
    pub fn of_system() -> Self {
        if !cfg!(unix) {
            return TimeZone::try_system()
                .map_or_else(|e| Self::unknown(e.to_string()), Self::from);
        }
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        System {
            // An empty `TZ` is UTC, by convention of GNU and BSD.
            tz: env::var_os("TZ"),
            tzdir: set("TZDIR"),
            localtime: Path::new("/etc/localtime"),
            databases: DATABASES.map(PathBuf::from).into(),
        }
        .zone()
        .map_or_else(Self::unknown, Self::from)
    }

    fn unknown(why: String) -> Self {
        Self { shown: TimeZone::UTC, unknown: Some(why) }
    }

    /// The zone in which times are shown: UTC if it is unknown.
    #[must_use]
    pub fn shown(&self) -> &TimeZone {
        &self.shown
    }

    /// The zone in which a local time is read.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is unknown, since guessing would be off by hours.
    pub(crate) fn of_local(&self, text: &str) -> Result<&TimeZone> {
        match &self.unknown {
            None => Ok(&self.shown),
            Some(why) => Err(Error::invalid_with(
                format!("`{text}` is a local time, and the time zone is unknown: {why}"),
                "write the offset, like `2026-11-22T03:00:00Z`, or set `TZ`",
            )),
        }
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Self { shown: zone, unknown: None }
    }
}

/// Where the zone of a system is written.
struct System<'a> {
    tz: Option<OsString>,
    tzdir: Option<OsString>,
    localtime: &'a Path,
    databases: Vec<PathBuf>,
}

impl System<'_> {
    /// Finds the zone, or says why it is unknown.
    fn zone(&self) -> Result<TimeZone, String> {
        let Some(tz) = &self.tz else { return self.configured() };
        let shown = tz.to_string_lossy();
        let shown = format!("`TZ` is `{}`", shown.escape_debug());
        let text = tz.to_str().ok_or_else(|| format!("{shown}, which is not UTF-8"))?;
        if text.is_empty() {
            return Ok(TimeZone::UTC);
        }
        let name = text.strip_prefix(':').unwrap_or(text);
        if name == text
            && let Ok(zone) = TimeZone::posix(text)
        {
            return Ok(zone);
        }
        if name.starts_with('/') {
            let zone = read(Path::new(name), name_in(OsStr::new(name)));
            return zone.map_err(|cause| format!("{shown}, {}", because(&cause)));
        }
        self.named(name).ok_or_else(|| {
            let databases = self.databases();
            let place = databases.iter().find(|place| place.is_dir());
            place.map_or_else(
                || format!("{shown}, and this system has no zone data"),
                |place| format!("{shown}, and `{}` has no such zone", place.display()),
            )
        })
    }

    /// The zone of `/etc/localtime`.
    fn configured(&self) -> Result<TimeZone, String> {
        let place = self.localtime.display();
        let target = match fs::read_link(self.localtime) {
            Ok(target) => Some(target),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return if self.has_data() {
                    Ok(TimeZone::UTC)
                } else {
                    Err(format!(
                        "`TZ` is not set, `{place}` is missing, and there are no zone data"
                    ))
                };
            }
            // It is a file and not a link.
            Err(_) => None,
        };
        let name = target.as_deref().and_then(|target| name_in(target.as_os_str()));
        read(self.localtime, name).or_else(|cause| match &target {
            // In an image without zone data, a link to UTC still says enough.
            Some(_) if name.is_some_and(|name| UTC.contains(&name)) => Ok(TimeZone::UTC),
            Some(target) => {
                Err(format!("`{place}` leads to `{}`, {}", target.display(), because(&cause)))
            }
            None => Err(format!("`{place}` is there, {}", because(&cause))),
        })
    }

    /// A zone by its name.
    fn named(&self, name: &str) -> Option<TimeZone> {
        let is_inside = !name.split('/').any(|part| matches!(part, "" | "." | ".."));
        let mut places = self.databases().into_iter().filter(|_| is_inside);
        if let Some(zone) = places.find_map(|place| read(&place.join(name), Some(name)).ok()) {
            return Some(zone);
        }
        if UTC.contains(&name) {
            return Some(TimeZone::UTC);
        }
        // Only jiff finds `europe/paris`, for which it has to read the whole database.
        if self.tzdir.is_none() { TimeZone::get(name).ok() } else { None }
    }

    fn databases(&self) -> Vec<PathBuf> {
        self.tzdir.as_ref().map_or_else(|| self.databases.clone(), |dir| vec![dir.into()])
    }

    fn has_data(&self) -> bool {
        let has = |place: &PathBuf| ["UTC", "Etc/UTC"].iter().any(|zone| place.join(zone).exists());
        self.databases().iter().any(has)
    }
}

/// The name of the zone in the path of a zone file.
fn name_in(path: &OsStr) -> Option<&str> {
    Some(path.to_str()?.rsplit_once("zoneinfo/")?.1)
}

/// Reads a zone file (RFC 9636).
fn read(path: &Path, name: Option<&str>) -> io::Result<TimeZone> {
    let file = sys::open_read(path)?;
    let metadata = file.metadata()?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a zone file");
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(invalid());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    TimeZone::tzif(name.unwrap_or("local"), &bytes).map_err(|_| invalid())
}

fn because(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "which does not exist".to_owned(),
        io::ErrorKind::InvalidData => "which is not a zone file".to_owned(),
        _ => format!("which cannot be read: {}", describe(cause)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::Offset;

    use super::*;

    /// A database with two zones, and places for what a system may have.
    struct Machine(tempfile::TempDir);

    /// A zone file of version 1: no transitions, one type.
    fn zone_file(hours: i32) -> Vec<u8> {
        let head = [b"TZif\0".as_slice(), &[0; 15]].concat();
        let counts: [u32; 6] = [0, 0, 0, 0, 1, 4];
        let counts = counts.iter().flat_map(|count| count.to_be_bytes());
        let offset = (hours * 3_600).to_be_bytes();
        head.into_iter().chain(counts).chain(offset).chain([0, 0]).chain(*b"LMT\0").collect()
    }

    impl Machine {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            for (name, hours) in [("Etc/UTC", 0), ("Europe/Paris", 1)] {
                let path = temp.path().join("zoneinfo").join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                put(&path, &zone_file(hours));
            }
            Self(temp)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn system<'a>(&self, tz: Option<&str>, localtime: &'a Path) -> System<'a> {
            let databases = vec![self.path("none"), self.path("zoneinfo")];
            // With `TZDIR` set, jiff is not asked about the zones of the host.
            let tzdir = Some(self.path("zoneinfo").into_os_string());
            System { tz: tz.map(Into::into), tzdir, localtime, databases }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is no state")]
    fn put(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).unwrap();
    }

    fn hours(zone: &TimeZone) -> i8 {
        let offset = zone.to_offset(Timestamp::from_second(1_800_000_000).unwrap());
        i8::try_from(offset.duration_since(Offset::UTC).as_hours()).unwrap()
    }

    #[test]
    fn requirement_73_what_tz_says_is_read_as_posix_has_it() {
        let machine = Machine::new();
        let nowhere = machine.path("none");
        let paris = machine.path("zoneinfo/Europe/Paris");
        for (tz, expected) in [
            ("", 0),
            ("UTC", 0),
            ("Zulu", 0),
            ("UTC0", 0),
            ("Europe/Paris", 1),
            (":Europe/Paris", 1),
            ("EST5EDT,M3.2.0,M11.1.0", -5),
            ("<+0530>-5:30", 5),
            (paris.to_str().unwrap(), 1),
            (&format!(":{}", paris.display()), 1),
        ] {
            let zone = machine.system(Some(tz), &nowhere).zone();
            assert_eq!(zone.as_ref().map(hours), Ok(expected), "{tz}");
        }
    }

    #[test]
    fn requirement_73_a_zone_that_cannot_be_known_is_unknown() {
        let machine = Machine::new();
        put(&machine.path("broken"), b"TZif? no");
        let text = machine.path("broken");
        for (tz, part) in [
            ("Europe/Nowhere", "has no such zone"),
            ("Paris", "has no such zone"),
            ("../zoneinfo/Europe/Paris", "has no such zone"),
            ("Europe", "has no such zone"),
            ("EST5EDT", "has no such zone"),
            ("CET-99", "has no such zone"),
            ("/no/such/file", "which does not exist"),
            ("/", "which is not a zone file"),
            ("/dev/zero", "which is not a zone file"),
            (text.to_str().unwrap(), "which is not a zone file"),
        ] {
            let why = machine.system(Some(tz), &machine.path("none")).zone().unwrap_err();
            assert!(why.starts_with("`TZ` is `") && why.contains(part), "{tz}: {why}");
        }
        let mut bare = machine.system(Some("Europe/Paris"), Path::new("/none"));
        bare.tzdir = Some("/no/zone/data".into());
        assert!(bare.zone().unwrap_err().ends_with("this system has no zone data"));
        bare.tz = Some("UTC".into());
        assert_eq!(bare.zone(), Ok(TimeZone::UTC), "which needs none");
    }

    #[cfg(unix)]
    #[test]
    fn requirement_73_without_tz_the_zone_is_what_the_system_is_set_to() {
        let machine = Machine::new();
        let localtime = machine.path("localtime");
        let zone = || machine.system(None, &localtime).zone();
        let link = |target: &str| {
            let _ = fs::remove_file(&localtime);
            std::os::unix::fs::symlink(target, &localtime).unwrap();
        };
        assert_eq!(zone(), Ok(TimeZone::UTC), "as localtime(5) has it");
        link("zoneinfo/Europe/Paris");
        assert_eq!(zone().unwrap().iana_name(), Some("Europe/Paris"));
        link("zoneinfo/Europe/Nowhere");
        assert!(zone().unwrap_err().ends_with("Europe/Nowhere`, which does not exist"));
        link("/gone/zoneinfo/Etc/UTC");
        assert_eq!(zone(), Ok(TimeZone::UTC), "the name says it");
        fs::remove_file(&localtime).unwrap();
        put(&localtime, &zone_file(3));
        assert_eq!(zone().as_ref().map(hours), Ok(3), "a copy has no name");
        put(&localtime, b"");
        assert!(zone().unwrap_err().ends_with("which is not a zone file"));
        fs::remove_file(&localtime).unwrap();
        fs::remove_dir_all(machine.path("zoneinfo")).unwrap();
        assert!(zone().unwrap_err().ends_with("there are no zone data"));
    }

    #[test]
    fn the_zone_read_from_its_file_is_the_one_jiff_finds() {
        let Ok(found) = TimeZone::try_system() else { return };
        let zone = Zone::of_system();
        for text in
            ["1950-07-01T00:00Z", "2026-01-01T00:00Z", "2026-07-01T00:00Z", "2050-07-01T00:00Z"]
        {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(zone.shown().to_offset(time), found.to_offset(time), "{text}");
        }
    }

    #[test]
    fn requirement_73_an_unknown_zone_shows_utc_and_reads_no_local_time() {
        let zone = Zone::unknown("because".to_owned());
        assert_eq!(zone.shown(), &TimeZone::UTC);
        let error = zone.of_local("03:00").unwrap_err();
        assert!(error.to_string().contains("`03:00` is a local time"), "{error}");
        assert!(error.to_string().contains("because"), "{error}");
    }
}
