//! ○ The words in capitals that stand for what one writes oneself (`--name NAME`, `spool verify [DIR]`), in both languages.
//!
//! Refuses to do: touch anything else. Choices (`block|drop-newest`) are typed as they stand, in any language.

use super::row::Language;

/// English and Russian. What is the same in both stands here too, so that a new word is not forgotten.
const WORDS: &[(&str, &str)] = &[
    ("ADDR", "АДРЕС"),
    ("ADDRESS", "АДРЕС"),
    ("CMD", "КОМАНДА"),
    ("COMMAND", "КОМАНДА"),
    ("COND", "УСЛОВИЕ"),
    ("DIR", "КАТАЛОГ"),
    ("DURATION", "ВРЕМЯ"),
    ("FIELD", "ПОЛЕ"),
    ("FILE", "ФАЙЛ"),
    ("HEADER", "ЗАГОЛОВОК"),
    ("HOST", "УЗЕЛ"),
    ("ID", "ID"),
    ("KEY", "КЛЮЧ"),
    ("MATCH", "УСЛОВИЕ"),
    ("MODE", "ПРАВА"),
    ("N", "N"),
    ("NAME", "ИМЯ"),
    ("OPTION", "ПАРАМЕТР"),
    ("PART", "ЧАСТЬ"),
    ("PASSWORD", "ПАРОЛЬ"),
    ("PORT", "ПОРТ"),
    ("PREFIX", "НАЧАЛО"),
    ("SIZE", "РАЗМЕР"),
    ("TEXT", "ТЕКСТ"),
    ("TIME", "ВРЕМЯ"),
    ("URL", "URL"),
    ("USER", "ПОЛЬЗОВАТЕЛЬ"),
];

fn russian(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(english, _)| *english == word).map(|(_, russian)| *russian)
}

/// `[NAME]...` in a language.
pub(super) fn shown(words: &str, language: Language) -> String {
    if language == Language::En {
        return words.to_string();
    }
    pieces(words).into_iter().map(|piece| russian(piece).unwrap_or(piece)).collect()
}

/// The words in capitals that have no Russian.
#[cfg(test)]
pub(super) fn unknown(words: &str) -> Vec<&str> {
    let capital = |piece: &&str| piece.bytes().all(|b| b.is_ascii_uppercase());
    pieces(words).into_iter().filter(capital).filter(|piece| russian(piece).is_none()).collect()
}

/// Runs of capitals, and what stands between them.
fn pieces(words: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| c.is_ascii_uppercase() == first.is_ascii_uppercase();
        let (piece, after) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        out.push(piece);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_writes_oneself_is_translated_and_nothing_else() {
        for (english, russian) in [
            ("[NAME]", "[ИМЯ]"),
            ("NAME=TEXT", "ИМЯ=ТЕКСТ"),
            ("--url URL [OPTION]...", "--url URL [ПАРАМЕТР]..."),
            ("block|drop-newest", "block|drop-newest"),
            ("100ms|always", "100ms|always"),
            ("", ""),
        ] {
            assert_eq!(shown(english, Language::Ru), russian);
            assert_eq!(shown(english, Language::En), english);
        }
    }

    #[test]
    fn a_word_without_russian_is_found() {
        assert_eq!(unknown("[NAME] GADGET..."), ["GADGET"]);
        assert!(unknown("[NAME] --url").is_empty());
    }
}
