//! Rust source as the tidy rules see it: without comments, strings and test modules, with its functions and paths.
//!
//! A reader of our own style of Rust, not a parser of all Rust; refuses to judge. What it gets wrong shows in the
//! samples of the rules.

/// One tracked text file.
pub struct File {
    /// From the root of the repository, with slashes.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// Line by line as long as `text`, comments and literals blanked, `#[cfg(test)]` modules blanked. Empty for what
    /// is no Rust.
    pub code: String,
    /// It is a module of tests, by its name or by who declares it.
    test: bool,
}

/// A function: its name, its first line (from 1) and how many lines it has.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl File {
    pub fn new(path: &str, text: &str) -> File {
        let code = if path.ends_with(".rs") { without_tests(&blanked(text)) } else { String::new() };
        // The first one is the crate's directory, or `src`.
        let mut parts = path.split('/').skip(1);
        let test = parts.any(|part| matches!(part, "tests" | "tests.rs" | "testing.rs" | "testing"));
        File { path: path.into(), text: text.into(), code, test }
    }

    /// Marks the files whose modules stand behind `#[cfg(test)]` in another one.
    pub fn mark_tests(files: &mut [File]) {
        let tests: Vec<String> = files.iter().filter(|f| f.rust()).flat_map(File::test_modules).collect();
        for file in files.iter_mut().filter(|f| tests.contains(&f.path)) {
            file.test = true;
        }
    }

    /// Where the test modules may be that this file declares.
    fn test_modules(&self) -> Vec<String> {
        let dir = self.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let own = self.path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let mut found = Vec::new();
        for (i, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]") {
            let at = |n: usize| lines.get(i + n).copied().unwrap_or("");
            let named = |line: &str| line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned);
            if let Some(path) = at(1).strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                found.push(format!("{dir}/{path}"));
            } else if let Some(name) = named(at(1)) {
                found.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]);
            }
        }
        found
    }

    pub fn rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The room under `src`: `src/audit/spool/mod.rs` is `audit`; none for the doors (`lib.rs`, `bin`).
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?.trim_end_matches(".rs");
        (first != "lib" && first != "bin").then_some(first)
    }

    /// The room within that one: `src/audit/spool/mod.rs` is `spool`; none for what stands in no room of it.
    pub fn inner_room(&self) -> Option<&str> {
        let mut parts = self.path.strip_prefix("src/")?.split('/').skip(1);
        let first = parts.next()?;
        parts.next().map(|_| first)
    }

    /// A test module in a file of its own, which the rules for what ships leave alone.
    pub fn is_test(&self) -> bool {
        self.test
    }

    /// The parts of its module's name: `src/net/mod.rs` has one, `src/net/tls.rs` two.
    fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.trim_end_matches(".rs").split('/').filter(|part| *part != "mod" && *part != "lib").collect()
    }

    /// Every path of two parts or more with its line, `use` trees unfolded, those of our crate beginning with `crate`.
    pub fn paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let chars: Vec<char> = self.code.chars().collect();
        let (mut at, mut line) = (0, 1);
        while at < chars.len() {
            let begins = is_word(chars[at]) && (at == 0 || !is_word(chars[at - 1]) && chars[at - 1] != ':');
            if begins {
                let mut paths = Vec::new();
                unfold(&chars, &mut at.clone(), "", &mut paths);
                found.extend(paths.into_iter().filter(|p| p.contains("::")).map(|p| (line, self.rooted(&p))));
            }
            line += usize::from(chars[at] == '\n');
            at += 1;
        }
        found
    }

    fn rooted(&self, path: &str) -> String {
        let mut rest = path.strip_prefix("self::").unwrap_or(path);
        let mut ups = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, ups) = (after, ups + 1);
        }
        let own = self.module();
        if ups > 0 && ups <= own.len() {
            return ["crate"]
                .iter()
                .chain(&own[..own.len() - ups])
                .chain(&[rest])
                .copied()
                .collect::<Vec<_>>()
                .join("::");
        }
        match path.strip_prefix("gostech::") {
            Some(after) => format!("crate::{after}"),
            None => path.into(),
        }
    }

    /// The functions with a body, test modules left out.
    pub fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.code.lines().collect();
        let starts = lines.iter().enumerate().filter_map(|(i, line)| Some((i, fn_name(line)?)));
        starts.filter_map(|(i, name)| Some(Function { name, line: i + 1, lines: body_lines(&lines[i..])? })).collect()
    }

    /// Lines that hold a word on its own.
    pub fn lines_with_word<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.lines().enumerate().filter(move |(_, line)| has_word(line, word)).map(|(i, _)| i + 1)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

/// Reads a path from `at` and adds each branch of its tree to `out`: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn unfold(chars: &[char], at: &mut usize, prefix: &str, out: &mut Vec<String>) {
    let start = *at;
    while chars.get(*at).is_some_and(|c| is_word(*c)) {
        *at += 1;
    }
    let word: String = chars[start..*at].iter().collect();
    let here = if prefix.is_empty() { word } else { format!("{prefix}::{word}") };
    if chars.get(*at) != Some(&':') || chars.get(*at + 1) != Some(&':') {
        return out.push(here);
    }
    *at += 2;
    match chars.get(*at) {
        Some('{') => unfold_group(chars, at, &here, out),
        Some(c) if is_word(*c) => unfold(chars, at, &here, out),
        _ => out.push(format!("{here}::")),
    }
}

fn unfold_group(chars: &[char], at: &mut usize, prefix: &str, out: &mut Vec<String>) {
    *at += 1;
    while let Some(c) = chars.get(*at) {
        match c {
            '}' => {
                *at += 1;
                return;
            }
            c if is_word(*c) => unfold(chars, at, prefix, out),
            _ => *at += 1,
        }
    }
}

/// The name of a function that begins on this line.
fn fn_name(line: &str) -> Option<String> {
    let mut before = "";
    for word in line.split_whitespace() {
        if before == "fn" {
            let name: String = word.chars().take_while(|c| is_word(*c)).collect();
            return (!name.is_empty()).then_some(name);
        }
        before = word;
    }
    None
}

/// From the `fn` to its closing brace; none for a declaration without a body.
fn body_lines(lines: &[&str]) -> Option<usize> {
    let (mut depth, mut opened) = (0i32, false);
    for (i, line) in lines.iter().enumerate() {
        for c in line.chars() {
            match c {
                '{' => (depth, opened) = (depth + 1, true),
                '}' => depth -= 1,
                ';' if !opened && depth == 0 && !line.contains('[') => return None,
                _ => {}
            }
        }
        if opened && depth <= 0 {
            return Some(i + 1);
        }
    }
    None
}

/// The text with comments, strings and character literals blanked; newlines stay, so that lines keep their numbers.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where a comment or literal that begins at `at` ends; `at` itself when none begins.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or(' ');
    let in_word = at > 0 && is_word(chars[at - 1]);
    match chars[at] {
        '/' if next(1) == '/' => until(chars, at, |rest| rest[0] == '\n'),
        '/' if next(1) == '*' => until(chars, at + 2, |rest| rest.starts_with(&['*', '/'])) + 2,
        'r' if !in_word && (next(1) == '"' || next(1) == '#' && matches!(next(2), '"' | '#')) => raw_end(chars, at + 1),
        'b' if !in_word && next(1) == 'r' && matches!(next(2), '"' | '#') => raw_end(chars, at + 2),
        '"' => quoted_end(chars, at, '"'),
        '\'' if next(1) == '\\' || next(2) == '\'' => quoted_end(chars, at, '\''),
        _ => at,
    }
    .min(chars.len())
}

fn until(chars: &[char], from: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| stop(&chars[*at..])).unwrap_or(chars.len())
}

fn raw_end(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    let mut close = vec!['"'];
    close.resize(1 + hashes, '#');
    until(chars, from + hashes + 1, |rest| rest.starts_with(&close)) + close.len()
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Blanks `#[cfg(test)]` modules: the rules of the rooms are for what ships.
fn without_tests(code: &str) -> String {
    let lines: Vec<&str> = code.lines().collect();
    let mut out = String::with_capacity(code.len());
    let mut at = 0;
    while at < lines.len() {
        let module = lines[at].trim() == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|l| has_word(l, "mod"));
        let skip = if module { 1 + body_lines(&lines[at + 1..]).unwrap_or(1) } else { 0 };
        out.push_str(&"\n".repeat(skip));
        at += skip;
        if skip == 0 {
            out.push_str(lines[at]);
            out.push('\n');
            at += 1;
        }
    }
    out
}
