//! Each verb, as a person types it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::site::{Ran, Site, on_z};

#[test]
fn on_off_and_status_do_what_they_say_and_end_with_their_codes() {
    let Some(site) = Site::new() else { return };
    assert_eq!(site.json(&["status"])["state"], "off");
    assert_eq!(site.run(&["check", "/"]).code, 0);
    site.ok(&["on", "deploy", "-m", "Back at noon"]);
    let status = site.json(&["status"]);
    assert_eq!(status["state"], "on");
    assert_eq!(status["windows"][0]["reason"], "Back at noon");
    assert_eq!(site.run(&["check", "/"]).code, 1, "it is blocked");
    assert_eq!(site.json(&["off", "deploy"])["state"], "off");
    assert_eq!(site.run(&["off", "nosuch"]).code, 2);
    assert_eq!(site.run(&["nosuch"]).code, 2);
    assert_eq!(site.run(&["wait", "on", "--timeout", "1s"]).code, 1, "it is up");
}

#[test]
fn an_error_is_json_where_json_is_asked_for() {
    let Some(site) = Site::new() else { return };
    let ran = site.run(&["off", "nosuch", "--json"]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(error.to_string().contains("no window named `nosuch`"), "{error}");
}

#[test]
fn the_site_is_found_from_a_folder_below_it() {
    let Some(site) = Site::new() else { return };
    let below = site.root().join("app").join("views");
    fs::create_dir_all(&below).unwrap();
    let found = Ran::of(site.command(&["path"]).current_dir(below));
    assert_eq!(found.stdout.trim(), on_z(&site.root().join(".maint")), "{found:?}");
}

#[test]
fn a_site_is_named_as_windows_writes_paths() {
    let Some(site) = Site::new() else { return };
    site.ok(&["on", "-m", "here"]);
    let backslashes = on_z(&site.root().join(".maint"));
    let slashes = backslashes.replace('\\', "/");
    let drive = backslashes.replacen('Z', "z", 1);
    let name = site.root().file_name().unwrap().to_str().unwrap();
    let relative = format!(r"..\{name}\.maint");
    for path in [&backslashes, &slashes, &drive, &relative] {
        let status = site.json(&["--site", path, "status"]);
        assert_eq!(status["windows"][0]["reason"], "here", "{path}");
    }
    let by_variable = Ran::of(site.command(&["path"]).env("MAINT_SITE", &backslashes));
    assert_eq!(by_variable.stdout.trim(), backslashes);
    let missing = format!(r"{backslashes}\nosuch");
    let ran = site.run(&["--site", &missing, "status"]);
    assert!(ran.code == 2 && ran.stderr.contains(&missing), "{ran:?}");
}

#[test]
fn a_site_on_the_disk_c_works_as_well() {
    let Some(site) = Site::bare() else { return };
    let name = site.root().file_name().unwrap().to_str().unwrap();
    let dir = format!(r"C:\{name}");
    site.ok(&["--site", &dir, "init"]);
    site.ok(&["--site", &dir, "on"]);
    let status = site.json(&["--site", &dir, "status"]);
    assert_eq!(status["file"], format!(r"{dir}\state.json"));
    assert_eq!(status["state"], "on");
}

#[test]
fn a_message_in_any_script_is_kept() {
    let Some(site) = Site::new() else { return };
    let message = "Grüße aus Köln — до полудня 🚧";
    site.ok(&["on", "-m", message]);
    assert_eq!(site.state()["windows"]["default"]["reason"], message);
    assert!(site.ok(&["status"]).contains(message));
    assert_eq!(site.json(&["status"])["windows"][0]["reason"], message);
}

#[test]
fn run_ends_with_the_code_of_its_command() {
    let Some(site) = Site::new() else { return };
    let ran = site.run(&["run", "--", "cmd", "/c", "echo", "hello"]);
    assert!(ran.code == 0 && ran.stdout.contains("hello"), "{ran:?}");
    assert_eq!(site.json(&["status"])["state"], "off", "its window is closed");
    let ran = site.run(&["run", "--", "nosuchprogram"]);
    assert_eq!(ran.code, 127, "{ran:?}");
    assert_eq!(site.json(&["status"])["state"], "off", "nothing ran");
    let ran = site.run(&["run", "--", "cmd", "/c", "exit", "7"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_eq!(site.json(&["status"])["state"], "on", "its window stays open");
}

#[test]
fn the_history_names_each_change_and_restore_takes_the_last_one_back() {
    let Some(site) = Site::new() else { return };
    site.ok(&["on", "-m", "one"]);
    site.ok(&["off"]);
    site.ok(&["restore"]);
    assert_eq!(site.state()["windows"]["default"]["reason"], "one");
    let log = site.ok(&["log"]);
    for change in ["maint init", "maint on -m one", "maint off", "maint restore"] {
        assert!(log.contains(change), "{change}: {log}");
    }
}

#[test]
fn a_broken_state_is_told_and_the_last_known_one_restored() {
    let Some(site) = Site::new() else { return };
    site.ok(&["on", "-m", "one"]);
    fs::write(site.file("state.json"), "{").unwrap();
    assert_eq!(site.run(&["status"]).code, 8);
    assert_eq!(site.run(&["doctor"]).code, 1);
    site.ok(&["restore", "--yes"]);
    assert_eq!(site.state()["windows"]["default"]["reason"], "one");
}

#[test]
fn a_template_is_added_used_replaced_and_removed() {
    let Some(site) = Site::new() else { return };
    let file = site.root().join("closed.html");
    fs::write(&file, "<p>{{ reason }}</p>").unwrap();
    site.ok(&["template", "add", "closed", &on_z(&file)]);
    site.ok(&["template", "use", "closed"]);
    site.ok(&["on", "-m", "Küche"]);
    assert!(site.ok(&["template", "render"]).contains("<p>Küche</p>"));
    fs::write(&file, "<b>{{ reason }}</b>").unwrap();
    site.ok(&["template", "add", "closed", &on_z(&file), "--replace"]);
    assert!(site.ok(&["template", "render"]).contains("<b>Küche</b>"));
    site.ok(&["off"]);
    site.ok(&["template", "use", "--builtin"]);
    site.ok(&["template", "remove", "closed"]);
    assert!(!site.file("templates/closed.html").exists());
}

#[test]
fn rules_and_tokens_let_requests_through() {
    let Some(site) = Site::new() else { return };
    site.ok(&["on"]);
    site.ok(&["ignore", "add", "path", "/health"]);
    assert_eq!(site.run(&["check", "/health"]).code, 0);
    assert_eq!(site.run(&["check", "/"]).code, 1);
    let token = site.json(&["bypass", "new"])["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("maint_"), "{token}");
    site.ok(&["ignore", "remove", "/health"]);
    assert_eq!(site.run(&["check", "/health"]).code, 1);
}

#[test]
fn a_flag_follows_the_window() {
    let Some(site) = Site::new() else { return };
    let folder = site.root().join("web");
    fs::create_dir(&folder).unwrap();
    site.ok(&["flag", "add", "web", &on_z(&folder)]);
    assert!(!folder.join("down").exists());
    site.ok(&["on"]);
    assert!(folder.join("down").exists());
    site.ok(&["off"]);
    assert!(!folder.join("down").exists());
}

#[test]
fn the_commands_of_a_flag_are_those_of_cmd() {
    let Some(site) = Site::new() else { return };
    let [on, off] = ["echo down> \"is down\"", "if exist \"is down\" del \"is down\""];
    let declared = ["flag", "add", "exec", "--on", on, "--off", off];
    site.ok(&[&declared[..], &["--check", "if not exist \"is down\" exit 1"]].concat());
    let is_down = || {
        let folders = [site.root().to_owned(), site.root().join(".maint")];
        folders.iter().any(|folder| folder.join("is down").exists())
    };
    assert!(!is_down());
    site.ok(&["on"]);
    assert!(is_down());
    site.ok(&["off"]);
    assert!(!is_down());
}

#[test]
fn doctor_finds_nothing_wrong_with_a_new_site() {
    let Some(site) = Site::new() else { return };
    let ran = site.run(&["doctor"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn one_agent_of_a_site_is_enough_and_a_killed_one_is_replaced() {
    let Some(site) = Site::new() else { return };
    for _ in 0..2 {
        let mut agent = site.mortal(&["agent"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(agent.stderr.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        assert!(first.contains("is at work"), "{first}");
        let second = site.run(&["agent"]);
        assert!(second.code == 5 && second.stderr.contains("runs already"), "{second:?}");
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

#[test]
fn colours_are_for_terminals_alone() {
    let Some(site) = Site::new() else { return };
    site.ok(&["on"]);
    assert!(!site.ok(&["status"]).contains('\u{1b}'));
    assert!(site.ok(&["status", "--color", "always"]).contains('\u{1b}'));
}

#[test]
fn the_endpoint_answers_at_a_port_and_says_that_there_are_no_unix_sockets() {
    let Some(site) = Site::new() else { return };
    let ran = site.run(&["serve", "--listen", "unix:serve.sock"]);
    if ran.stderr.contains("lacks the feature") {
        crate::say::skip("this `maint.exe` was built without the endpoint");
        return;
    }
    assert!(ran.code != 0 && ran.stderr.contains("no Unix sockets here"), "{ran:?}");
    let ran = site.run(&["serve", "--owner", "www-data"]);
    assert!(ran.code == 2 && ran.stderr.contains("no owner here"), "{ran:?}");
    site.ok(&["on"]);
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let mut server = site.mortal(&listen).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first.trim().strip_prefix("answers at ").unwrap().to_owned();
    let status = |expected: &str| {
        let answer = asked(&address, "/auth");
        assert!(answer.starts_with(expected), "{answer}");
    };
    status("HTTP/1.1 403");
    site.ok(&["off"]);
    status("HTTP/1.1 2");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// What the endpoint answers to a proxy.
fn asked(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nX-Original-URI: /\r\nX-Original-Method: GET\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
