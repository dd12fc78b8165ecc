//! What the machine starts from: a cpio(1) archive that the kernel unpacks into memory.
//! It is not compressed, since the machine is slower than the host's disk.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::tools::{KEPT, find, output};

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    paths: BTreeSet<String>,
}

/// The programs that the scripts call. Busybox is all of them.
const APPLETS: [&str; 16] = [
    "sh", "mount", "mkdir", "chmod", "insmod", "uname", "sleep", "sync", "cat", "sed", "xxd", "tr",
    "unshare", "dmesg", "tail", "true",
];

const DIRECTORY: u32 = 0o04_0755;
const PROGRAM: u32 = 0o10_0755;
const LINK: u32 = 0o12_0777;

impl Archive {
    pub(crate) fn directory(&mut self, path: &str) {
        if path.is_empty() || self.has(path) {
            return;
        }
        self.parent_of(path);
        self.entry(path, DIRECTORY, &[]);
    }

    /// A file, by its absolute path.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) {
        self.parent_of(path);
        self.entry(path, PROGRAM, bytes);
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.parent_of(path);
        self.entry(path, LINK, to.as_bytes());
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Adds busybox under every name that the scripts use.
    pub(crate) fn busybox(&mut self) -> Result<(), String> {
        self.program("/bin/busybox", &find("busybox")?)?;
        for applet in APPLETS {
            self.link(&format!("/bin/{applet}"), "busybox");
        }
        Ok(())
    }

    /// Adds a program and its libraries, without debug information.
    pub(crate) fn program(&mut self, at: &str, program: &Path) -> Result<(), String> {
        let stripped = Path::new(KEPT).join(format!("stripped-{}", std::process::id()));
        output("strip", &[OsStr::new("-o"), stripped.as_os_str(), program.as_os_str()])?;
        let bytes = fs::read(&stripped).map_err(|cause| cause.to_string())?;
        let _ = fs::remove_file(&stripped);
        self.file(at, &bytes);
        // ldd(1) calls it a failure that a static program has none.
        let libraries = output("ldd", &[program]).unwrap_or_default();
        for library in String::from_utf8_lossy(&libraries).split_whitespace() {
            if library.starts_with('/') && !self.has(library) {
                let bytes = fs::read(library).map_err(|cause| format!("{library}: {cause}"))?;
                self.file(library, &bytes);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parent_of(&mut self, path: &str) {
        let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or("");
        self.directory(parent.trim_end_matches('/'));
    }

    /// The format `newc`: thirteen numbers in hexadecimal, the name, the bytes.
    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        self.paths.insert(path.to_owned());
        let name = path.trim_start_matches('/');
        let size = u32::try_from(bytes.len()).expect("every file is smaller than 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("names are shorter too");
        let number = u32::try_from(self.paths.len()).expect("there are fewer files");
        let numbers = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
