//! turnout for Rack. The gem itself is not in any package here, so what it does with its file is
//! done by the same parts of Ruby: Psych, Regexp, `IPAddr` and Rack, from Debian's `ruby-rack`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::say::skip;
use crate::server::{installed, put};
use crate::site::TestSite;

/// Reads the file, and says of each request whether it gets through.
const READ: &str = r#"
require "yaml"; require "ipaddr"; require "rack"; require "json"
settings = YAML.load(File.open(ARGV[0]))
through = JSON.parse(ARGV[1]).map do |path, address|
  env = Rack::MockRequest.env_for("http://shop.example/", "REMOTE_ADDR" => address)
  request = Rack::Request.new(env.merge("PATH_INFO" => path))
  by_path = settings["allowed_paths"].any? { |allowed| request.path =~ Regexp.new(allowed) }
  by_path || settings["allowed_ips"].any? { |allowed| IPAddr.new(allowed).include?(IPAddr.new(request.ip)) }
end
reason = settings["reason"].to_s.split("\n").map { |line| "<p>#{line}</p>" }.join("\n")
page = "<main>{{ reason }}</main>".gsub(/{{\s?reason\s?}}/, reason)
text = "{{ reason }}".gsub(/{{\s?reason\s?}}/, settings["reason"].to_s.to_json)
raise "not JSON" unless JSON.parse(text) == settings["reason"].to_s
puts JSON.generate([settings, through, page])
"#;

fn read(file: &Path, requests: &[(&str, &str)]) -> (Value, Vec<bool>, String) {
    let requests = serde_json::to_string(requests).unwrap();
    let output = Command::new("ruby")
        .args(["-e", READ])
        .arg(file)
        .arg(requests)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{}", fs::read_to_string(file).unwrap());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn requirement_83_ruby_reads_the_file_of_turnout_and_lets_the_same_through() {
    if installed("ruby").is_none() {
        return;
    }
    if !Command::new("ruby").args(["-e", "require 'rack'"]).output().unwrap().status.success() {
        return skip("ruby-rack is not installed; `make test-stack` installs it");
    }
    let site = TestSite::new();
    put(&site.project().join("config.ru"), "");
    fs::create_dir(site.project().join("tmp")).unwrap();
    site.add("turnout", site.project());
    let file = site.project().join("tmp/maintenance.yml");
    site.maint(&["on"]);
    let (settings, through, _) = read(&file, &[("/", "198.51.100.1")]);
    assert_eq!(settings["response_code"], 503);
    assert_eq!((settings["retry_after"].as_u64(), through), (Some(120), vec![false]));

    for path in ["/static/**", "/health", "/api/*/status", "/caf\u{e9}", "/a+b@c", "re:/v[0-9]+/.*"]
    {
        site.maint(&["ignore", "add", "path", path]);
    }
    for address in ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"] {
        site.maint(&["ignore", "add", "ip", address]);
    }
    let reason = "<b>\u{dc}ber</b> \\0 \\1 \\\\ 'q' \"q\" & #{1} {{ reason }}\nzwei \u{1f6a7}";
    site.maint(&["on", "-m", reason, "--status", "429", "--retry-after", "15m"]);
    let visitor = "198.51.100.1";
    let requests = [
        ("/static", visitor, true),
        ("/static/", visitor, true),
        ("/static/a/b.css", visitor, true),
        ("/static/a%20b.css", visitor, true),
        ("/static/caf%c3%a9.css", visitor, true),
        ("/health", visitor, true),
        ("/api/7/status", visitor, true),
        ("/caf%C3%A9", visitor, true),
        ("/a+b@c", visitor, true),
        ("/a%2bb%40c", visitor, true),
        ("/v2/x/y", visitor, true),
        ("/", "203.0.113.7", true),
        ("/", "10.1.2.3", true),
        ("/", "2001:db8::9", true),
        ("/", visitor, false),
        ("/", "203.0.113.8", false),
        ("/", "2001:db9::9", false),
        ("/staticx", visitor, false),
        ("/x/static", visitor, false),
        ("/health/", visitor, false),
        ("/healthx", visitor, false),
        ("/shop\n/health", visitor, false),
        ("/health\n", visitor, false),
        ("/api//status", visitor, false),
        ("/api/7/8/status", visitor, false),
        ("/static/../admin", visitor, false),
        ("/static/%2e%2e/admin", visitor, false),
        ("/static/..%2fadmin", visitor, false),
        ("/static/.%2e/admin", visitor, false),
        ("/static//admin", visitor, false),
        ("/static/..;/admin", visitor, false),
        ("/static/..", visitor, false),
        ("/static\\..\\admin", visitor, false),
        ("/static/%5c..%5cadmin", visitor, false),
        ("/static/%252e%252e/admin", visitor, false),
        ("/static/%00", visitor, false),
        ("/v2/../admin", visitor, false),
        ("/v2/%2e%2e/admin", visitor, false),
        ("/v2//admin", visitor, false),
        ("/v2/;/admin", visitor, false),
        ("/xv2/a", visitor, false),
    ];
    let asked = requests.map(|(path, address, _)| (path, address));
    let (settings, through, page) = read(&file, &asked);
    for ((path, address, wanted), through) in requests.into_iter().zip(through) {
        assert_eq!(through, wanted, "{path:?} from {address}");
    }
    assert_eq!(settings["response_code"], 429);
    assert_eq!(settings["retry_after"], 900);
    // As a browser reads it.
    let shown = "&#60;b&#62;\u{dc}ber&#60;/b&#62; &#92;0 &#92;1 &#92;&#92; &#39;q&#39; &#34;q&#34; \
                 &#38; #&#123;1&#125; &#123;&#123; reason &#125;&#125;";
    assert_eq!(page, format!("<main><p>{shown}</p>\n<p>zwei \u{1f6a7}</p></main>"));
    site.off();
    assert!(!file.exists());
}
