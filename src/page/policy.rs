//! The Content-Security-Policy of an HTML page (CSP Level 3).

use super::render::builtin;
use crate::digest::sha256_base64;
use crate::format::Format;

/// The policy of the built-in page: nothing but its own style and script.
pub(super) fn of_builtin() -> String {
    let source = builtin(Format::Html);
    let style = hashes([source], "style");
    let script = hashes([source], "script");
    format!(
        "default-src 'none'; style-src{style}; script-src{script}; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The policy of a page of the site. It allows what the site itself serves, inline
/// styles, and inline scripts that the templates contain as they are. It refuses a
/// script that Jinja fills in, since a visitor could influence its text.
pub(super) fn of_templates<'t>(sources: impl IntoIterator<Item = &'t str>) -> String {
    let script = hashes(sources, "script");
    format!(
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'{script}; \
         font-src 'self'; connect-src 'self'; img-src 'self' data:; media-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The hashes of the inline blocks of one element, each with a space before it.
fn hashes<'t>(sources: impl IntoIterator<Item = &'t str>, element: &str) -> String {
    let mut found: Vec<String> = sources
        .into_iter()
        .map(without_comments)
        .flat_map(|source| {
            blocks(&source, element).into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|block| !["{{", "{%", "{#"].iter().any(|mark| block.contains(mark)))
        // An HTML parser reads every line ending as one line feed.
        .map(|block| block.replace("\r\n", "\n").replace('\r', "\n"))
        .map(|block| format!(" 'sha256-{}'", sha256_base64(block.as_bytes())))
        .collect();
    found.sort();
    found.dedup();
    found.concat()
}

/// A template without its Jinja comments.
fn without_comments(source: &str) -> String {
    let mut parts = source.split("{#");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once("#}").map_or("", |(_, rest)| rest))
}

/// The content of each element of a name.
fn blocks<'s>(source: &'s str, element: &str) -> Vec<&'s str> {
    let lower = source.to_ascii_lowercase();
    let (opening, closing) = (format!("<{element}"), format!("</{element}"));
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(start) = lower[from..].find(&opening).map(|at| from + at + opening.len()) {
        from = start;
        let is_longer_name =
            lower[start..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
        let Some(inside) = lower[start..].find('>').map(|at| start + at + 1) else { break };
        let Some(end) = lower[inside..].find(&closing).map(|at| inside + at) else { break };
        if !is_longer_name {
            blocks.push(&source[inside..end]);
            from = end;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_blocks_are_found_as_a_browser_finds_them() {
        let source =
            "<SCRIPT>a\r\nb</Script ><script type=module>c</script><scripty>d</scripty><script>";
        assert_eq!(blocks(source, "script"), ["a\r\nb", "c"]);
        let hash = |text: &str| format!("'sha256-{}'", sha256_base64(text.as_bytes()));
        let policy = of_templates([source]);
        assert!(policy.contains(&hash("a\nb")) && policy.contains(&hash("c")), "{policy}");
    }

    #[test]
    fn requirement_51_a_script_that_is_filled_in_is_not_allowed() {
        let policy = of_templates(["<script>let reason = '{{ reason }}'</script>"]);
        assert!(!policy.contains("sha256"), "{policy}");
    }

    #[test]
    fn the_builtin_page_runs_its_own_style_and_script_and_nothing_else() {
        let policy = of_builtin();
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
