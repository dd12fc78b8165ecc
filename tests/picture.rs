//! Keeps the terminal picture in the README, `docs/terminal.svg`, equal to what
//! the command prints. `make generate` rewrites it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anstyle_svg::{Term, WIN10_CONSOLE};
use clap::builder::styling::{AnsiColor, Color, RgbColor};

/// The time, and what is typed.
const SESSION: [(&str, &[&str]); 4] = [
    ("2026-11-22T11:30:00Z", &["on", "deploy-42", "-m", "Back at noon", "--for", "30m"]),
    ("2026-11-22T11:31:00Z", &["ignore", "add", "path", "/health"]),
    ("2026-11-22T11:44:00Z", &["status"]),
    ("2026-11-22T11:52:00Z", &["off", "deploy-42"]),
];

#[test]
#[expect(clippy::disallowed_methods, reason = "rewrites a file of the repository, not a state")]
fn the_picture_in_the_readme_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/terminal.svg");
    let fresh = picture();
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "docs/terminal.svg is stale; run `make generate`");
}

fn picture() -> String {
    let temp = tempfile::tempdir().unwrap();
    let directory = fs::canonicalize(temp.path()).unwrap();
    let site = directory.join(".maint");
    fs::create_dir(&site).unwrap();

    let mut text = String::new();
    for (now, words) in SESSION {
        text += &format!("\x1b[32m$\x1b[0m \x1b[1mmaint {}\x1b[0m\n", typed(words));
        text += &run(&directory, now, words);
        text.push('\n');
    }

    // The only retouching: who ran this and where differs between machines.
    let state = fs::read_to_string(site.join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let by = &state["last_change"]["by"];
    let actor = format!("{}@{}", by["user"].as_str().unwrap(), by["host"].as_str().unwrap());
    let text = text.replace(&actor, "deploy@web1");
    let text = text.replace(site.to_str().unwrap(), "/srv/app/.maint");

    // The bright colours are the legible ones on a dark background.
    let mut palette = WIN10_CONSOLE;
    palette.0[AnsiColor::Red as usize] = RgbColor(0xff, 0x6b, 0x6b);
    palette.0[AnsiColor::Green as usize] = RgbColor(0x5f, 0xd7, 0x6a);
    let svg = Term::new()
        .fg_color(Color::Rgb(RgbColor(0xd8, 0xde, 0xe9)))
        .bg_color(Color::Rgb(RgbColor(0x1f, 0x24, 0x30)))
        .palette(palette)
        .min_width_px(0)
        .render_svg(text.trim_end());
    // `opacity` has no effect on a part of a text.
    svg.replace("opacity: 0.4", "fill-opacity: 0.65")
}

fn run(directory: &Path, now: &str, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_maint"))
        .args(["--color", "always"])
        .args(words)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("TZ", "UTC")
        .env("MAINT_NOW", now)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words as a person types them.
fn typed(words: &[&str]) -> String {
    let quote = |word: &&str| {
        if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}
