//! Holds the guides in `docs/` against the command and the library: sessions run
//! and answer as shown, and tables state what the gate does.
#![cfg(unix)]

#[path = "common/say.rs"]
mod say;
#[path = "common/session.rs"]
mod session;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use maint::Site;
use maint::gate::{Answer, Gate};
use maint::page::{Context, Reply};
use maint::request::RequestParts;
use say::skip;
use session::{is_as_shown, script, steps};

const GUIDES: [&str; 5] =
    ["docs/jobs.md", "docs/library.md", "docs/page.md", "docs/proxy.md", "docs/rules.md"];

/// The time of every session.
const NOW: &str = "2026-11-22T03:00:00Z";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

/// The fenced block after `<!-- test: NAME -->`.
fn example(document_name: &str, name: &str) -> String {
    let text = document(document_name);
    let marker = format!("<!-- test: {name} -->\n```");
    let (_, rest) = text.split_once(&marker).unwrap_or_else(|| panic!("no example `{name}`"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

/// The section of a document under a heading of the second level.
fn section(document_name: &str, title: &str) -> String {
    let text = document(document_name);
    let (_, rest) = text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| {
        panic!("{document_name} has no section `{title}`");
    });
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The rows of the first table in a section, without its header.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().skip_while(|line| !line.starts_with("| --- "));
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect()
}

/// A directory with an empty site and a template to add.
fn directory() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("home")).unwrap();
    fs::create_dir(temp.path().join(".maint")).unwrap();
    let mut file = fs::File::create_new(temp.path().join("sorry.html")).unwrap();
    file.write_all(example("docs/page.md", "sorry").as_bytes()).unwrap();
    temp
}

fn sh(directory: &Path, script: &str) -> Output {
    let command = Path::new(env!("CARGO_BIN_EXE_maint")).parent().unwrap();
    Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{}:{}", command.display(), std::env::var("PATH").unwrap()))
        .env("HOME", directory.join("home"))
        .env("TZ", "UTC")
        .env("MAINT_NOW", NOW)
        .output()
        .unwrap()
}

#[test]
fn the_sessions_about_flags_answer_as_shown_one_after_the_other() {
    let site = directory();
    let project = fs::canonicalize(site.path()).unwrap().join("shop");
    fs::create_dir(&project).unwrap();
    let page = document("docs/flags.md");
    // What follows is about software that is not here.
    let page = page.split_once("\n## Each kind\n").unwrap().0;
    let page = page.replace("/srv/shop", project.to_str().unwrap());
    let blocks: Vec<&str> = page
        .split("```console\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```").unwrap().0)
        .collect();
    let steps: Vec<_> = blocks.iter().flat_map(|block| steps(block)).collect();
    let output = sh(site.path(), &script(&steps));
    let said = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<&str> = said.split('\u{1}').collect();
    assert_eq!(parts.len(), 2 * steps.len() + 1, "{said}");
    for ((command, shown), answer) in steps.iter().zip(parts.chunks(2)) {
        let [text, code] = answer else { panic!("{command}: no answer") };
        let expected =
            if shown.iter().any(|line| line.starts_with("warning")) { "10" } else { "0" };
        assert_eq!(*code, expected, "{command}: {text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(is_as_shown(shown, &lines), "{command}\nsaid:\n{text}");
    }
    assert!(steps.len() >= 8, "{}", steps.len());
}

#[test]
fn every_session_in_the_guides_answers_as_shown() {
    let mut number = 0;
    for guide in GUIDES {
        for block in document(guide).split("```console\n").skip(1) {
            let block = block.split_once("\n```").unwrap().0;
            let steps = steps(block);
            let site = directory();
            let output = sh(site.path(), &script(&steps));
            let said = String::from_utf8(output.stdout).unwrap();
            let parts: Vec<&str> = said.split('\u{1}').collect();
            assert_eq!(parts.len(), 2 * steps.len() + 1, "{guide}: {block}\nsaid:\n{said}");
            for ((command, shown), answer) in steps.iter().zip(parts.chunks(2)) {
                let [text, code] = answer else { panic!("{guide}: {command}: no answer") };
                assert!(["0", "1"].contains(code), "{guide}: {command}: exit {code}: {text}");
                let lines: Vec<&str> = text.lines().collect();
                assert!(is_as_shown(shown, &lines), "{guide}: {command}\nsaid:\n{text}");
                number += 1;
            }
        }
    }
    assert!(number > 60, "{number} commands");
}

/// There is no release yet, so it is the clone that a project takes.
#[test]
fn the_library_is_added_from_a_clone_as_its_guide_begins() {
    let temp = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root(), temp.path().join("maint")).unwrap();
    let lines = ["add", "add-actix", "add-testing"].map(|name| example("docs/library.md", name));
    let script = format!(
        "set -e; cargo new -q --vcs none shop; cd shop\n{}cargo metadata --no-deps --format-version 1",
        lines.concat()
    );
    let mut shell = Command::new("sh");
    // What the clone needs is here already, and nothing else is asked for.
    shell.args(["-c", &script]).current_dir(temp.path()).env("CARGO_NET_OFFLINE", "true");
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let added = metadata["packages"][0]["dependencies"].as_array().unwrap();
    let added: Vec<_> = added
        .iter()
        .map(|of| (&of["name"], &of["kind"], &of["uses_default_features"], &of["features"]))
        .collect();
    let maint = serde_json::Value::from("maint");
    let (features, testing) =
        (serde_json::json!(["actix", "tower"]), serde_json::json!(["testing"]));
    let expected = [
        (&maint, &serde_json::Value::Null, &false.into(), &features),
        (&maint, &"dev".into(), &false.into(), &testing),
    ];
    assert_eq!(added, expected);
}

#[test]
fn the_first_look_of_the_recipes_works_where_nothing_is_set_up() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("home")).unwrap();
    let look = section("docs/deploy.md", "First, where are we?");
    let block = look.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.lines().count() >= 4, "{block}");
    for line in block.lines() {
        let output = sh(temp.path(), line);
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
    }
}

/// The answer to a request on a site after these commands.
fn reply(commands: &str, request: &RequestParts) -> Reply {
    let site = directory();
    let output = sh(site.path(), commands);
    assert!(output.status.success(), "{commands}: {output:?}");
    let gate = Gate::open(&Site::at(site.path().join(".maint"))).unwrap();
    match gate.current().at(NOW.parse().unwrap()).answer(request) {
        Answer::Reply(reply) => reply,
        Answer::Pass(pass) => panic!("{request:?} passes: {pass:?}"),
    }
}

/// What of a script in a guide about jobs does not depend on the host.
fn here(script: &str, directory: &Path) -> String {
    script.replace("/srv/shop", directory.to_str().unwrap())
}

#[test]
fn the_jobs_of_the_guide_run_while_the_site_is_up_and_wait_while_it_is_down() {
    let site = directory();
    let program = |name: &str, text: &str| {
        let made =
            sh(site.path(), &format!("printf '%s' '#!/bin/sh\n{text}' > {name}; chmod +x {name}"));
        assert!(made.status.success(), "{made:?}");
    };
    program("send-orders", "echo sent >> did");
    program("rebuild-index", "maint status --quiet --expect on && echo rebuilt >> did");
    let did = || fs::read_to_string(site.path().join("did")).unwrap_or_default();
    assert!(sh(site.path(), "maint init").status.success());

    let crontab = here(&example("docs/jobs.md", "crontab"), site.path());
    let jobs: Vec<String> = crontab
        .lines()
        .filter(|line| !line.starts_with("MAINT_SITE="))
        .map(|line| line.split_whitespace().skip(5).collect::<Vec<_>>().join(" "))
        .map(|job| job.replace("--timeout 4m", "--timeout 1s"))
        .collect();
    let [send, rebuild] = &jobs[..] else { panic!("{jobs:?}") };
    assert!(sh(site.path(), send).status.success());
    assert!(sh(site.path(), rebuild).status.success());
    assert_eq!(did(), "sent\nrebuilt\n");
    assert!(
        sh(site.path(), "maint status --quiet --expect off").status.success(),
        "it is up again"
    );

    let unit = here(&example("docs/jobs.md", "unit"), site.path());
    let value = |key: &str| {
        let lines = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.unwrap_or_else(|| panic!("{key}: {unit}")).to_owned()
    };
    let start = format!("{} && {}", value("ExecCondition"), value("ExecStart"));
    assert!(sh(site.path(), &start).status.success());
    assert_eq!(did(), "sent\nrebuilt\nsent\n");

    assert!(sh(site.path(), "maint on").status.success());
    for job in [send, &start] {
        assert_eq!(
            sh(site.path(), job).status.code(),
            Some(1),
            "systemd skips it, and cron has nothing to do"
        );
    }
    assert_eq!(did(), "sent\nrebuilt\nsent\n");
}

#[test]
fn the_workers_of_the_guide_stop_and_start_with_the_site() {
    let site = directory();
    // A systemd with one unit, which runs while there is a file of its name.
    let systemctl = "#!/bin/sh\nfor unit; do :; done\ncase $1 in\n\
        start) : > $unit;;\nstop) rm -f $unit;;\nis-active) test -e $unit || exit 3;;\nesac\n";
    let made = format!(
        "mkdir bin && printf '%s' '{systemctl}' > bin/systemctl && chmod +x bin/systemctl && : > sidekiq"
    );
    assert!(sh(site.path(), &made).status.success());
    let run = |script: &str| {
        let output = sh(site.path(), &format!("PATH=$PWD/bin:$PATH\n{script}"));
        assert!(output.status.success(), "{script}: {output:?}");
        site.path().join("sidekiq").exists() || site.path().join(".maint/sidekiq").exists()
    };
    let flag = example("docs/jobs.md", "exec").replace("sidekiq'", "$PWD/sidekiq'");
    let flag = flag.replace('\'', "\"").replace("\"!", "'! '\"");
    assert!(run(&format!("maint init\n{flag}")), "it runs while the site is up");
    assert!(!run("maint on"), "it is stopped");
    assert!(run("maint off"), "and started again");

    let work = "#!/bin/sh\necho done >> did; test $(wc -l < did) -lt 3\n";
    run(&format!("printf '%s' '{work}' > work-one-job && chmod +x work-one-job"));
    run(&example("docs/jobs.md", "loop"));
    assert_eq!(fs::read_to_string(site.path().join("did")).unwrap(), "done\n".repeat(3));
}

#[test]
fn the_table_of_formats_is_what_the_gate_answers() {
    let rows = rows(&section("docs/page.md", "HTML, JSON or text"));
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let request = RequestParts::new("GET", "/");
        let request =
            if row[0] == "none at all" { request } else { request.with("accept", &row[0]) };
        let kind = reply("maint on", &request).header("content-type").unwrap();
        let beginning = match row[1].as_str() {
            "HTML" => "text/html",
            "JSON" => "application/problem+json",
            "text" => "text/plain",
            other => panic!("{other} is not a format"),
        };
        assert!(kind.starts_with(beginning), "{}: {kind}", row[0]);
    }
}

#[test]
fn the_table_of_header_fields_is_what_the_gate_sends() {
    let rows = rows(&section("docs/page.md", "The header fields"));
    let reply = reply("maint on", &RequestParts::new("GET", "/"));
    let mut told: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let mut sent: Vec<&str> = reply.headers().map(|(name, _)| name).collect();
    told.sort_unstable();
    sent.sort_unstable();
    assert_eq!(told, sent);
    for row in rows.iter().take(6) {
        assert_eq!(reply.header(&row[0]).unwrap(), row[1]);
    }
}

#[test]
fn the_problem_in_the_guide_is_the_one_that_is_sent() {
    let request = RequestParts::new("GET", "/").with("accept", "application/json");
    let reply = reply("maint on -m 'Back at noon' --until 12:00", &request);
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(parse(reply.body()), parse(example("docs/page.md", "problem").as_bytes()));
}

#[test]
fn the_templates_in_the_guide_make_pages() {
    let request = RequestParts::new("GET", "/");
    let own = "maint template add sorry sorry.html && maint on --template sorry --until 12:00";
    let page = reply(own, &request);
    assert!(String::from_utf8_lossy(page.body()).contains("<p>Until 12:00 UTC.</p>"));

    let languages = example("docs/page.md", "languages");
    let own = format!(
        "maint template add sorry --format html <<'END' && maint on --template sorry -m Back -m de=Bald\n{languages}END\n"
    );
    let german = RequestParts::new("GET", "/").with("accept-language", "de-AT");
    for (request, shown) in [
        (&german, ["<html lang=\"de\" dir=\"ltr\">", "<h1>Wartungsarbeiten</h1>", "<p>Bald</p>"]),
        (&RequestParts::new("GET", "/"), ["<html lang=\"en\"", "<h1>Down for", "<p>Back</p>"]),
    ] {
        let page = reply(&own, request);
        let page = String::from_utf8_lossy(page.body()).into_owned();
        assert!(shown.iter().all(|text| page.contains(text)), "{page}");
    }

    let json = example("docs/page.md", "json");
    let own = format!(
        "maint template add sorry --format json <<'END' && maint on --template sorry -m 'a \"b\"'\n{json}END\n"
    );
    let page = reply(&own, &request.with("accept", "application/json"));
    assert_eq!(page.header("content-type").as_deref(), Some("application/json"));
    let page: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
    assert_eq!(page["message"], "a \"b\"");
    assert!(page["until"].is_null());

    let copy = "maint template add mine --builtin --format json && maint on --template mine";
    let request = RequestParts::new("GET", "/").with("accept", "application/json");
    let page = reply(copy, &request);
    assert_eq!(page.template(), Some("mine"));
    assert_eq!(page.header("content-type").as_deref(), Some("application/problem+json"));
}

#[test]
fn requirement_53_the_guide_lists_all_that_a_template_is_told() {
    let rows = rows(&section("docs/page.md", "What a template is told"));
    let told: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(told, Context::FIELDS);
}

#[test]
fn the_size_of_the_page_is_what_the_guide_says() {
    let page = reply("maint on -m 'Back at noon' --until 12:00", &RequestParts::new("GET", "/"));
    let size = page.body().len();
    let told = format!("{} kB", (size + 500) / 1000);
    assert!(section("docs/page.md", "The built-in page").contains(&told), "{size} bytes");
    assert!(section("docs/proxy.md", "Compression").contains(&told), "{size} bytes");
}

#[test]
fn requirement_59_the_guide_counts_the_crates() {
    let text = section("docs/library.md", "Dependencies");
    for (features, number) in [("", 0), ("tower", 1)] {
        let numbers: Vec<usize> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none"])
            .args(["--no-default-features", "--features", features])
            .current_dir(root())
            .output()
            .unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return skip(&format!("cargo tree fails: {}", why.trim().replace('\n', " ")));
        }
        let listed = String::from_utf8(output.stdout).unwrap();
        let mut crates: Vec<&str> =
            listed.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        crates.sort_unstable();
        crates.dedup();
        assert!(!listed.contains("tokio v") && !listed.contains("hyper v"), "{crates:#?}");
        if cfg!(target_os = "linux") {
            assert_eq!(crates.len() - 1, numbers[number], "with the features `{features}`");
        }
    }
}

#[test]
fn nginx_takes_the_configuration_in_the_guide() {
    let temp = tempfile::tempdir().unwrap();
    // Only root has ports below 1024 and the usual directories.
    let socket = format!("listen unix:{}/socket;", temp.path().display());
    let server = example("docs/proxy.md", "nginx").replace("listen 80;", &socket);
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};"))
        .concat();
    let text = format!(
        "pid nginx.pid; error_log stderr; events {{ }} http {{ access_log off; {temps} {server} }}"
    );
    let mut file = fs::File::create_new(temp.path().join("nginx.conf")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let tried = |program: &str| {
        Command::new(program)
            .arg("-p")
            .arg(temp.path())
            .args(["-e", "stderr", "-t", "-c", "nginx.conf"])
            .output()
    };
    let Ok(output) = tried("nginx").or_else(|_| tried("/usr/sbin/nginx")) else {
        return skip("nginx is not installed");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
