//! `HAProxy` as its socket answers; the real one is asked by `tests/stack`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::map::MapFile;
use super::*;
use crate::flags::tests::{Host, NOW, at, mode, write};
use crate::state::WindowSettings;
use crate::store;

/// What a socket does with a command.
type Answers = fn(&mut Memory, &str) -> String;

/// What it remembers: the entries of its one map, or the state of its servers.
type Memory = BTreeMap<String, String>;

/// A socket that answers.
struct Fake {
    path: PathBuf,
    memory: Arc<Mutex<Memory>>,
}

impl Fake {
    fn at(folder: &Path, answers: Answers) -> Self {
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let memory = Arc::new(Mutex::new(Memory::new()));
        let shared = Arc::clone(&memory);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream: UnixStream = stream.unwrap();
                let mut command = String::new();
                BufReader::new(&stream).read_line(&mut command).unwrap();
                let answer = answers(&mut shared.lock().unwrap(), command.trim_end());
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { path, memory }
    }

    fn memory(&self) -> Vec<(String, String)> {
        self.memory.lock().unwrap().clone().into_iter().collect()
    }
}

/// The words of `HAProxy` 2.6 for maps.
fn of_map(memory: &mut Memory, command: &str) -> String {
    let words: Vec<&str> = command.splitn(5, ' ').collect();
    match words.as_slice() {
        ["show", "map", _] => {
            let lines = memory.iter().map(|(key, value)| format!("0x5581 {key} {value}\n"));
            return lines.chain(["\n".to_owned()]).collect();
        }
        ["add" | "set", "map", _, key, value] => {
            memory.insert((*key).to_owned(), value.replace("\\ ", " "));
        }
        ["del", "map", _, key] => drop(memory.remove(*key)),
        _ => return "Unknown command\n".to_owned(),
    }
    "\n".to_owned()
}

/// The words of `HAProxy` 2.6 for the servers `s1` and `s2` of backend `app`.
fn of_servers(memory: &mut Memory, command: &str) -> String {
    if command == "show servers state app" {
        let mut answer =
            "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n".to_owned();
        for name in ["s1", "s2"] {
            let state = memory.get(name).map_or("0", String::as_str);
            answer += &format!("3 app 1 {name} 127.0.0.1 2 {state}\n");
        }
        return answer + "\n";
    }
    let words: Vec<&str> = command.split(' ').collect();
    let ["set", "server", server, "state", state] = words[..] else {
        return "Can't find backend.\n\n".to_owned();
    };
    let name = match server.split_once('/') {
        Some(("app", name @ ("s1" | "s2"))) => name,
        Some(("app", _)) => return "No such server.\n\n".to_owned(),
        _ => return "No such backend.\n\n".to_owned(),
    };
    let state = if state == "maint" { "1" } else { "0" };
    memory.insert(name.to_owned(), state.to_owned());
    "\n".to_owned()
}

fn with_map(answers: Answers) -> (Host, Fake, PathBuf) {
    let host = Host::new();
    let fake = Fake::at(&host.folder, answers);
    let map = host.folder.join("down.map");
    (host, fake, map)
}

fn map_flag(fake: &Fake, map: &Path) -> Flag {
    let options =
        Options { map: Some(map.to_owned()), key: Some("shop".to_owned()), ..Options::default() };
    Flag::new(Kind::Haproxy).at(&fake.path).options(options)
}

fn servers_flag(fake: &Fake, servers: &[&str]) -> Flag {
    let servers = servers.iter().map(|server| (*server).to_owned()).collect();
    Flag::new(Kind::Haproxy).at(&fake.path).options(Options { servers, ..Options::default() })
}

#[test]
fn requirement_76_a_map_is_set_in_memory_and_on_disk() {
    let (host, fake, map) = with_map(of_map);
    write(&map, "# for the site\nother.example  5\nshop old\n");
    host.add("it", map_flag(&fake, &map)).unwrap_err();
    let options = Host::options(NOW);
    store::add_flag(&host.site, &options, "it", map_flag(&fake, &map), true).unwrap();
    assert_eq!(fs::read_to_string(&map).unwrap(), "# for the site\nother.example  5\n");
    let window = WindowSettings::new().end(at("2026-11-29T13:00:00Z"));
    assert!(host.on(&window).is_in_step());
    let date = "Sun, 29 Nov 2026 13:00:00 GMT";
    assert_eq!(fake.memory(), [("shop".to_owned(), date.to_owned())]);
    assert_eq!(
        fs::read_to_string(&map).unwrap(),
        format!("# for the site\nother.example  5\nshop {date}\n")
    );
    assert_eq!(host.look().found, Found::Set);
    assert!(host.on(&WindowSettings::new()).is_in_step());
    assert_eq!(fake.memory(), [("shop".to_owned(), "120".to_owned())]);
    assert!(host.off().is_in_step());
    assert_eq!(fake.memory(), []);
    assert_eq!(fs::read_to_string(&map).unwrap(), "# for the site\nother.example  5\n");
}

#[test]
fn requirement_77_a_new_map_can_be_read_by_all() {
    let (host, fake, map) = with_map(of_map);
    host.add("it", map_flag(&fake, &map)).unwrap();
    host.on(&WindowSettings::new());
    assert_eq!((fs::read_to_string(&map).unwrap().as_str(), mode(&map)), ("shop 120\n", 0o644));
    host.off();
    assert_eq!(fs::read_to_string(&map).unwrap(), "", "without the file it would not start");
}

#[test]
fn requirement_79_what_a_reload_forgot_is_set_again() {
    let (host, fake, map) = with_map(of_map);
    host.add("it", map_flag(&fake, &map)).unwrap();
    host.on(&WindowSettings::new());
    fake.memory.lock().unwrap().clear();
    let standing = host.look();
    assert_eq!((standing.found, standing.in_step), (Found::Clear, Some(false)));
    assert!(host.sync(NOW).is_in_step());
    assert_eq!(fake.memory().len(), 1);
    fs::remove_file(&map).unwrap();
    assert_eq!(host.look().found, Found::Stale, "the next reload would open it");
    assert!(host.sync(NOW).is_in_step() && map.exists());
}

#[test]
fn requirement_78_an_entry_or_a_server_that_somebody_else_set_stays() {
    let (host, fake, map) = with_map(of_map);
    let set = || fake.memory.lock().unwrap().insert("shop".to_owned(), "9".to_owned());
    set();
    host.add("it", map_flag(&fake, &map)).unwrap_err();
    fake.memory.lock().unwrap().clear();
    host.add("it", map_flag(&fake, &map)).unwrap();
    set();
    let report = host.sync(NOW);
    assert_eq!((report.flags[0].found, report.is_in_step()), (Found::SomebodyElses, false));
    assert_eq!(fake.memory().len(), 1);

    let host = Host::new();
    let fake = Fake::at(&host.folder, of_servers);
    host.add("it", servers_flag(&fake, &["app/s1", "app/s2"])).unwrap();
    host.on(&WindowSettings::new());
    assert_eq!(fake.memory(), ["s1", "s2"].map(|name| (name.to_owned(), "1".to_owned())));
    host.off();
    assert_eq!(host.look().found, Found::Clear);
    let by_hand = |name: &str, state: &str| {
        fake.memory.lock().unwrap().insert(name.to_owned(), state.to_owned());
    };
    let states = || fake.memory().into_iter().map(|(_, state)| state).collect::<Vec<_>>();
    by_hand("s2", "1");
    assert_eq!(host.look().found, Found::Clear, "the site is up without the one in repair");
    assert!(host.on(&WindowSettings::new()).is_in_step());
    assert_eq!(states(), ["1", "1"]);
    assert!(host.off().is_in_step());
    assert_eq!(states(), ["0", "1"], "it is still in repair");
    // A reload forgets both.
    host.on(&WindowSettings::new());
    by_hand("s1", "0");
    by_hand("s2", "0");
    assert!(host.sync(NOW).is_in_step());
    host.off();
    assert_eq!(states(), ["0", "0"]);
    by_hand("s1", "1");
    by_hand("s2", "1");
    assert_eq!(host.look().found, Found::SomebodyElses);
    assert!(!host.sync(NOW).is_in_step());
    assert_eq!(states(), ["1", "1"], "they took the site down by themselves");
    host.on(&WindowSettings::new());
    assert!(!host.off().is_in_step());
    assert_eq!(states(), ["1", "1"]);
    store::sync_flags(&host.site, &Host::options(NOW), &[], true).unwrap();
    assert_eq!(states(), ["0", "0"], "taken over");
    by_hand("s2", "1");
    host.on(&WindowSettings::new());
    store::remove_flag(&host.site, &Host::options(NOW), "it", false).unwrap();
    assert_eq!(states(), ["0", "1"]);
}

#[test]
fn what_haproxy_answers_is_reported() {
    let (host, fake, map) = with_map(|_, command| match command.split(' ').next() {
        Some("show") => "\n".to_owned(),
        _ => "Permission denied\x1b[2J\n\n".to_owned(),
    });
    host.add("it", map_flag(&fake, &map)).unwrap();
    let report = host.on(&WindowSettings::new());
    let problem = report.flags[0].problem.clone().unwrap();
    assert!(problem.contains("answered `add map "), "{problem}");
    assert!(problem.contains("with: Permission denied\\u{1b}[2J"), "{problem}");
    assert!(problem.contains("level admin"), "{problem}");
    assert_eq!(fs::read_to_string(&map).unwrap(), "shop 120\n", "a start finds it");

    let host = Host::new();
    let fake = Fake::at(&host.folder, of_servers);
    let report = host.add("it", servers_flag(&fake, &["app/s3"])).unwrap();
    assert!(report.complaints()[0].contains("No such server"), "{report:?}");
    let report = host.add("b", servers_flag(&fake, &["nope/s1"])).unwrap();
    assert!(report.complaints().last().unwrap().contains("No such backend"), "{report:?}");
}

#[test]
fn a_socket_that_is_silent_or_endless_is_left_after_two_seconds() {
    let (host, fake, map) = with_map(|_, _| {
        thread::sleep(Duration::from_secs(20));
        String::new()
    });
    let report = host.add("it", map_flag(&fake, &map)).unwrap();
    assert!(report.complaints()[0].contains("did not answer within 2 s"), "{report:?}");
    let (host, fake, map) = with_map(|_, _| "0x1 key value\n".repeat(1_000_000));
    let report = host.add("it", map_flag(&fake, &map)).unwrap();
    assert!(report.complaints()[0].contains("more than 8388608 bytes"), "{report:?}");
}

#[test]
fn what_could_not_be_said_to_haproxy_is_refused() {
    let (host, fake, map) = with_map(of_map);
    let key = |key: &str| {
        let mut flag = map_flag(&fake, &map);
        flag.options.key = Some(key.to_owned());
        flag
    };
    for bad in ["", "a b", "a;quit", "#a", "a\\", "a\n", "ä", "<<"] {
        assert!(host.add("it", key(bad)).is_err(), "{bad:?}");
    }
    let mut relative = map_flag(&fake, &map);
    relative.options.map = Some("down.map".into());
    assert!(host.add("it", relative).unwrap_err().to_string().contains("cannot be named"));
    for bad in ["app", "/s1", "app/", "a p/s1", "app/s1/x", "app/s1;quit"] {
        assert!(host.add("it", servers_flag(&fake, &[bad])).is_err(), "{bad}");
    }
    let mut both = map_flag(&fake, &map);
    both.options.servers = vec!["app/s1".to_owned()];
    assert!(host.add("it", both).is_err());
    assert!(host.add("it", Flag::new(Kind::Haproxy).at(&fake.path)).is_err(), "neither");
    let nowhere = map_flag(&fake, &map).at(host.folder.join("nowhere"));
    assert!(host.add("it", nowhere).unwrap_err().to_string().contains("not a socket"));
}

#[test]
fn two_flags_may_share_a_socket_but_not_what_they_set() {
    let (host, fake, map) = with_map(of_map);
    host.add("a", map_flag(&fake, &map)).unwrap();
    assert!(host.add("b", map_flag(&fake, &map)).is_err());
    let mut other = map_flag(&fake, &map);
    other.options.key = Some("blog".to_owned());
    host.add("b", other).unwrap();
    assert!(host.on(&WindowSettings::new()).is_in_step());
    assert_eq!(fs::read_to_string(&map).unwrap(), "shop 120\nblog 120\n");
    store::remove_flag(&host.site, &Host::options(NOW), "a", false).unwrap();
    assert_eq!(fs::read_to_string(&map).unwrap(), "blog 120\n");
}

#[test]
fn lines_of_others_stay_as_they_are() {
    let host = Host::new();
    let map = host.folder.join("x.map");
    for (before, value, after) in [
        ("", Some("1"), "key 1\n"),
        ("a b", Some("1"), "a b\nkey 1\n"),
        ("  key\t 7 \r\nkey2 x\n#key y\nkey 8\n", Some("1"), "key 1\nkey2 x\n#key y\n"),
        ("key 7\n\nb c\n", None, "\nb c\n"),
        ("keys 1\n", None, "keys 1\n"),
    ] {
        let _ = fs::remove_file(&map);
        write(&map, before);
        MapFile::read(&map).unwrap().set("key", value).unwrap();
        assert_eq!(fs::read_to_string(&map).unwrap(), after, "{before:?}");
        let values = MapFile::read(&map).unwrap().values("key");
        assert_eq!(values, value.map(str::to_owned).into_iter().collect::<Vec<_>>());
    }
    let link = host.folder.join("link");
    std::os::unix::fs::symlink(&map, &link).unwrap();
    assert!(MapFile::read(&link).is_err());
}
