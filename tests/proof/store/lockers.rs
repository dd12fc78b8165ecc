//! Requirement 17: only `lock.rs` locks files.

use std::fs;
use std::path::Path;

use crate::say::figure;

#[test]
fn requirement_17_only_lock_rs_locks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    let mut directories = vec![root.join("src")];
    while let Some(directory) = directories.pop() {
        for name in crate::env::names(&directory) {
            let path = directory.join(&name);
            if path.is_dir() {
                // Tests beside the code lock what they record; clippy watches their files.
                if name != "tests" {
                    directories.push(path);
                }
                continue;
            }
            files += 1;
            // The engine in a file keeps writers of other hosts apart, which no site does, and a
            // socket has its name to itself while it is made.
            let has_its_own = ["src/store/lock.rs", "src/fleet/file.rs", "src/serve/socket.rs"];
            if has_its_own.iter().any(|own| path.ends_with(own)) || name == "tests.rs" {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for word in ["fs2", "FileExt::lock", ".try_lock(", ".lock_shared(", ".lock_exclusive("]
            {
                assert!(!text.contains(word), "`{word}` in {}", path.display());
            }
            for (at, _) in text.match_indices(".lock()") {
                let line = text[..at].lines().count();
                assert!(is_no_file(&text, at), "a lock in {}:{line}", path.display());
            }
        }
    }
    assert!(files > 10, "the sources are missing");
    figure(&format!("{files} source files, 0 locks of files outside of lock.rs"));
    let lints = fs::read_to_string(root.join("clippy.toml")).unwrap();
    for method in ["lock", "try_lock", "lock_shared", "try_lock_shared", "unlock"] {
        assert!(lints.contains(&format!("\"std::fs::File::{method}\"")), "{method}");
    }
}

/// Whether this locks a stream for printing, or a mutex that the same source declares.
fn is_no_file(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let is_stream = ["stdout()", "stderr()", "stdin()"].iter().any(|of| before.ends_with(of));
    let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    is_stream
        || !name.is_empty()
            && ["Mutex<", "&Mutex<"].iter().any(|of| text.contains(&format!("{name}: {of}")))
}

#[test]
fn requirement_57_the_scan_tells_files_from_mutexes() {
    let mutex = "struct Reload { trouble: Mutex<Trouble> } self.trouble.lock()";
    let file = "struct Reload { trouble: Mutex<Trouble>, file: File } self.file.lock()";
    let borrowed = "fn locked(editing: &Mutex<Editing>) { editing.lock() }";
    for (text, is_no_file) in [
        (mutex, true),
        (borrowed, true),
        (file, false),
        ("io::stdout().lock()", true),
        ("open()?.lock()", false),
    ] {
        assert_eq!(self::is_no_file(text, text.find(".lock()").unwrap()), is_no_file, "{text}");
    }
}
