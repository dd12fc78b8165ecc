//! Requirements 20, 21 and 23: when the state is read again, and when not.

use super::*;

/// The revision that the answer to a request tells.
fn told_revision(gate: &Gate) -> Option<String> {
    match gate.answer(&get("/")) {
        Answer::Reply(reply) => reply.header(crate::page::reply::REVISION),
        Answer::Pass(_) => panic!("it is down"),
    }
}

#[test]
fn an_answer_tells_the_revision_that_it_was_made_from() {
    let mut desk = Desk::new();
    desk.put(7, &down("x"));
    let gate = desk.gate();
    assert_eq!(told_revision(&gate).as_deref(), Some("7"));
    // The same window has the same page, and the state is another one.
    desk.put(8, &down("x"));
    assert_eq!(told_revision(&gate).as_deref(), Some("8"));
    let always = match gate.answer_overridden(&get("/"), Override::On) {
        Answer::Reply(reply) => reply.header(crate::page::reply::REVISION),
        Answer::Pass(_) => panic!("it is always down"),
    };
    assert_eq!(always.as_deref(), Some("8"));
    desk.replace("{");
    assert_eq!(told_revision(&gate).as_deref(), Some("8"), "the last good state is in force");
    let closed = desk.gate_with(OnError::Closed);
    assert_eq!(told_revision(&closed), None, "there never was a good one");
}
use crate::sys::FileKey;

const SECOND: i128 = 1_000_000_000;

/// Three states of one size.
fn states() -> [String; 3] {
    [10, 20, 30].map(|revision| state(revision, &json!({})))
}

#[test]
fn requirement_20_equal_keys_are_an_unchanged_file_and_any_difference_is_a_change() {
    let mut desk = Desk::new();
    desk.put(1, &json!({}));
    let gate = desk.gate();
    let now = gate.0.live.current.load_full();
    let Look::File(key) = now.look else { panic!("there is a file") };
    let settled = Snapshot { is_unsettled: false, ..Snapshot::clone(&now) };
    assert!(!settled.is_outdated(Look::File(key)));
    for other in [
        FileKey { dev: key.dev + 1, ..key },
        FileKey { ino: key.ino + 1, ..key },
        FileKey { size: key.size + 1, ..key },
        FileKey { mtime_ns: key.mtime_ns + 1, ..key },
        FileKey { mtime_ns: key.mtime_ns - 1, ..key },
        FileKey { ctime_ns: key.ctime_ns + 1, ..key },
        FileKey { ctime_ns: key.ctime_ns - 1, ..key },
    ] {
        assert!(settled.is_outdated(Look::File(other)), "{other:?}");
    }
    assert!(settled.is_outdated(Look::Missing) && settled.is_outdated(Look::Failed));
    let failed = Snapshot { look: Look::Failed, ..settled };
    assert!(failed.is_outdated(Look::Failed), "tried again each time");
}

#[test]
fn requirement_20_a_change_that_sets_its_time_back_is_noticed_by_its_other_time() {
    let mut desk = Desk::new();
    let [one, two, _] = states();
    desk.replace(&one);
    let gate = desk.gate();
    let Look::File(before) = gate.0.live.current.load().post.lookout.look() else {
        panic!("there is a file")
    };
    // In place, so that the inode is the same too.
    desk.overwrite(&two);
    OpenOptions::new()
        .write(true)
        .open(desk.state_file())
        .unwrap()
        .set_modified(desk.last)
        .unwrap();
    let Look::File(after) = gate.0.live.current.load().post.lookout.look() else {
        panic!("there is a file")
    };
    let poor = |key: FileKey| (key.ino, key.size, key.mtime_ns);
    assert_eq!(poor(before), poor(after), "a key without ctime has to fail here");
    assert_eq!(gate.revision(), 20);
}

#[cfg(target_os = "linux")]
#[test]
fn requirement_21_an_edit_in_the_same_tick_of_the_clock_is_noticed_all_the_same() {
    let mut desk = Desk::new();
    let [one, two, _] = states();
    desk.replace(&one);
    let gate = desk.gate();
    let read = gate.0.live.current.load_full();
    desk.overwrite(&two);
    // As if the clock of the file system had not moved on between the two.
    let look = gate.0.live.current.load().post.lookout.look();
    gate.0.live.current.store(Arc::new(Snapshot { look, is_unsettled: false, ..(*read).clone() }));
    assert_eq!(gate.revision(), 10, "the planted fault: it looks as it did");
    gate.0.live.current.store(Arc::new(Snapshot { look, is_unsettled: true, ..(*read).clone() }));
    let begun = Instant::now();
    until("the edit", || gate.revision() == 20);
    figure(&format!("an edit with an equal key is noticed after {:?}", begun.elapsed()));
    assert!(!gate.0.live.current.load().is_unsettled, "and then there is rest");
}

#[test]
fn requirement_21_a_file_is_unsettled_while_another_change_could_look_the_same() {
    let key =
        |mtime_ns, ctime_ns| Look::File(FileKey { dev: 1, ino: 1, size: 1, mtime_ns, ctime_ns });
    let at = Timestamp::from_nanosecond(1_000 * SECOND + 500).unwrap();
    let now = at.as_nanosecond();
    for (look, is_unsettled) in [
        (key(now, now), true),
        (key(now - SECOND + 1, 7), true),
        (key(now - SECOND, now - SECOND), false),
        // `touch -d tomorrow`, just now.
        (key(now + 86_400 * SECOND, now - 1), true),
        (key(1, now - 1), true),
        // The clock of a server is a little ahead.
        (key(now + SECOND / 2, now + SECOND / 2), true),
        // FAT counts in steps of two seconds.
        (key(999 * SECOND, 7), true),
        (key(998 * SECOND, 7), false),
        (Look::Missing, false),
        (Look::Failed, false),
    ] {
        assert_eq!(snapshot::is_unsettled(look, at), is_unsettled, "{look:?}");
    }
}

#[test]
fn requirement_23_a_million_answers_read_the_state_once() {
    let mut desk = Desk::new();
    desk.put(1, &down("Back soon"));
    let gate = desk.gate();
    let content = gate.0.live.current.load().content.clone();
    let request = get("/");
    for _ in 0..1_000_000 {
        assert!(matches!(gate.answer(&request), Answer::Reply(_)));
    }
    until("rest", || {
        let _ = gate.revision();
        !gate.0.live.current.load().is_unsettled
    });
    // The file was new, so it was read once more, and found to be the same.
    let now = gate.0.live.current.load_full();
    assert!(Arc::ptr_eq(&content, &now.content), "0 of 1000000 read it again");
    for _ in 0..1_000 {
        let _ = gate.revision();
        assert!(Arc::ptr_eq(&now, &gate.0.live.current.load()), "nothing at all is made anew");
    }
    figure("1000000 answers while nothing changed: the state was parsed anew 0 times");
}

#[test]
fn a_state_that_is_touched_is_read_for_the_sake_of_its_templates() {
    let mut desk = Desk::new();
    fs::create_dir(desk.dir.join("templates")).unwrap();
    let template = desk.dir.join("templates/x.html");
    let write = |text: &str| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).open(&template).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let mut parts = down("x");
    parts["page"] = json!({ "template": "x" });
    write("one");
    desk.put(1, &parts);
    let gate = desk.gate();
    let body = || match gate.answer(&get("/")) {
        Answer::Reply(reply) => String::from_utf8(reply.body().to_vec()).unwrap(),
        Answer::Pass(_) => panic!("the window is open"),
    };
    assert_eq!(body(), "one");
    write("two");
    desk.put(1, &parts);
    assert_eq!(body(), "two");
}

#[test]
fn with_a_recheck_interval_one_of_many_looks() {
    let mut desk = Desk::new();
    desk.put(1, &json!({}));
    let interval = Duration::from_secs(3600);
    let options = Options { recheck: Some(interval), ..Options::default() };
    let gate = Gate::open_with(&Site::at(&desk.dir), options).unwrap();
    desk.put(2, &json!({}));
    assert_eq!(gate.revision(), 1, "not yet");
    // As if the hour were over: of all requests that come at once, one has to look.
    gate.0.live.next_look.store(1, Ordering::Relaxed);
    assert!(gate.0.live.put_off(1) && !gate.0.live.put_off(1), "the second comes too late");
    gate.0.live.next_look.store(0, Ordering::Relaxed);
    assert_eq!(gate.revision(), 2);
    desk.put(3, &json!({}));
    assert_eq!(gate.revision(), 2);
}
