//! `--check` of the own queries: each is asked once.

use super::asker::Asker;
use super::queries::file::Query;
use super::queries::run::Desk;

/// The report on the queries, and whether all of them have brought something.
pub fn report(desk: &Desk, asker: &mut Asker, queries: Vec<Query>) -> (String, bool) {
    let (mut out, mut good) = (String::new(), true);
    let wrong = desk.once(asker, queries);
    for (told, wrong) in desk.told().iter().zip(wrong) {
        good &= wrong.is_none();
        out.push_str(&match wrong {
            Some(words) => format!("fault     {words}\n"),
            None => format!("query     {}: {} rows in {} s\n", told.name, told.rows, told.took),
        });
    }
    (out, good)
}
