//! What `make test-busy` makes of the runs that it starts, in a repository whose suite is one line.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::write;

/// Runs a script in the repository, and returns what it printed. It may fail.
fn sh(root: &Path, script: &str) -> String {
    let who = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"];
    let output = Command::new("sh")
        .args(["-c", script])
        .envs(who.map(|name| (name, "nobody")))
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(root)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
    String::from_utf8(output.stdout).unwrap()
}

/// Two runs in a row beside one busy process: how many passed, failed, and were kept from before.
fn two_runs(root: &Path) -> [usize; 3] {
    let said = sh(root, "tests/proof/busy 2 1");
    let counts = [" passed in ", " FAILED in ", "busy: kept from before: "]
        .map(|words| said.matches(words).count());
    let verdict = if counts[1] == 0 { "ok" } else { "FAILED" };
    assert!(said.ends_with(&format!("_beside_busy_processes ... {verdict}\n")), "{said}");
    counts
}

#[test]
fn requirement_57_runs_beside_busy_processes_count_for_their_code_until_one_fails() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    fs::create_dir_all(root.join("tests/proof")).unwrap();
    fs::create_dir(root.join(".ci")).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(here.join("tests/proof/busy"), root.join("tests/proof/busy")).unwrap();
    write(&root.join(".ci/run"), "echo 5 passed; [ ! -e .git/fail ]\n");
    write(&root.join(".gitignore"), "/target\n");
    let commit = "git add -A && git commit -qm 'Some change'";
    sh(root, &format!("git init -q . && {commit}"));

    assert_eq!(two_runs(root), [2, 0, 0]);
    assert_eq!(two_runs(root), [0, 0, 2], "what was kept is not run again");
    sh(root, &format!("{commit} && echo prose >README.md && {commit}"));
    assert_eq!(two_runs(root), [0, 0, 2], "prose decides nothing");
    sh(root, "sed -i 2d tests/proof/busy-runs && touch .git/fail");
    assert_eq!(two_runs(root), [0, 1, 1], "one was left, and the next fails");
    sh(root, "rm .git/fail");
    assert_eq!(two_runs(root), [2, 0, 0], "it broke the row");
    sh(root, "echo '# more' >>.ci/run");
    assert_eq!(two_runs(root), [2, 0, 0], "what is not committed is neither kept nor counted");
    sh(root, commit);
    assert_eq!(two_runs(root), [2, 0, 0], "other code");
    assert_eq!(
        sh(root, "wc -l <tests/proof/busy-runs"),
        "2\n",
        "those of the code before are gone"
    );
}
