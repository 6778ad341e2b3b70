//! ○ Completions for bash, zsh and fish.
//!
//! What a value may be is read from the name it has in the table: `FILE` and `DIR` complete paths, `a|b` the words.
//! Refuses to do: run the program at completion time; the scripts are plain text and know all.

use super::row::Row;
use super::table::Program;

/// The script of a shell, if we know it.
pub(super) fn script(program: &Program, shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash(program)),
        "zsh" => Some(zsh(program)),
        "fish" => Some(fish(program)),
        _ => None,
    }
}

/// What a value is completed with.
enum Kind {
    Files,
    Directories,
    Words(Vec<&'static str>),
    Free,
}

fn kind(row: &Row) -> Kind {
    match row.metavar() {
        Some("FILE" | "PATH") => Kind::Files,
        Some("DIR") => Kind::Directories,
        Some(_) if !row.choices().is_empty() => Kind::Words(row.choices()),
        _ => Kind::Free,
    }
}

fn visible(program: &Program) -> Vec<&'static Row> {
    program.all_rows().filter(|row| !row.hidden).collect()
}

/// All ways to write a row's name, dashes included.
fn written(row: &Row) -> Vec<String> {
    let short = row.short.map(|letter| format!("-{letter}"));
    short.into_iter().chain(row.names().map(|name| format!("--{name}"))).collect()
}

/// The first words of commands, each once, and the second words by first word.
fn words(program: &Program) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for command in program.commands {
        let (first, second) = (command.name[0], command.name.get(1).copied());
        match out.iter_mut().find(|(word, _)| *word == first) {
            Some((_, seconds)) => seconds.extend(second),
            None => out.push((first, second.into_iter().collect())),
        }
    }
    out
}

fn bash(program: &Program) -> String {
    let function = format!("_{}", program.name.replace('-', "_"));
    let mut cases = String::new();
    for row in visible(program).into_iter().filter(|row| row.metavar().is_some()) {
        let reply = match kind(row) {
            Kind::Files => "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")".to_owned(),
            Kind::Directories => "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")".to_owned(),
            Kind::Words(words) => format!("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")", words.join(" ")),
            Kind::Free => "COMPREPLY=()".to_owned(),
        };
        cases.push_str(&format!("        {}) {reply}; return ;;\n", written(row).join("|")));
    }
    let mut seconds = String::new();
    for (first, below) in words(program).into_iter().filter(|(_, below)| !below.is_empty()) {
        let reply = format!("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")", below.join(" "));
        seconds.push_str(&format!("        {first}) {reply}; return ;;\n"));
    }
    let options: Vec<String> = visible(program).into_iter().map(|row| format!("--{}", row.name)).collect();
    let firsts: Vec<&str> = words(program).into_iter().map(|(first, _)| first).collect();
    format!(
        "# bash completion for {name}\n{function}() {{\n    local cur=\"${{COMP_WORDS[COMP_CWORD]}}\"\n    local \
         prev=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n    COMPREPLY=()\n    # Bash takes `--option=value` apart at the sign.\n    \
         if [[ $cur == = ]]; then cur=; elif [[ $prev == = && COMP_CWORD -gt 1 ]]; then \
         prev=\"${{COMP_WORDS[COMP_CWORD-2]}}\"; fi\n    case \"$prev\" in\n{cases}{seconds}    esac\n    if [[ $cur == -* ]]; \
         then\n        mapfile -t COMPREPLY < <(compgen -W '{options}' -- \"$cur\")\n    else\n        mapfile -t COMPREPLY < <(compgen -W '{firsts}' \
         -- \"$cur\")\n    fi\n}}\ncomplete -F {function} {name}\n",
        name = program.name,
        options = options.join(" "),
        firsts = firsts.join(" "),
    )
}

fn zsh(program: &Program) -> String {
    let mut out = format!("#compdef {}\n# zsh completion for {}\n\n", program.name, program.name);
    out.push_str("local state\nlocal -a line\n_arguments -s -S \\\n");
    for row in visible(program) {
        for name in written(row) {
            out.push_str(&format!("    {} \\\n", zsh_option(row, &name)));
        }
    }
    let commands = words(program);
    if commands.is_empty() {
        out.push_str("    && return 0\n");
        return out;
    }
    out.push_str("    '1: :->first' '2: :->second' '*: :' && return 0\n\ncase $state in\n");
    let firsts: Vec<&str> = commands.iter().map(|(first, _)| *first).collect();
    out.push_str(&format!("first) _values command {} ;;\nsecond)\n    case $line[1] in\n", firsts.join(" ")));
    for (first, below) in commands.iter().filter(|(_, below)| !below.is_empty()) {
        out.push_str(&format!("    {first}) _values command {} ;;\n", below.join(" ")));
    }
    out.push_str("    esac ;;\nesac\n");
    out
}

fn zsh_option(row: &Row, name: &str) -> String {
    let equals = match row.metavar() {
        Some(_) if name.starts_with("--") => "=",
        Some(_) => "+",
        None => "",
    };
    let action = match kind(row) {
        Kind::Files => "_files".to_owned(),
        Kind::Directories => "_files -/".to_owned(),
        Kind::Words(words) => format!("({})", words.join(" ")),
        Kind::Free => " ".to_owned(),
    };
    let value = row.metavar().map(|metavar| format!(":{}:{action}", zsh_text(metavar))).unwrap_or_default();
    format!("'*{name}{equals}[{}]{value}'", zsh_text(row.help))
}

/// Text within brackets within single quotes.
fn zsh_text(words: &str) -> String {
    let escaped = words.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
    escaped.replace('\'', "'\\''")
}

fn fish(program: &Program) -> String {
    let name = program.name;
    let mut out = format!("# fish completion for {name}\ncomplete -c {name} -f\n");
    for (first, below) in words(program) {
        out.push_str(&format!("complete -c {name} -n __fish_use_subcommand -a {first}\n"));
        for second in below {
            out.push_str(&format!("complete -c {name} -n '__fish_seen_subcommand_from {first}' -a {second}\n"));
        }
    }
    for row in visible(program) {
        let short = row.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
        let names: String = row.names().map(|name| format!(" -l {name}")).collect();
        let value = match kind(row) {
            Kind::Files => " -r -F".to_owned(),
            Kind::Directories => " -x -a '(__fish_complete_directories)'".to_owned(),
            Kind::Words(words) => format!(" -x -a '{}'", words.join(" ")),
            Kind::Free if row.metavar().is_some() => " -x".to_owned(),
            Kind::Free => String::new(),
        };
        let help = row.help.replace('\\', "\\\\").replace('\'', "\\'");
        out.push_str(&format!("complete -c {name}{short}{names}{value} -d '{help}'\n"));
    }
    out
}
