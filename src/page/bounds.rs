//! What a template may contain. It is checked before the engine sees it, since the
//! engine parses, compares and drops by recursion, and counts only the steps it takes.
//!
//! Two things are bounded here: how deep the text nests, and how large a list can
//! become. A list or a map is written down, never computed: it holds texts, numbers and
//! the facts of the page, and nothing adds, repeats or nests lists that variables hold.
//! All other work is counted while the engine renders.
//!
//! The tokens are those of the engine. Where this reader stops early, the engine reports
//! a mistake at the same place.

use super::template::MAX_SIZE;

/// How many parts of an expression may build on each other: operators, attributes,
/// filters, brackets. Commas begin anew.
pub(super) const MAX_PARTS: usize = 200;

/// How deep brackets may nest.
pub(super) const MAX_BRACKETS: usize = 16;

/// How deep statements may nest. Each `elif` is one deeper.
pub(super) const MAX_STATEMENTS: usize = 64;

/// How many items the lists and maps of a template may have together.
pub(super) const MAX_ITEMS: usize = 1_000;

/// How many macros and imports a template may have together.
pub(super) const MAX_MACROS: usize = 64;

/// How far into a line a tag may stand, in bytes. The engine counts columns in 16 bits,
/// and where overflow is checked, a mistake behind the last of them ends the process.
pub(super) const MAX_COLUMN: usize = 60_000;

/// The filters that always make a text, a number, true or false.
const PLAIN_FILTERS: [&str; 22] = [
    "abs",
    "bool",
    "capitalize",
    "count",
    "e",
    "escape",
    "float",
    "format",
    "indent",
    "int",
    "join",
    "length",
    "lower",
    "replace",
    "round",
    "safe",
    "string",
    "title",
    "tojson",
    "trim",
    "upper",
    "urlize",
];

/// The other filters. None of them makes a list of lists from a list.
const OTHER_FILTERS: [&str; 14] = [
    "attr", "d", "default", "dictsort", "first", "items", "last", "lines", "list", "max", "min",
    "reverse", "sort", "split",
];

/// The tests. Comparisons are written as operators, which are counted.
const TESTS: [&str; 19] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "escaped",
    "even",
    "false",
    "float",
    "in",
    "integer",
    "iterable",
    "mapping",
    "none",
    "number",
    "odd",
    "safe",
    "sequence",
    "startingwith",
    "string",
];

/// More tests.
const MORE_TESTS: [&str; 2] = ["true", "undefined"];

/// What `loop` knows that is a number, true or false.
const LOOP: [&str; 9] =
    ["depth", "depth0", "first", "index", "index0", "last", "length", "revindex", "revindex0"];

/// Why a template is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Where, counted from one.
    pub(super) line: usize,
    pub(super) why: String,
    pub(super) hint: Option<String>,
}

type Result<T> = std::result::Result<T, Refusal>;

fn refuse<T>(line: usize, why: impl Into<String>, hint: &str) -> Result<T> {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Err(Refusal { line, why: why.into(), hint })
}

/// What a template does with the facts of the page, by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Which names it gives to something of its own.
    pub(super) bound: u32,
    /// Which it takes for a text or a number, and the line where it first does.
    pub(super) relied_on: Vec<(u32, usize)>,
    /// Which it mentions at all.
    pub(super) mentioned: u32,
}

impl Facts {
    /// The number, as a bit, of a fact that the template relies on and that another
    /// gives to something else; and the line.
    pub(super) fn conflict(&self, bound: u32) -> Option<(u32, usize)> {
        let (bits, line) = self.relied_on.iter().find(|(bits, _)| bits & bound != 0)?;
        Some((bits & bound, *line))
    }
}

/// Reads a template and refuses what could end or hold up the process. `names` are the
/// facts of the page.
pub(super) fn check(source: &str, names: &[&str]) -> Result<Facts> {
    // The engine counts bytes in 32 bits; templates are far smaller.
    debug_assert!(source.len() <= MAX_SIZE && names.len() <= 32);
    let mut scan = Scan { names, facts: Facts::default(), open: Vec::new(), items: 0, parts: 0 };
    let mut lexer = Lexer { source, at: 0, counted: 0, line: 1, line_start: 0 };
    while let Some(tag) = lexer.tag()? {
        scan.tag(&tag)?;
    }
    Ok(scan.facts)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'s> {
    Name(&'s str),
    Text,
    Number,
    Open(u8),
    Close,
    /// An operator or a separator of one or two characters.
    Sign(&'s str),
}

#[derive(Clone, Copy, Debug)]
struct Token<'s> {
    kind: Kind<'s>,
    line: usize,
}

/// One `{{ … }}` or `{% … %}`.
struct Tag<'s> {
    is_block: bool,
    line: usize,
    tokens: Vec<Token<'s>>,
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// Up to where lines are counted.
    counted: usize,
    line: usize,
    /// Where that line begins.
    line_start: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn line(&mut self) -> usize {
        for (at, _) in self.source[self.counted..self.at].match_indices('\n') {
            self.line += 1;
            self.line_start = self.counted + at + 1;
        }
        self.counted = self.at;
        self.line
    }

    /// The line, unless it is too long up to here.
    fn near_line(&mut self) -> Result<usize> {
        let line = self.line();
        if self.at - self.line_start > MAX_COLUMN {
            let why = format!("a tag stands behind more than {MAX_COLUMN} bytes of its line");
            return refuse(line, why, "break the line before the tag");
        }
        Ok(line)
    }

    fn endless<T>(&mut self, what: &str) -> Result<T> {
        refuse(self.line(), format!("{what} that begins here does not end"), "")
    }

    /// The next tag. `None` at the end, and where the engine reports a mistake.
    fn tag(&mut self) -> Result<Option<Tag<'s>>> {
        loop {
            let bytes = self.rest().as_bytes();
            let begins = |two: &[u8]| matches!(two, b"{{" | b"{%" | b"{#");
            let Some(found) = bytes.windows(2).position(begins) else { return Ok(None) };
            let kind = bytes[found + 1];
            let sign = usize::from(matches!(bytes.get(found + 2), Some(b'-' | b'+')));
            self.at += found + 2 + sign;
            match kind {
                b'#' => match self.rest().find("#}") {
                    Some(end) => self.at += end + 2,
                    None => return self.endless("a comment"),
                },
                b'%' => match plain_tag(self.rest(), "raw", false) {
                    Some(length) => {
                        self.at += length;
                        self.skip_raw()?;
                    }
                    None => return self.inner(true).map(Some),
                },
                _ => return self.inner(false).map(Some),
            }
        }
    }

    /// Skips what stands in `{% raw %}`, with its end.
    fn skip_raw(&mut self) -> Result<()> {
        let begin = self.at;
        while let Some(found) = self.rest().find("{%") {
            self.at += found + 2;
            if let Some(length) = plain_tag(self.rest(), "endraw", true) {
                self.at += length;
                return Ok(());
            }
        }
        self.at = begin;
        self.endless("a `raw`")
    }

    /// The tokens of a tag. It ends early where the engine reports a mistake, and then
    /// the rest is not read.
    fn inner(&mut self, is_block: bool) -> Result<Tag<'s>> {
        let end = if is_block { "%}" } else { "}}" };
        let mut tag = Tag { is_block, line: self.near_line()?, tokens: Vec::new() };
        let mut open: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            let blank = rest.bytes().take_while(u8::is_ascii_whitespace).count();
            if blank > 0 {
                self.at += blank;
                continue;
            }
            let Some(first) = rest.chars().next() else { return Ok(tag) };
            if open.is_empty() {
                let signed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
                if let Some(after) = [signed, rest].iter().find_map(|it| it.strip_prefix(end)) {
                    self.at = self.source.len() - after.len();
                    return Ok(tag);
                }
            }
            let line = self.near_line()?;
            let (kind, length) = match first {
                '(' | '[' | '{' => {
                    open.push(first as u8);
                    (Kind::Open(first as u8), 1)
                }
                ')' | ']' | '}' => {
                    let is_match = matches!(
                        (open.pop(), first),
                        (Some(b'('), ')') | (Some(b'['), ']') | (Some(b'{'), '}')
                    );
                    if !is_match {
                        return Ok(self.stop(tag));
                    }
                    (Kind::Close, 1)
                }
                '\'' | '"' => match text_length(rest.as_bytes()) {
                    Some(length) => (Kind::Text, length),
                    None => return self.endless("a text"),
                },
                '0'..='9' => {
                    let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b'_';
                    (Kind::Number, rest.bytes().take_while(digits).count())
                }
                _ if is_of_name(first) => {
                    let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
                    (Kind::Name(&rest[..length]), length)
                }
                _ => match sign(rest) {
                    Some(sign) => (Kind::Sign(sign), sign.len()),
                    None => return Ok(self.stop(tag)),
                },
            };
            tag.tokens.push(Token { kind, line });
            self.at += length;
        }
    }

    /// Leaves the rest unread: the engine stops here as well.
    fn stop(&mut self, tag: Tag<'s>) -> Tag<'s> {
        self.at = self.source.len();
        tag
    }
}

fn is_of_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn sign(rest: &str) -> Option<&str> {
    const TWO: [&str; 6] = ["//", "**", "==", "!=", ">=", "<="];
    if let Some(two) = rest.get(..2)
        && TWO.contains(&two)
    {
        return Some(two);
    }
    rest.get(..1).filter(|one| "+-*/%.,:~|=><".contains(one))
}

/// The length of a text with its quotes; `None` if it does not end.
fn text_length(bytes: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            quote if *quote == bytes[0] => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of the rest of a tag that has one word, as in `{% raw %}`.
fn plain_tag(rest: &str, word: &str, may_be_signed: bool) -> Option<usize> {
    let blank = |c: char| c.is_ascii_whitespace();
    let mut after = rest;
    if may_be_signed {
        after = after.strip_prefix(['-', '+']).unwrap_or(after);
    }
    after = after.trim_start_matches(blank).strip_prefix(word)?.trim_start_matches(blank);
    after = after.strip_prefix(['-', '+']).unwrap_or(after).strip_prefix("%}")?;
    Some(rest.len() - after.len())
}

/// A statement that is open.
struct Statement<'s> {
    word: &'s str,
    depth: usize,
}

struct Scan<'n, 's> {
    names: &'n [&'n str],
    facts: Facts,
    open: Vec<Statement<'s>>,
    items: usize,
    parts: usize,
}

impl<'s> Scan<'_, 's> {
    fn tag(&mut self, tag: &Tag<'s>) -> Result<()> {
        depth(&tag.tokens)?;
        let mut start = 0;
        let mut word = "";
        if tag.is_block
            && let Some(Token { kind: Kind::Name(first), .. }) = tag.tokens.first()
        {
            word = first;
            self.statement(word, tag)?;
            start = 1;
        }
        self.mention(&tag.tokens[start..]);
        self.bind(word, &tag.tokens[start..])?;
        self.expressions(word, &tag.tokens[start..])
    }

    /// Follows how statements nest.
    fn statement(&mut self, word: &'s str, tag: &Tag<'s>) -> Result<()> {
        let is_open = match word {
            "for" | "if" | "with" | "autoescape" | "filter" | "block" | "macro" | "call" => true,
            "set" => top_level(&tag.tokens, "=").is_none(),
            _ => false,
        };
        if matches!(word, "macro" | "import" | "from") {
            self.parts += 1;
            if self.parts > MAX_MACROS {
                let why = format!("it has more than {MAX_MACROS} macros and imports");
                return refuse(tag.line, why, "");
            }
            let around =
                self.open.iter().find(|open| matches!(open.word, "for" | "macro" | "call"));
            if let Some(around) = around {
                let why = format!("`{word}` stands inside `{}`", around.word);
                return refuse(tag.line, why, "put it at the top of the template");
            }
        }
        if is_open {
            self.open.push(Statement { word, depth: 1 });
        } else if word.starts_with("end") {
            self.open.pop();
        } else if word == "elif"
            && let Some(last) = self.open.last_mut()
        {
            last.depth += 1;
        }
        if self.open.iter().map(|open| open.depth).sum::<usize>() > MAX_STATEMENTS {
            let why = format!("more than {MAX_STATEMENTS} statements stand inside each other");
            return refuse(tag.line, why, "an `elif` counts as one more");
        }
        Ok(())
    }

    fn fact(&self, name: &str) -> u32 {
        self.names.iter().position(|fact| *fact == name).map_or(0, |at| 1 << at)
    }

    fn mention(&mut self, tokens: &[Token<'_>]) {
        let mut is_attribute = false;
        for token in tokens {
            if let Kind::Name(name) = token.kind
                && !is_attribute
            {
                self.facts.mentioned |= self.fact(name);
            }
            is_attribute = token.kind == Kind::Sign(".");
        }
    }

    /// Notes which names get a meaning of the template's own.
    fn bind(&mut self, word: &str, tokens: &[Token<'s>]) -> Result<()> {
        let targets: Vec<&[Token<'s>]> = match word {
            "for" => vec![&tokens[..position(tokens, "in").unwrap_or(tokens.len())]],
            "set" => vec![&tokens[..top_level(tokens, "=").unwrap_or(tokens.len())]],
            "with" => segments(tokens)
                .map(|part| &part[..top_level(part, "=").unwrap_or(part.len())])
                .collect(),
            "macro" | "call" => {
                let own = if word == "macro" { tokens.len().min(1) } else { 0 };
                let names = segments(params(&tokens[own..]));
                let names = names.map(|part| &part[..part.len().min(1)]);
                names.chain([&tokens[..own]]).collect()
            }
            "import" => vec![&tokens[position(tokens, "as").unwrap_or(tokens.len())..]],
            "from" => vec![&tokens[position(tokens, "import").unwrap_or(tokens.len())..]],
            _ => Vec::new(),
        };
        for token in targets.into_iter().flatten() {
            let Kind::Name(name) = token.kind else { continue };
            if matches!(name, "and" | "or" | "not" | "if" | "else" | "in" | "is") {
                let why = format!("`{name}` is a word of the language, and no name");
                return refuse(token.line, why, "");
            }
            self.facts.bound |= self.fact(name);
        }
        Ok(())
    }

    /// Checks the expressions of a tag.
    fn expressions(&mut self, word: &str, tokens: &[Token<'s>]) -> Result<()> {
        match word {
            "for" => {
                let from = position(tokens, "in").map_or(0, |at| at + 1);
                self.expression(&tokens[from..]).map(drop)
            }
            "set" => {
                let from = top_level(tokens, "=").map_or(0, |at| at + 1);
                let read = self.expression(&tokens[from..])?;
                if read.commas > 0 { read.as_list(self) } else { Ok(()) }
            }
            "with" => segments(tokens).try_for_each(|part| {
                let from = top_level(part, "=").map_or(0, |at| at + 1);
                self.expression(&part[from..]).map(drop)
            }),
            "call" => {
                let params = params(tokens);
                self.expression(params)?;
                let has_params = tokens.first().is_some_and(|token| token.kind == Kind::Open(b'('));
                let from = if has_params { (params.len() + 2).min(tokens.len()) } else { 0 };
                self.expression(&tokens[from..]).map(drop)
            }
            "filter" => {
                if let Some(Token { kind: Kind::Name(name), line }) = tokens.first() {
                    known_filter(name, *line)?;
                }
                self.expression(tokens).map(drop)
            }
            _ => self.expression(tokens).map(drop),
        }
    }

    fn expression(&mut self, tokens: &[Token<'s>]) -> Result<Sequence<'s>> {
        let mut reader = Reader { tokens, at: 0, scan: self };
        let mut all = Sequence::default();
        while reader.at < tokens.len() {
            let read = reader.sequence()?;
            all.join(&read);
            // A bracket that was not opened here; the engine reports it.
            reader.at += 1;
        }
        Ok(all)
    }

    fn rely_on(&mut self, facts: u32, line: usize) {
        let known = self.facts.relied_on.iter().fold(0, |all, (bits, _)| all | bits);
        if facts & !known != 0 {
            self.facts.relied_on.push((facts & !known, line));
        }
    }
}

/// The tokens between the brackets of the `(…)` with which it begins.
fn params<'t, 's>(tokens: &'t [Token<'s>]) -> &'t [Token<'s>] {
    let [Token { kind: Kind::Open(b'('), .. }, inner @ ..] = tokens else { return &[] };
    let mut depth = 0_usize;
    for (at, token) in inner.iter().enumerate() {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close if depth == 0 => return &inner[..at],
            Kind::Close => depth -= 1,
            _ => {}
        }
    }
    inner
}

/// Where a word first stands.
fn position(tokens: &[Token<'_>], word: &str) -> Option<usize> {
    tokens.iter().position(|token| token.kind == Kind::Name(word))
}

/// Where a sign first stands outside all brackets.
fn top_level(tokens: &[Token<'_>], sign: &str) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.kind == Kind::Sign(sign)
    })
}

/// The parts between the commas outside all brackets.
fn segments<'t, 's>(tokens: &'t [Token<'s>]) -> impl Iterator<Item = &'t [Token<'s>]> {
    let mut rest = Some(tokens);
    std::iter::from_fn(move || {
        let tokens = rest?;
        let comma = top_level(tokens, ",");
        rest = comma.map(|at| &tokens[at + 1..]);
        Some(&tokens[..comma.unwrap_or(tokens.len())])
    })
}

/// Refuses expressions that nest too deep. Whatever the engine makes of them, no tree is
/// higher than the number of tokens that belong together.
fn depth(tokens: &[Token<'_>]) -> Result<()> {
    /// What belongs together since the last comma.
    #[derive(Clone, Copy, Default)]
    struct Level {
        parts: usize,
        /// The highest of the brackets within.
        within: usize,
        /// The highest of what came before the last comma.
        before: usize,
    }
    let mut levels = vec![Level::default()];
    let mut open = 0;
    for token in tokens {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        match token.kind {
            Kind::Open(_) => {
                level.parts += 1;
                open += 1;
                if depth > MAX_BRACKETS {
                    let why = format!("more than {MAX_BRACKETS} brackets stand inside each other");
                    return refuse(token.line, why, "");
                }
                levels.push(Level::default());
            }
            Kind::Close => {
                let closed = *level;
                open -= closed.parts;
                levels.pop();
                let Some(level) = levels.last_mut() else { break };
                level.within = level.within.max(closed.before).max(closed.parts + closed.within);
            }
            Kind::Sign("," | ":") => {
                open -= level.parts;
                level.before = level.before.max(level.parts + level.within);
                level.parts = 0;
                level.within = 0;
            }
            _ => {
                level.parts += 1;
                open += 1;
            }
        }
        let height = levels.last().map_or(0, |level| level.parts + level.within);
        if height.max(open) > MAX_PARTS {
            let why = format!("an expression has more than {MAX_PARTS} parts");
            let hint = "take it apart: `{% set part = … %}`, or leave the repetition to a loop";
            return refuse(token.line, why, hint);
        }
    }
    Ok(())
}

/// What an operand can be.
#[derive(Clone, Copy)]
enum Operand {
    /// A text or a number, if these facts are what they are meant to be.
    Plain(u32),
    /// A list or a map, written down here.
    List,
    /// Unknown: perhaps a list.
    Unknown,
}

/// What stands between two brackets.
#[derive(Default)]
struct Sequence<'s> {
    operands: usize,
    commas: usize,
    /// The facts on which it depends that all operands are plain.
    facts: u32,
    line: usize,
    /// The first operand that is a list.
    has_list: bool,
    /// The first that may be a list, and what it begins with.
    unknown: Option<(usize, &'s str)>,
}

impl<'s> Sequence<'s> {
    fn join(&mut self, other: &Self) {
        self.operands += other.operands;
        self.commas += other.commas;
        self.facts |= other.facts;
        self.line = self.line.max(other.line);
        self.has_list |= other.has_list;
        self.unknown = self.unknown.or(other.unknown);
    }

    fn is_plain(&self) -> bool {
        self.unknown.is_none() && !self.has_list
    }

    /// Checks that it can be the items of a list.
    fn as_list(&self, scan: &mut Scan<'_, 's>) -> Result<()> {
        if let Some((line, name)) = self.unknown {
            let why = format!("a list or a map holds `{name}`, which may be a list itself");
            return refuse(
                line,
                why,
                &format!("for a text write `{name}|string`, for a number `{name}|int`"),
            );
        }
        scan.rely_on(self.facts, self.line);
        scan.items += self.operands;
        if scan.items > MAX_ITEMS {
            let why = format!("its lists and maps have more than {MAX_ITEMS} items");
            return refuse(self.line, why, "");
        }
        Ok(())
    }
}

struct Reader<'t, 's, 'c, 'n> {
    tokens: &'t [Token<'s>],
    at: usize,
    scan: &'c mut Scan<'n, 's>,
}

impl<'s> Reader<'_, 's, '_, '_> {
    fn kind(&self) -> Option<Kind<'s>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    fn line(&self) -> usize {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(1, |token| token.line)
    }

    /// Reads up to the bracket that closes, and leaves that. Brackets nest to a depth
    /// that was checked before.
    fn sequence(&mut self) -> Result<Sequence<'s>> {
        let mut all = Sequence { line: self.line(), ..Sequence::default() };
        // The operand just before, with its beginning.
        let mut left: Option<(Operand, &'s str)> = None;
        // A sign that needs a plain operand next.
        let mut pending: Option<&'s str> = None;
        while let Some(kind) = self.kind() {
            let line = self.line();
            match kind {
                Kind::Close => break,
                Kind::Sign("," | ":") => {
                    all.commas += 1;
                    (left, pending) = (None, None);
                    self.at += 1;
                }
                Kind::Sign(sign @ ("*" | "**")) if left.is_none() => {
                    let why = format!("`{sign}` spreads a list over the arguments of a call");
                    return refuse(line, why, "write the arguments down");
                }
                Kind::Sign(sign @ ("+" | "*")) => {
                    if let Some((operand, name)) = left {
                        self.plain(operand, name, sign, line)?;
                        pending = Some(sign);
                    }
                    left = None;
                    self.at += 1;
                }
                Kind::Sign("-") => {
                    left = None;
                    self.at += 1;
                }
                Kind::Sign(_) | Kind::Name("and" | "or" | "not" | "if" | "else" | "in" | "is") => {
                    (left, pending) = (None, None);
                    self.at += 1;
                }
                Kind::Name(_) | Kind::Text | Kind::Number | Kind::Open(_) => {
                    let name = match kind {
                        Kind::Name(name) => name,
                        _ => "(…)",
                    };
                    let operand = self.operand()?;
                    if let Some(sign) = pending.take() {
                        self.plain(operand, name, sign, line)?;
                    }
                    all.operands += 1;
                    match operand {
                        Operand::Plain(facts) => all.facts |= facts,
                        Operand::List => all.has_list = true,
                        Operand::Unknown => all.unknown = all.unknown.or(Some((line, name))),
                    }
                    left = Some((operand, name));
                }
            }
        }
        Ok(all)
    }

    /// Refuses to add or repeat what may be a list.
    fn plain(&mut self, operand: Operand, name: &str, sign: &str, line: usize) -> Result<()> {
        match operand {
            Operand::Plain(facts) => {
                self.scan.rely_on(facts, line);
                Ok(())
            }
            Operand::List => {
                refuse(line, format!("`{sign}` makes a list longer"), "write the list down")
            }
            Operand::Unknown => refuse(
                line,
                format!("`{sign}` gets `{name}`, which may be a list"),
                &format!("for a number write `{name}|int`; `~` joins texts"),
            ),
        }
    }

    fn operand(&mut self) -> Result<Operand> {
        let kind = self.kind();
        self.at += 1;
        let mut is_loop = false;
        let mut operand = match kind {
            Some(Kind::Name("true" | "True" | "false" | "False" | "none" | "None")) => {
                Operand::Plain(0)
            }
            Some(Kind::Name(name)) => {
                is_loop = name == "loop";
                match self.scan.fact(name) {
                    0 => Operand::Unknown,
                    fact => Operand::Plain(fact),
                }
            }
            Some(Kind::Open(b'(')) => {
                let within = self.sequence()?;
                self.at += 1;
                if within.commas > 0 || within.operands == 0 {
                    within.as_list(self.scan)?;
                    Operand::List
                } else if within.is_plain() {
                    Operand::Plain(within.facts)
                } else {
                    Operand::Unknown
                }
            }
            Some(Kind::Open(_)) => {
                let within = self.sequence()?;
                self.at += 1;
                within.as_list(self.scan)?;
                Operand::List
            }
            _ => Operand::Plain(0),
        };
        while let Some(kind) = self.kind() {
            let part_of = |operand| match operand {
                Operand::Plain(facts) => Operand::Plain(facts),
                Operand::List | Operand::Unknown => Operand::Unknown,
            };
            match kind {
                Kind::Sign(".") => {
                    self.at += 1;
                    operand = match self.kind() {
                        Some(Kind::Name(name)) if is_loop && LOOP.contains(&name) => {
                            Operand::Plain(0)
                        }
                        _ => part_of(operand),
                    };
                    self.at +=
                        usize::from(matches!(self.kind(), Some(Kind::Name(_) | Kind::Number)));
                }
                Kind::Open(b'[') => {
                    self.at += 1;
                    self.sequence()?;
                    self.at += 1;
                    operand = part_of(operand);
                }
                Kind::Open(b'(') => {
                    self.at += 1;
                    self.sequence()?;
                    self.at += 1;
                    operand = Operand::Unknown;
                }
                Kind::Sign("|") => operand = self.filter(operand)?,
                Kind::Name("is") => {
                    self.test()?;
                    operand = Operand::Plain(0);
                }
                _ => break,
            }
            is_loop = false;
        }
        Ok(operand)
    }

    /// What a filter makes of an operand.
    fn filter(&mut self, operand: Operand) -> Result<Operand> {
        self.at += 1;
        let line = self.line();
        let Some(Kind::Name(name)) = self.kind() else { return Ok(Operand::Unknown) };
        known_filter(name, line)?;
        self.at += 1;
        let arguments = self.arguments()?;
        Ok(match operand {
            _ if PLAIN_FILTERS.contains(&name) => Operand::Plain(0),
            Operand::Plain(facts) if matches!(name, "d" | "default") => match arguments {
                Some(given) if !given.is_plain() => Operand::Unknown,
                given => Operand::Plain(facts | given.map_or(0, |given| given.facts)),
            },
            _ => Operand::Unknown,
        })
    }

    /// Reads `is`, `not` if it follows, the name of a test, and arguments in brackets.
    fn test(&mut self) -> Result<()> {
        self.at += 1;
        if self.kind() == Some(Kind::Name("not")) {
            self.at += 1;
        }
        let line = self.line();
        if let Some(Kind::Name(name)) = self.kind() {
            if !TESTS.contains(&name) && !MORE_TESTS.contains(&name) {
                let why = format!("templates have no test `{name}`");
                let all = [&TESTS[..], &MORE_TESTS[..]].concat().join(", ");
                return refuse(line, why, &format!("they have {all}"));
            }
            self.at += 1;
        }
        self.arguments().map(drop)
    }

    fn arguments(&mut self) -> Result<Option<Sequence<'s>>> {
        if self.kind() != Some(Kind::Open(b'(')) {
            return Ok(None);
        }
        self.at += 1;
        let given = self.sequence()?;
        self.at += 1;
        Ok(Some(given))
    }
}

fn known_filter(name: &str, line: usize) -> Result<()> {
    if PLAIN_FILTERS.contains(&name) || OTHER_FILTERS.contains(&name) {
        return Ok(());
    }
    let mut all = [&PLAIN_FILTERS[..], &OTHER_FILTERS[..]].concat();
    all.sort_unstable();
    let hint = format!("they have {}", all.join(", "));
    refuse(line, format!("templates have no filter `{name}`"), &hint)
}
