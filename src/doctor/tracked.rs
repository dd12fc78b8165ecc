//! Whether git tracks a site, so that a checkout or a pull would switch it.
//!
//! The index is read here, and git is not run: root looks into repositories of others, whose
//! configuration names programs that git would start. See gitformat-index(5).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::patient::Patient;
use super::words::{names, tick, word};
use crate::sys;

/// The most that is read of an index; a larger one is not looked at.
const MAX_INDEX: u64 = 64 * 1024 * 1024;

/// The most that is read of a file that names the directory of a repository.
const MAX_LINK: u64 = 4 * 1024;

/// How many bytes a hash may have: SHA-1, SHA-256.
const HASHES: [usize; 2] = [20, 32];

pub(super) fn files(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Ok(dir) = fs::canonicalize(patient.site.dir()) else { return };
    let Some((root, index)) = repository(&dir) else { return };
    let Ok(inside) = dir.strip_prefix(&root) else { return };
    let Some(index) = read(&index, MAX_INDEX) else { return };
    let prefix = format!("{}/", inside.display());
    let below = HASHES.iter().find_map(|&hash| names_below(&index, prefix.as_bytes(), hash));
    // Templates may well belong to the project, and this file says whether they do.
    let (kept, tracked): (Vec<String>, Vec<String>) = below
        .unwrap_or_default()
        .into_iter()
        .map(|name| String::from_utf8_lossy(&name).into_owned())
        .partition(|name| name == ".gitignore" || name.starts_with("templates/"));
    if tracked.is_empty() {
        return;
    }
    let git = format!("git -C {} rm -r --cached", word(&root));
    let fix = if kept.iter().any(|name| name != ".gitignore") {
        let paths = tracked.iter().map(|name| word(&inside.join(name)));
        format!("{git} {}", paths.collect::<Vec<_>>().join(" "))
    } else {
        format!("{git} {}", word(inside))
    };
    findings.push(
        Finding::warning(
            "tracked",
            format!(
                "git tracks {} in {}: a checkout or a pull can switch the site",
                names(tracked.iter().map(String::as_str)),
                tick(&dir)
            ),
        )
        .fixed_by(format!("leave it to each host, and commit that: `{fix}`"))
        .at(&dir),
    );
}

/// The root of the nearest repository above a directory, and its index.
fn repository(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    dir.ancestors().skip(1).find_map(|root| {
        let git = root.join(".git");
        let metadata = fs::metadata(&git).ok()?;
        let place = if metadata.is_dir() {
            git
        } else {
            // A worktree, or a submodule.
            let link = String::from_utf8(read(&git, MAX_LINK)?).ok()?;
            root.join(link.strip_prefix("gitdir:")?.trim())
        };
        Some((root.to_owned(), place.join("index")))
    })
}

/// The bytes of a plain file; `None` if it is something else, or larger.
fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    let file = sys::open_read(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= max).then_some(bytes)
}

/// The names in an index that begin so, without that beginning. `None` if it cannot be read
/// with hashes of this length. A split index keeps most names in another file: those are missed.
fn names_below(index: &[u8], prefix: &[u8], hash: usize) -> Option<Vec<Vec<u8>>> {
    let number = |at: usize| {
        let bytes = index.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let version = number(4)?;
    if index.get(..4)? != b"DIRC" || !(2..=4).contains(&version) {
        return None;
    }
    let mut found = Vec::new();
    let mut name: Vec<u8> = Vec::new();
    let mut at = 12;
    for _ in 0..number(8)? {
        // Ten numbers of 32 bits, which say what stat(2) said.
        let begin = at;
        at += 40 + hash;
        let flags = u16::from_be_bytes(index.get(at..at + 2)?.try_into().ok()?);
        at += if version >= 3 && flags & 0x4000 != 0 { 4 } else { 2 };
        let mut new = Vec::new();
        if version == 4 {
            // The end of the name before that is cut off, in seven bits a byte.
            let mut cut = 0_usize;
            loop {
                let byte = *index.get(at)?;
                at += 1;
                cut = cut.checked_mul(128)?.checked_add(usize::from(byte & 127))?;
                if byte & 128 == 0 {
                    break;
                }
                cut = cut.checked_add(1)?;
            }
            new.extend_from_slice(name.get(..name.len().checked_sub(cut)?)?);
        }
        let length = index.get(at..)?.iter().position(|&byte| byte == 0)?;
        new.extend_from_slice(&index[at..at + length]);
        at += length + 1;
        if version < 4 {
            at = begin + (at - begin).next_multiple_of(8);
        }
        // In order, or the hashes have another length.
        if new.is_empty() || new < name {
            return None;
        }
        found.extend(new.strip_prefix(prefix).map(<[u8]>::to_vec));
        name = new;
    }
    // One hash of all that stands before ends it.
    (at + hash <= index.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_index_has_no_names() {
        for bytes in [
            b"".as_slice(),
            b"DIRC",
            b"DIRC\0\0\0\x02\0\0\0\x01",
            b"DIRC\0\0\0\x09\0\0\0\0aaaaaaaaaaaaaaaaaaaa",
            b"DIRC\0\0\0\x02\xff\xff\xff\xffaaaaaaaaaaaaaaaaaaaa",
            &[[0x44, 0x49, 0x52, 0x43, 0, 0, 0, 4, 0, 0, 0, 9].as_slice(), &[0xff; 200]].concat(),
        ] {
            for hash in HASHES {
                assert_eq!(names_below(bytes, b".maint/", hash), None, "{bytes:?}");
            }
        }
        let empty = [b"DIRC\0\0\0\x02\0\0\0\0".as_slice(), &[7; 20]].concat();
        assert_eq!(names_below(&empty, b".maint/", 20), Some(Vec::new()));
    }
}
