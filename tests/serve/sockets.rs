//! Where the endpoint listens, and where it refuses to.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::can::can_be_others;
use crate::rig::{Answered, command, maint, program};
use crate::watched::{PATIENCE, ended, signal, until};

/// A process of a test, which ends with it.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    maint(&dir, &["init", "."]);
    dir
}

fn start(dir: &TempDir, arguments: &[&str]) -> Started {
    let mut command = command(dir);
    Started(command.arg("serve").args(arguments).stderr(Stdio::null()).spawn().unwrap())
}

/// One that is refused: how it ended.
fn refused(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command(dir);
    let Output { status, stderr, .. } = command.arg("serve").args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn ask(stream: &mut (impl std::io::Read + std::io::Write)) -> u16 {
    stream
        .write_all(
            b"GET /auth HTTP/1.1\r\nHost: a\r\nX-Original-Method: GET\r\nX-Original-URI: /\r\n\
            Connection: close\r\n\r\n",
        )
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answered::read(&answer).status
}

/// Asks at a socket, as soon as it is there.
fn asked(path: &Path) -> u16 {
    until("it listens", || UnixStream::connect(path).is_ok());
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&mut stream)
}

/// A socket of a process that has died.
fn stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(UnixStream::connect(path).is_err());
}

#[test]
fn requirement_87_a_socket_appears_with_its_mode_and_its_owner() {
    let is_root = can_be_others();
    for (number, umask) in ["0", "022", "077", "0777"].into_iter().enumerate() {
        let dir = project();
        let path = dir.path().join("s.sock");
        let mut command = Command::new("sh");
        command.current_dir(dir.path()).args(["-c", "umask $0; exec \"$@\"", umask]).arg(program());
        command.args(["serve", "--listen", "unix:s.sock"]);
        if number % 2 == 1 {
            command.args(["--mode", "0604"]);
        }
        if is_root {
            command.args(["--owner", "65534:65533"]);
        }
        let _serving = Started(command.stderr(Stdio::null()).spawn().unwrap());
        // The first that anybody sees of it.
        let found = loop {
            if let Ok(found) = fs::symlink_metadata(&path) {
                break found;
            }
        };
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o7777, if number % 2 == 1 { 0o604 } else { 0o660 }, "{umask}");
        if is_root {
            assert_eq!((found.uid(), found.gid()), (65534, 65533), "{umask}");
        }
        assert_eq!(asked(&path), 204);
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, [".maint", "s.sock"], "nothing else is left");
    }
}

#[test]
fn requirement_87_a_stale_socket_is_replaced_and_one_of_a_living_process_is_not() {
    let dir = project();
    let path = dir.path().join("s.sock");
    stale(&path);
    stale(&dir.path().join(".maint.new"));
    let mut first = start(&dir, &["--listen", "unix:s.sock"]);
    assert_eq!(asked(&path), 204);
    let inode = fs::metadata(&path).unwrap().ino();
    let (code, said) = refused(&dir, &["--listen", "unix:s.sock"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("another process answers there") && said.contains("hint:"), "{said}");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(asked(&path), 204);
    // It had no time to clean up.
    signal(&first.0, "KILL");
    ended(&mut first.0);
    let mut second = start(&dir, &["--listen", "unix:s.sock"]);
    assert_eq!(asked(&path), 204);
    signal(&second.0, "TERM");
    assert_eq!(ended(&mut second.0), Some(0));
    assert!(fs::symlink_metadata(&path).is_err(), "it cleans up");
}

#[test]
fn requirement_87_a_socket_of_a_process_that_does_not_accept_is_a_living_one() {
    let dir = project();
    let path = dir.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _queue = UnixStream::connect(&path).unwrap();
    let (code, said) = refused(&dir, &["--listen", "unix:s.sock"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
}

#[test]
fn of_many_that_start_at_once_one_gets_the_socket() {
    let dir = project();
    let path = dir.path().join("s.sock");
    for _ in 0..3 {
        let _ = fs::remove_file(&path);
        stale(&path);
        let mut all: Vec<_> = (0..8).map(|_| start(&dir, &["--listen", "unix:s.sock"])).collect();
        let mut codes: Vec<Option<i32>> = Vec::new();
        until("all but one are refused", || {
            all.retain_mut(|one| match one.0.try_wait().unwrap() {
                Some(status) => {
                    codes.push(status.code());
                    false
                }
                None => true,
            });
            all.len() <= 1
        });
        assert_eq!(codes, [Some(3); 7]);
        assert_eq!(asked(&path), 204);
    }
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = project();
    let at = |name: &str| dir.path().join(name);
    crate::put(&at("file"), "mine");
    fs::create_dir(at("directory")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    let _other = UnixListener::bind(at("other.sock")).unwrap();
    symlink(at("other.sock"), at("link.sock")).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    for name in ["file", "directory", "link", "link.sock", "dangling", ".", "..", "/"] {
        let before = fs::symlink_metadata(at(name)).unwrap();
        let (code, said) = refused(&dir, &["--listen", &format!("unix:{name}")]);
        assert_eq!(code, Some(3), "{name}: {said}");
        let after = fs::symlink_metadata(at(name)).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{name}");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "mine");
    assert!(fs::symlink_metadata(at("nothing")).is_err());
}

#[test]
fn a_socket_that_has_become_anothers_stays_at_the_end() {
    let dir = project();
    let path = dir.path().join("s.sock");
    let mut serving = start(&dir, &["--listen", "unix:s.sock"]);
    assert_eq!(asked(&path), 204);
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    signal(&serving.0, "TERM");
    assert_eq!(ended(&mut serving.0), Some(0));
    assert!(UnixStream::connect(&path).is_ok());
}

#[test]
fn in_the_directory_of_somebody_else_root_can_do_what_they_can() {
    if !can_be_others() {
        return;
    }
    let dir = project();
    let theirs = dir.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = theirs.join("s.sock");
    let listen = format!("unix:{}", path.display());
    let (code, said) = refused(&dir, &["--listen", &listen, "--owner", "root"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("only root gives a socket away"), "{said}");
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0, "nothing is left");
    let mut serving = start(&dir, &["--listen", &listen]);
    assert_eq!(asked(&path), 204);
    let found = fs::symlink_metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid()), (65534, 65534));
    signal(&serving.0, "TERM");
    assert_eq!(ended(&mut serving.0), Some(0));
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);
    // What they lay there leads root nowhere.
    let target = dir.path().join("target");
    crate::put(&target, "root's");
    let before = fs::metadata(&target).unwrap();
    symlink(&target, theirs.join(".maint.new")).unwrap();
    let (code, said) = refused(&dir, &["--listen", &listen, "--mode", "0666"]);
    assert_eq!(code, Some(3), "{said}");
    let after = fs::metadata(&target).unwrap();
    assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
}

#[test]
fn who_cannot_listen_says_where_and_why_and_gives_one_hint() {
    let dir = project();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).unwrap();
    let taken = taken.to_string();
    let long = format!("unix:/tmp/{}", "x".repeat(120));
    for (address, why, hint) in [
        (taken.as_str(), "address already in use", "ss -ltnp"),
        ("unix:/nonexistent/s.sock", "no such file or directory", "mkdir -p /nonexistent"),
        (&long, "too long", "shorter"),
        ("unix:.maint", "is no socket", "another path"),
    ] {
        let (code, said) = refused(&dir, &["--listen", address]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&format!("could not listen at {address}: ")), "{said}");
        assert!(said.contains(why) && said.contains(hint), "{said}");
        assert_eq!(said.matches("hint:").count(), 1, "{said}");
    }
    for arguments in [
        &["--listen", "unix:"][..],
        &["--listen", "8504"],
        &["--listen", "unix:s", "--mode", "0999"],
        &["--listen", "unix:s", "--mode", "+600"],
        &["--listen", "unix:s", "--mode", "4755"],
        &["--listen", "unix:s", "--owner", ":"],
        &["--listen", "unix:s", "--owner", "no-such-user"],
        &["--listen", "unix:s", "--owner", ":no-such-group"],
    ] {
        let (code, said) = refused(&dir, arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
    }
}

#[test]
fn a_public_address_is_refused_before_anything_is_bound() {
    let dir = project();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let (code, said) = refused(&dir, &["--listen", "unix:s.sock", "--listen", address]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("could ask as anybody"), "{said}");
        assert!(fs::symlink_metadata(dir.path().join("s.sock")).is_err());
    }
}

/// One that gets two sockets as systemd hands them over.
fn activated(dir: &TempDir, tcp: TcpListener, unix: UnixListener, options: &[&str]) -> Started {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; \
        LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" serve \"$@\"";
    command.current_dir(dir.path()).args(["-c", script]).arg(program()).args(options);
    command.stdin(Stdio::from(OwnedFd::from(tcp))).stdout(Stdio::from(OwnedFd::from(unix)));
    Started(command.stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn the_sockets_of_the_service_manager_are_taken_and_stay_its_own() {
    let dir = project();
    let path: PathBuf = dir.path().join("s.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let port = tcp.local_addr().unwrap();
    for _ in 0..2 {
        let (tcp, unix) = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
        let mut serving = activated(&dir, tcp, unix, &[]);
        // They wait until it is there.
        let mut streams = (TcpStream::connect(port).unwrap(), UnixStream::connect(&path).unwrap());
        assert_eq!((ask(&mut streams.0), ask(&mut streams.1)), (204, 204));
        signal(&serving.0, "TERM");
        assert_eq!(ended(&mut serving.0), Some(0));
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    }
    let public = || TcpListener::bind("0.0.0.0:0").unwrap();
    let mut serving = activated(&dir, public(), unix.try_clone().unwrap(), &[]);
    assert_eq!(ended(&mut serving.0), Some(2), "a public one is refused all the same");
    let public = public();
    let port = public.local_addr().unwrap().port();
    let _serving = activated(&dir, public, unix, &["--yes-public"]);
    assert_eq!(ask(&mut TcpStream::connect(("127.0.0.1", port)).unwrap()), 204);
}

#[test]
fn somebody_who_locks_the_directory_keeps_nobody_from_listening_there() {
    let dir = project();
    let place = dir.path().join("run");
    fs::create_dir(&place).unwrap();
    let directory = fs::File::open(&place).unwrap();
    fs2::FileExt::lock_exclusive(&directory).unwrap();
    let _serving = start(&dir, &["--listen", "unix:run/s.sock"]);
    assert_eq!(asked(&place.join("s.sock")), 204);
}

#[test]
fn which_sites_are_meant_is_said_in_one_way_and_each_can_be_asked_for() {
    let dir = project();
    for (arguments, said) in [
        (&["--site", ".maint", "a=.maint"][..], "both say which sites"),
        (&["a.example.com.=.maint"], "is no name of a site"),
        (&["--workers", "0"], "0 is not in 1..=256"),
        (&["--workers", "65535"], "65535 is not in 1..=256"),
    ] {
        let (code, stderr) = refused(&dir, &[&["--listen", "127.0.0.1:0"], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}
