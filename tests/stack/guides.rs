//! The guides of WordPress and Laravel, followed: their `server` block, and each command as
//! printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::php::{Opcache, Programs};
use crate::server::directory;
use crate::session::{is_as_shown, script, steps};
use crate::{laravel, wordpress};

/// Where the guides have the app, and the site.
const APP: &str = "/var/www/shop";
const SITE: &str = "/srv/shop";

/// Follows a guide for the app in a folder.
fn follow(guide: &str, programs: &Programs, folder: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(guide);
    let text = fs::read_to_string(path).unwrap();
    let (_, server) = text.split_once("<!-- test: nginx -->\n```nginx\n").unwrap();
    let server = server.split_once("\n```").unwrap().0;
    let folder = folder.to_str().unwrap();
    let php = programs.serve_as(&server.replace(APP, folder), Opcache::Usual);
    let home = directory();
    let site = home.path().join("shop").to_str().unwrap().to_owned();
    let command = Path::new(env!("CARGO_BIN_EXE_maint")).parent().unwrap();
    let mut number = 0;
    for block in text.split("```console\n").skip(1) {
        let block = block.split_once("\n```").unwrap().0;
        let steps = steps(block);
        let go = format!(
            "cd {site} 2> /dev/null || cd {}\n\
             curl() {{ command curl --connect-to shop.example:80:127.0.0.1:{} \"$@\"; }}\n",
            home.path().display(),
            php.port
        );
        let script = go + &script(&steps).replace(APP, folder).replace(SITE, &site);
        let output = Command::new("sh")
            .args(["-c", &script])
            .env_clear()
            .env("PATH", format!("{}:{}", command.display(), std::env::var("PATH").unwrap()))
            .env("HOME", home.path())
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said = said.replace(folder, APP).replace(&site, SITE);
        let parts: Vec<&str> = said.split('\u{1}').collect();
        assert_eq!(parts.len(), 2 * steps.len() + 1, "{guide}: {block}\nsaid:\n{said}");
        for ((command, shown), answer) in steps.iter().zip(parts.chunks(2)) {
            let [text, code] = answer else { panic!("{guide}: {command}: no answer") };
            assert_eq!(*code, "0", "{guide}: {command}: {text}");
            // Only a test has its site there.
            let lines = text.lines().filter(|line| !line.contains("is in `/tmp`"));
            let lines: Vec<&str> = lines.collect();
            assert!(is_as_shown(shown, &lines), "{guide}: {command}\nsaid:\n{text}");
            number += 1;
        }
    }
    assert!(number > 8, "{guide}: {number} commands");
}

#[test]
fn the_guide_of_wordpress_works_as_printed() {
    let Some((programs, folder, _db)) = wordpress::installed_in_a_folder() else { return };
    follow("wordpress.md", &programs, folder.path());
}

#[test]
fn the_guide_of_laravel_works_as_printed() {
    let Some((programs, folder)) = laravel::installed_in_a_folder() else { return };
    follow("laravel.md", &programs, folder.path());
}
