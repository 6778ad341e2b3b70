//! Which statements may be sent ○: one that reads. Strings, quoted names and comments are passed over.
//!
//! Refuses: whatever does not begin with SELECT, VALUES, WITH or EXPLAIN, what such a beginning hides (`WITH … DELETE`), two
//! statements. What remains forbidden to the user is a matter of the database's grants.

/// With what a statement may begin.
const BEGINNINGS: [&str; 4] = ["SELECT", "VALUES", "WITH", "EXPLAIN"];
/// What comes behind WITH and EXPLAIN and changes data.
const CHANGES: [&str; 6] = ["INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "MERGE"];

/// The statement as it is sent, or what is wrong with it.
pub fn reading(sql: &str) -> Result<&str, String> {
    let mut first = None;
    let (mut depth, mut end, mut rest) = (0usize, None, sql);
    let mut reads = false;
    while let Some(token) = next(&mut rest)? {
        if end.is_some() {
            return Err("two statements: write one for each query".into());
        }
        match token {
            ";" => end = Some(sql.len() - rest.len() - 1),
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            word => {
                let is = |all: &[&str]| all.iter().any(|known| known.eq_ignore_ascii_case(word));
                if first.is_none() && !is(&BEGINNINGS) {
                    break;
                }
                if !reads && depth == 0 && is(&CHANGES) {
                    return Err(format!("`{word}` changes data: only statements that read are sent"));
                }
                reads |= depth == 0 && is(&BEGINNINGS[..2]);
            }
        }
        first = first.or(Some(token));
    }
    match reads {
        true => Ok(sql[..end.unwrap_or(sql.len())].trim()),
        false => Err("only a statement that begins with SELECT, VALUES, WITH or EXPLAIN and reads is sent".into()),
    }
}

/// The next word or sign; none: it is over.
fn next<'a>(rest: &mut &'a str) -> Result<Option<&'a str>, String> {
    loop {
        let text = rest.trim_start();
        let Some(c) = text.chars().next() else { return Ok(None) };
        let skipped = if text.starts_with("--") {
            Some(text.find('\n').unwrap_or(text.len()))
        } else if let Some(inside) = text.strip_prefix("/*") {
            Some(2 + closed(inside, "*/")?)
        } else if c == '\'' || c == '"' {
            // A doubled quote ends one and begins the next.
            Some(1 + closed(&text[1..], &text[..1])?)
        } else {
            None
        };
        if let Some(bytes) = skipped {
            *rest = &text[bytes..];
            continue;
        }
        let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let bytes = match text.find(|c| !in_word(c)).unwrap_or(text.len()) {
            0 => c.len_utf8(),
            bytes => bytes,
        };
        let (token, behind) = text.split_at(bytes);
        *rest = behind;
        return Ok(Some(token));
    }
}

fn closed(text: &str, sign: &str) -> Result<usize, String> {
    let at = text.find(sign).ok_or_else(|| format!("the closing `{sign}` is missing"))?;
    Ok(at + sign.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_is_sent_without_its_semicolon() {
        for (sql, sent) in [
            ("SELECT 1", "SELECT 1"),
            (" select replace(a, 'x', 'y'), \"delete\" from t ; ", "select replace(a, 'x', 'y'), \"delete\" from t"),
            ("-- what; for\nVALUES (1); /* ; */ -- ;", "-- what; for\nVALUES (1)"),
            ("WITH a AS (SELECT ';' AS x) SELECT * FROM a", "WITH a AS (SELECT ';' AS x) SELECT * FROM a"),
            ("explain select 'it''s; DELETE'", "explain select 'it''s; DELETE'"),
            ("SELECT update FROM t", "SELECT update FROM t"),
        ] {
            assert_eq!(reading(sql), Ok(sent));
        }
    }

    #[test]
    fn what_changes_anything_is_refused() {
        for (sql, word) in [
            ("DELETE FROM t", "only a statement"),
            ("/* SELECT */ DROP TABLE t", "only a statement"),
            ("(SELECT 1)", "only a statement"),
            ("", "only a statement"),
            ("WITH a AS (SELECT 1) DELETE FROM t", "`DELETE`"),
            ("WITH \"select\" AS (SELECT 1) insert INTO t SELECT 1", "`insert`"),
            ("EXPLAIN UPDATE t SET a = 1", "`UPDATE`"),
            ("EXPLAIN DROP TABLE t", "only a statement"),
            ("SELECT 1; DELETE FROM t", "two statements"),
            ("SELECT 1;;", "two statements"),
            ("SELECT 'x", "closing `'`"),
            ("SELECT 1 /* x", "closing `*/`"),
        ] {
            let said = reading(sql).expect_err(sql);
            assert!(said.contains(word), "{sql}: {said}");
        }
    }
}
