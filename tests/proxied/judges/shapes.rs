//! Shapes of request targets that have led a server past its checks.

/// Each shape is a target with gaps:
///
/// - `{A}` a path that a rule lets through, `{a}` the same without its first `/`
/// - `{S}` a path that no rule lets through, `{s}` without its first `/`
/// - `{%}` that path with its first letter encoded, `{%%}` with every letter
///   encoded, `{2}` with its first letter encoded twice, `{^}` in capitals
/// - `<...>` its content, once for each segment of the first path
pub(crate) const SHAPES: &[&[u8]] = &[
    // Dot segments.
    b"{A}</..>{S}",
    b"{A}</./..>{S}",
    b"{A}/x</..>/..{S}",
    b"{A}/.</..>{S}",
    b"{S}/..{A}",
    b"{S}</..>{A}",
    b"{S}/.",
    b"{S}/./",
    b"{S}/..",
    b"{S}/x/..",
    b"{S}/x/../",
    b"/.{S}",
    b"/./{s}",
    b"/..{S}",
    b"/../../..{S}",
    b"/x/..{S}",
    b"{A}/..",
    b"{A}/...{S}",
    b"{A}..{S}",
    // Encoded dots.
    b"{A}</%2e%2e>{S}",
    b"{A}</%2E%2E>{S}",
    b"{A}</.%2e>{S}",
    b"{A}</%2e.>{S}",
    b"/%2e{S}",
    b"/%2e/{s}",
    b"{S}/%2e",
    b"{A}</%252e%252e>{S}",
    b"{A}</%25252e%25252e>{S}",
    b"{A}</%u002e%u002e>{S}",
    // Empty segments.
    b"/{S}",
    b"//{S}",
    b"{A}/{S}",
    b"{S}/",
    b"{S}//",
    b"{S}//x",
    b"{A}<//..>{S}",
    b"{A}//</..>{S}",
    // Encoded and doubly encoded slashes.
    b"/%2f{s}",
    b"{S}%2f",
    b"{S}%2fx",
    b"{A}<%2f..>%2f{s}",
    b"{A}<%2F..>%2F{s}",
    b"{A}<%2f%2e%2e>%2f{s}",
    b"{A}</..%2f>{s}",
    b"{A}<%252f..>%252f{s}",
    b"{S}%252fx",
    // Backslashes.
    b"/\\{s}",
    b"\\{s}",
    b"{A}<\\..>\\{s}",
    b"{A}</..\\>{s}",
    b"{A}<%5c..>%5c{s}",
    b"{S}%5c",
    b"{S}\\x",
    b"{A}<%255c..>%255c{s}",
    // Parameters.
    b"{A}</..;>{S}",
    b"{A}</..;x=y>{S}",
    b"{A};</..>{S}",
    b"{A};{S}",
    b"{S};",
    b"{S};a=b",
    b"{S};/x",
    b"{S};{A}",
    b"{S};.css",
    b"/;{S}",
    b"/;x{S}",
    b"/{s};jsessionid=1",
    b"{A}</..%3b>{S}",
    b"{S}%3b.css",
    // NUL and other controls.
    b"{S}%00",
    b"{S}%00.css",
    b"{S}%00{A}",
    b"{A}%00</..>{S}",
    b"{S}\0.css",
    b"{S}%2500.css",
    b"{S}%0a.css",
    b"{S}%0d%0ax",
    b"{S}%09",
    b"{S}\x7f",
    b"{S}%7f",
    // Other encodings.
    b"{A}<%c0%af..>%c0%af{s}",
    b"{A}</%c0%ae%c0%ae>{S}",
    b"{A}<%e0%80%af..>%e0%80%af{s}",
    b"{A}<\xc0\xaf..>\xc0\xaf{s}",
    b"{A}<%ef%bc%8f..>%ef%bc%8f{s}",
    b"{A}<\xef\xbc\x8f..>\xef\xbc\x8f{s}",
    b"{A}</%ef%bc%8e%ef%bc%8e>{S}",
    b"{A}<%u2215..>%u2215{s}",
    b"{S}%ff",
    b"{S}%",
    b"{S}%zz",
    b"{S}%2",
    b"{%}",
    b"{%%}",
    b"{2}",
    b"{%}/",
    b"{^}",
    b"{^}/",
    // Endings that some file systems drop.
    b"{S}.",
    b"{S}./",
    b"{S}...",
    b"{S}%20",
    b"{S}%20/",
    b"{S}+",
    b"{S}%2e",
    b"{S}~",
    b"{S}::$DATA",
    b"{S}.css",
    b"{S}.json",
    b"{S}/index.html",
    b"{S}/x.css",
    // The query.
    b"{S}?",
    b"{S}?{A}",
    b"{S}?.css",
    b"{S}?x={A}",
    b"{S}??{A}",
    b"{A}?{S}",
    b"{A}?</..>{S}",
    b"?{S}",
    b"{S}&{A}",
    b"{S}%3f.css",
    b"{S}%3f{A}",
    b"{A}%3f</..>{S}",
    // The fragment, which has no place in a request.
    b"{S}#",
    b"{S}#.css",
    b"{S}#{A}",
    b"{S}#x",
    b"{S}/#/x.css",
    b"{S}#</..>{A}",
    b"{A}#{S}",
    b"{A}#</..>{S}",
    b"{S}%23.css",
    // The absolute form, and what looks like it.
    b"http://127.0.0.1{S}",
    b"http://127.0.0.1{S}#.css",
    b"http://127.0.0.1:80{S}?{A}",
    b"HTTP://127.0.0.1{S}",
    b"https://127.0.0.1{S}",
    b"http://127.0.0.1{A}</..>{S}",
    b"http://127.0.0.1/{S}",
    b"http://{a}{S}",
    b"http://x@127.0.0.1{S}",
    b"http:{S}",
    b"http:/{S}",
    b"ws://127.0.0.1{S}",
    b"file://{S}",
    b"//127.0.0.1{S}",
    b"///127.0.0.1{S}",
    // No slash at the start.
    b"{s}",
    b"*",
    b"*{S}",
    b"x{S}",
    b".{S}",
    b"%2f{s}",
    b"@127.0.0.1{S}",
    // Near misses (requirement 42).
    b"{A}x",
    b"{A}-x{S}",
    b"{A}.{s}",
    b"/evil?x={A}",
    b"/x{A}",
    b"{S}{A}",
    b"{A}{S}",
    b"{S}",
    b"{S}x",
];

/// The target that a shape makes of two paths.
pub(crate) fn target(shape: &[u8], allowed: &str, secret: &str) -> Vec<u8> {
    let letter = secret[1..].chars().next().unwrap_or('a');
    let rest = secret.get(2..).unwrap_or_default();
    let every: Vec<String> = secret[1..].bytes().map(|byte| format!("%{byte:02x}")).collect();
    let code = u32::from(letter);
    let gaps = [
        ("{A}", allowed.to_owned()),
        ("{a}", allowed[1..].to_owned()),
        ("{S}", secret.to_owned()),
        ("{s}", secret[1..].to_owned()),
        ("{%}", format!("/%{code:02x}{rest}")),
        ("{%%}", format!("/{}", every.concat().replace("%2f", "/"))),
        ("{2}", format!("/%25{code:02x}{rest}")),
        ("{^}", secret.to_uppercase()),
    ];
    let mut target = Vec::new();
    let mut left = shape;
    while let Some((&byte, tail)) = left.split_first() {
        let gap = gaps.iter().find(|(gap, _)| left.starts_with(gap.as_bytes()));
        if let Some((gap, text)) = gap {
            target.extend_from_slice(text.as_bytes());
            left = &left[gap.len()..];
        } else if byte == b'<' {
            let end = tail.iter().position(|&byte| byte == b'>').unwrap();
            let segments = allowed.matches('/').count();
            target.extend(tail[..end].repeat(segments));
            left = &tail[end + 1..];
        } else {
            target.push(byte);
            left = tail;
        }
    }
    target
}

#[test]
fn a_shape_is_filled_in() {
    assert_eq!(target(b"{A}</..>{S}", "/v1/x", "/admin"), b"/v1/x/../../admin");
    assert_eq!(target(b"{%}{%%}{2}{^}", "/v", "/ab"), b"/%61b/%61%62/%2561b/AB");
    assert_eq!(target(b"{a}\xc0#{s}", "/v", "/a/b"), b"v\xc0#a/b");
}
