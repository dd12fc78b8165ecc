//! Debian's kernel: fetched once, and never installed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::initramfs::Archive;
use crate::tools::{KEPT, output};

/// A disk behind virtio, ext4 with its checksums, and the overlay of requirement 20.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "overlay"];

/// A kernel unpacked from its package.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    modules: PathBuf,
}

impl Kernel {
    /// Fetches the kernel of this Debian release, unless an earlier run has.
    pub(crate) fn fetch() -> Result<Self, String> {
        let place = Path::new(KEPT).join("kernel");
        if let Some(kernel) = Self::find(&place) {
            return Ok(kernel);
        }
        fs::create_dir_all(KEPT).map_err(|cause| cause.to_string())?;
        // The package of that name is empty and depends on the current one.
        let depends = output("apt-cache", &["depends", "linux-image-amd64"])?;
        let depends = String::from_utf8_lossy(&depends);
        let package = depends
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
            .map(|version| format!("linux-image-{version}"))
            .ok_or("apt knows no kernel")?;
        // It gets its final name only when it is whole.
        let script = r#"cd "$1" && rm -rf new && mkdir new && cd new && apt-get -qq download "$2" &&
            dpkg-deb -x "$2"_*.deb . && rm "$2"_*.deb && mv ../new ../kernel"#;
        output("sh", &["-c", script, "sh", KEPT, &package])?;
        Self::find(&place).ok_or_else(|| format!("{package} has no kernel"))
    }

    fn find(place: &Path) -> Option<Self> {
        let image =
            fs::read_dir(place.join("boot")).ok()?.filter_map(Result::ok).find_map(|entry| {
                entry.file_name().to_str()?.starts_with("vmlinuz-").then(|| entry.path())
            })?;
        let version = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
        let modules = place.join("lib/modules").join(version).join("kernel");
        modules.is_dir().then_some(Self { image, modules })
    }

    /// Puts the modules into an archive, numbered so that each comes after those it needs.
    pub(crate) fn pack_modules(&self, archive: &mut Archive) -> Result<(), String> {
        let mut files = Vec::new();
        walk(&self.modules, &mut files);
        let mut packed = BTreeSet::new();
        for module in MODULES {
            pack_module(module, &files, archive, &mut packed)?;
        }
        Ok(())
    }
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn pack_module(
    name: &str,
    files: &[PathBuf],
    archive: &mut Archive,
    packed: &mut BTreeSet<String>,
) -> Result<(), String> {
    if packed.contains(name) {
        return Ok(());
    }
    let is_it = |path: &&PathBuf| {
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        path.extension() == Some(OsStr::new("ko")) && stem.replace('-', "_") == name
    };
    let file = files.iter().find(is_it).ok_or_else(|| format!("the kernel has no {name}.ko"))?;
    let bytes = fs::read(file).map_err(|cause| cause.to_string())?;
    for needed in needs(&bytes) {
        pack_module(&needed, files, archive, packed)?;
    }
    archive.file(&format!("/modules/{:02}-{name}.ko", packed.len()), &bytes);
    packed.insert(name.to_owned());
    Ok(())
}

/// The dependencies that a module lists in its own section: `depends=jbd2,mbcache`.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}
