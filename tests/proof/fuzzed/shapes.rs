//! Templates that would end or hold up a process, were they not bounded: by how deep they
//! nest, by what their loops grow, and by what a single step costs.

/// The shapes that somebody thought of, with their names. `n` is how often each repeats.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn named(n: usize) -> Vec<(&'static str, String)> {
    let expression =
        |before: &str, middle: &str, after: &str| format!("{{{{ {before}{middle}{after} }}}}");
    let nested = |open: &str, close: &str, n: usize| {
        let n = n.min(250_000 / (open.len() + close.len()));
        open.repeat(n) + "x" + &close.repeat(n)
    };
    let again = |text: &str| text.repeat(n.min(250_000 / text.len()));
    let looped = |before: &str, body: &str, after: &str| {
        format!("{before}{{% for i in range(99999) %}}{body}{{% endfor %}}{after}")
    };
    let in_turn = |body: &str, after: &str| format!("{{% set x = [1] %}}{}{after}", again(body));
    vec![
        ("additions", expression("1", &again("+1"), "")),
        ("attributes", expression("title", &again(".a"), "")),
        ("indexes", expression("title", &again(".1"), "")),
        ("filters", expression("title", &again("|e"), "")),
        ("tests", expression("1", &again(" is odd"), "")),
        ("calls", expression("title", &again("()"), "")),
        ("subscripts", expression("title", &again("[0]"), "")),
        ("slices", expression("title", &again("[:]"), "")),
        ("not", expression("", &again("not "), "1")),
        ("minus", expression("", &again("-"), "1")),
        ("alternatives", expression("", &again("1 if 1 else "), "1")),
        ("conditions", expression("1", &again(" if 1"), "")),
        ("comparisons", expression("1", &again("<1"), "")),
        ("and", expression("1", &again(" and 1"), "")),
        ("powers", expression("1", &again("**1"), "")),
        ("joined", expression("'a'", &again("~'a'"), "")),
        ("joined, 20 000 times", expression("'a'", &"~'a'".repeat(20_000), "")),
        ("texts side by side", expression("", &again("'a' "), "")),
        ("brackets", expression("", &nested("(", ")", n), "")),
        ("lists", expression("", &nested("[", "]", n), "")),
        ("maps", expression("", &nested("{1:", "}", n), "")),
        ("open brackets", expression("", &again("("), "")),
        ("open lists", expression("", &again("["), "")),
        ("open maps", expression("", &again("{1:"), "")),
        ("chains in brackets", expression("", &nested("(1+", "+1)", n), "")),
        ("chains after lists", expression("", &nested("[", "].a.a.a.a.a.a.a.a", n), "")),
        ("calls in calls", expression("", &nested("range(", ")", n), "")),
        ("targets", format!("{{% set {} = 1 %}}", nested("(", ")", n))),
        ("loop targets", format!("{{% for {} in [] %}}{{% endfor %}}", nested("(", ")", n))),
        ("if", nested("{% if 1 %}", "{% endif %}", n)),
        ("if without end", again("{% if 1 %}")),
        ("elif", format!("{{% if 0 %}}{}{{% endif %}}", again("{% elif 0 %}"))),
        ("else", nested("{% if 0 %}{% else %}", "{% endif %}", n)),
        ("for", nested("{% for x in [1] %}", "{% endfor %}", n)),
        ("with", nested("{% with %}", "{% endwith %}", n)),
        ("set blocks", nested("{% set x %}", "{% endset %}", n)),
        ("filter blocks", nested("{% filter e %}", "{% endfilter %}", n)),
        ("autoescape", nested("{% autoescape true %}", "{% endautoescape %}", n)),
        ("macros", nested("{% macro m() %}", "{% endmacro %}", n)),
        ("call blocks", nested("{% call m() %}", "{% endcall %}", n)),
        (
            "filters of a block",
            format!("{{% filter {} %}}{{% endfilter %}}", ["e"; 9_999].join("|")),
        ),
        ("comments", again("{# #}")),
        ("open comments", again("{#")),
        ("raw", again("{% raw %}{% endraw %}")),
        ("open raw", format!("{{% raw %}}{}", again("{% "))),
        ("blanks", format!("{{{{ title {} }}}}", again("\n"))),
        ("values", again("{{ title }}")),
        ("a list nested by a loop", looped("{% set x = [] %}", "{% set x = [x] %}", "{{ x }}")),
        ("a list nested in turn", in_turn("{% set x = [x] %}", "{{ x }}")),
        ("a tuple nested in turn", in_turn("{% set x = x, %}", "{{ x }}")),
        ("a map nested in turn", in_turn("{% set x = {1: x} %}", "{{ x }}")),
        ("a list doubled by nesting", in_turn("{% set x = [x, x] %}", "{{ x == [x] }}")),
        ("a list doubled by a loop", looped("{% set x = [1] %}", "{% set x = x + x %}", "{{ x }}")),
        ("a list doubled in turn", in_turn("{% set x = x + x %}", "{{ x }}")),
        ("a list repeated in turn", in_turn("{% set x = x * 9 %}", "{{ x }}")),
        ("a list repeated", "{% set x %}{{ [1] * 99999999 }}{% endset %}".to_owned()),
        ("a fact that is a list", in_turn("{% set title = title + title %}", "{{ title }}")),
        (
            "a fact as a parameter",
            "{% macro m(title) %}{{ m(title + title) }}{% endmacro %}{{ m([1]) }}".to_owned(),
        ),
        ("a word that is a list", in_turn("{% set if = [1] %}{% set x = (if) + if %}", "")),
        ("lists in pieces", in_turn("{% set x = x|batch(1) %}", "{{ x }}")),
        ("lists mapped", in_turn("{% set x = x|map('list') %}", "{{ x }}")),
        ("lists chained", in_turn("{% set x = x|chain(x) %}", "{{ x }}")),
        ("lists added up", in_turn("{% set x = [[1], [1]]|sum(start=x) %}", "{{ x }}")),
        ("dict()", in_turn("{% set x = dict(a=x) %}", "{{ x }}")),
        (
            "a namespace nested",
            looped("{% set n = namespace(a=1) %}", "{% set n.a = [n.a] %}", "{{ n }}"),
        ),
        ("a namespace in itself", "{% set n = namespace() %}{% set n.a = n %}{{ n }}".to_owned()),
        (
            "a namespace doubled",
            looped("{% set n = namespace(a='x') %}", "{% set n.a = n.a ~ n.a %}", ""),
        ),
        ("a text doubled by a loop", looped("{% set x = 'x' %}", "{% set x = x ~ x %}", "{{ x }}")),
        ("a text doubled in turn", in_turn("{% set x = x ~ x %}", "{{ x }}")),
        ("large texts compared", {
            let text = "{% set x = 'x' * 999999 %}{% set y = 'x' * 999999 %}";
            looped(text, "{% if x == y %}{% endif %}", "")
        }),
        (
            "large lists compared",
            looped("{% set x = range(99999)|list %}{% set y = range(99999) %}", "{{ x == y }}", ""),
        ),
        ("large lists within lists", {
            let list = format!("[[{}]]", "1,".repeat(490));
            looped(
                &format!("{{% set x = {list} %}}{{% set y = {list} %}}"),
                "{% if x == y %}{% endif %}",
                "",
            )
        }),
        ("lists as text", looped("{% set x = range(99999) %}", "{% set y = 'a' ~ x %}", "")),
        (
            "lists sorted",
            looped("{% set x = range(9999)|list %}", "{% set y = x|sort|reverse|list %}", ""),
        ),
        (
            "joined by a long text",
            "{% set x = 'x' * 99999 %}{{ range(99999)|join(x)|length }}".to_owned(),
        ),
        (
            "replaced by a long text",
            "{% set x = 'x' * 99999 %}{{ x|replace('x', x)|length }}".to_owned(),
        ),
        (
            "split into letters",
            looped(
                "{% set x = 'x' * 99999 %}",
                "{% set y = x|list %}{% set y = x|split('') %}",
                "",
            ),
        ),
        ("indent", "{{ ('x\n' * 9999)|indent(999999999) }}".to_owned()),
        ("a wide format", "{{ '%999999999d'|format(1) }}{{ '%.999999999f'|format(1) }}".to_owned()),
        ("a large text", "{{ ('a' * 1000000000)|length }}".to_owned()),
        ("a large power", looped("", "{% set x = 9 ** 99999999 %}", "")),
        ("a large range", "{{ range(1000000000)|list|length }}".to_owned()),
        ("loops in loops", looped("", "{% for a in range(99999) %}.{% endfor %}", "")),
        (
            "a macro that calls itself",
            "{% macro m(x) %}{{ m(x) }}{{ m(x) }}{% endmacro %}{{ m(1) }}".to_owned(),
        ),
        (
            "a loop that calls itself",
            "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        ),
        ("a block in itself", "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}".to_owned()),
        ("an include of itself", "{% include 'x.html' %}{% include 'x.html' %}".to_owned()),
        ("an extension of itself", "{% extends 'x.html' %}".to_owned()),
        ("an import of itself", "{% import 'x.html' as x %}{{ x }}".to_owned()),
        (
            "imports in turn",
            format!(
                "{}{{% macro m() %}}{{{{ x }}}}{{% endmacro %}}",
                again("{% import 'x.html' as x %}")
            ),
        ),
        ("macros in turn", again("{% macro m() %}{{ m }}{% endmacro %}")),
        ("macros in a loop", looped("", "{% macro m() %}{{ x }}{% endmacro %}{% set x = m %}", "")),
        ("spread arguments", looped("{% set x = range(99999)|list %}", "{{ range(*x) }}", "")),
        ("debug()", looped("", "{{ debug() }}", "")),
    ]
}

/// A template put together from pieces, the same for the same numbers.
pub fn made(mut numbers: impl FnMut() -> u64) -> String {
    const ATOMS: [&str; 16] = [
        "1",
        "'x'",
        "title",
        "reason",
        "x",
        "y",
        "loop",
        "loop.index",
        "range(99)",
        "[1, 'a']",
        "{'a': 1}",
        "end[11:16]",
        "x|int",
        "y|string",
        "x|length",
        "'x' * 999",
    ];
    const BETWEEN: [&str; 10] =
        [" + ", " * ", " ~ ", " ~ ", " == ", " in ", " and ", " or ", " or ", " if 1 else "];
    const AFTER: [&str; 12] = [
        "",
        "",
        "|e",
        "|list",
        "|string",
        "|length",
        "|replace('x', title)",
        "|default(x)",
        "[0]",
        ".a",
        " is odd",
        "|sort",
    ];
    let mut pick =
        |all: &[&'static str]| all[usize::try_from(numbers() % all.len() as u64).unwrap_or(0)];
    let mut source =
        "{% macro m(x) %}{{ x }}{% endmacro %}{% set x = 'a' %}{% set y = [1] %}".to_owned();
    let mut open = Vec::new();
    for _ in 0..pick_count(&mut pick) {
        let mut expression = pick(&["", "", "-", "not ", "(", "["]).to_owned();
        let close = match expression.as_str() {
            "(" => ")",
            "[" => "]",
            _ => "",
        };
        for _ in 0..pick_count(&mut pick) {
            expression += pick(&ATOMS);
            expression += pick(&AFTER);
            expression += pick(&BETWEEN);
        }
        expression += pick(&ATOMS);
        expression += close;
        let (before, after, end) = match pick(&["v", "v", "s", "t", "i", "f", "b", "c", "m"]) {
            "s" => ("{% set x = ", " %}", ""),
            "t" => ("{% set title = ", " %}", ""),
            "i" => ("{% if ", " %}", "{% endif %}"),
            "f" => ("{% for y in ", " %}", "{% endfor %}"),
            "b" => ("{% set y %}{{ ", " }}", "{% endset %}"),
            "c" => ("{{ m(", ") }}", ""),
            "m" => ("{% macro m(x) %}{{ ", " }}", "{% endmacro %}"),
            _ => ("{{ ", " }}", ""),
        };
        source += &format!("{before}{expression}{after}\n");
        if !end.is_empty() {
            open.push(end);
        }
        if pick(&["go on", "close"]) == "close" {
            source += open.pop().unwrap_or_default();
        }
    }
    while let Some(end) = open.pop() {
        source += end;
    }
    source
}

fn pick_count(pick: &mut impl FnMut(&[&'static str]) -> &'static str) -> usize {
    pick(&["1", "2", "3", "5", "9", "30"]).parse().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::page::Format;
    use crate::page::{Context, Templates};
    use crate::say::{amount, figure};

    /// The stack of a thread that renders: what a thread of Rust has. A build without
    /// optimisation needs some four times as much as one with it.
    const STACK: usize = 2 * 1024 * 1024;

    /// Does everything that is ever done with a template: parse, try out, render, drop.
    fn rendered(source: String) -> (std::result::Result<usize, String>, Duration) {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let work = move || {
            let begun = Instant::now();
            let mut templates = Templates::empty();
            let page = templates.add("x.html".to_owned(), source).and_then(|()| {
                let tried = templates.try_out("x", Format::Html);
                templates.render(Some("x"), Format::Html, &Context::sample())?;
                tried
            });
            let page = page.map(|()| 1).map_err(|error| error.to_string());
            drop(templates);
            (page, begun.elapsed())
        };
        thread.spawn(work).unwrap().join().unwrap()
    }

    #[test]
    fn requirement_63_no_shape_of_a_template_ends_the_process() {
        let mut slowest = (Duration::ZERO, "none");
        let mut refused = 0;
        let all = [named(50_000), named(150), named(40)].concat();
        let number = all.len();
        for (name, source) in all {
            if std::env::var_os("MAINT_SHAPES").is_some() {
                eprintln!("{name}");
            }
            let (page, took) = rendered(source);
            if let Err(message) = &page {
                assert!(
                    message.contains("`x.html`") || message.contains("262144"),
                    "{name}: {message}"
                );
                refused += 1;
            }
            slowest = slowest.max((took, name));
        }
        figure(&format!(
            "{number} shapes: {refused} refused with the file and the reason, 0 ended or hung; \
             the slowest, {}, took {:?}",
            slowest.1, slowest.0
        ));
    }

    #[test]
    fn requirement_63_no_template_made_of_pieces_ends_the_process() {
        let number = amount(2_000, 200_000);
        let mut slowest = Duration::ZERO;
        let mut passed = 0;
        for seed in 0..u64::try_from(number).unwrap() {
            // SplitMix64.
            let mut state = seed;
            let source = made(|| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^ (mixed >> 31)
            });
            let (page, took) = rendered(source);
            passed += u64::from(page.is_ok());
            slowest = slowest.max(took);
        }
        figure(&format!(
            "{number} made of pieces: {passed} became a page, 0 ended or hung; {slowest:?} at most"
        ));
    }
}
